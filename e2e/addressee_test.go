package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/receiver"
	"github.com/gatecast/gatecast/webhook"
)

// lively is a server that may post to this machine, and does not let an endpoint
// that fails alone for long.
var lively = []string{"--hooks.allow=127.0.0.0/8", "--hooks.retry_min=20ms", "--hooks.retry_max=500ms"}

// addressee is a subscription and the inbox that it posts to.
type addressee struct {
	name  string
	id    string
	order gatecast.Order
	inbox *receiver.Inbox
}

// wants are the settings of a subscription, as the API takes them.
type wants map[string]any

// newReceiver opens an endpoint that this machine's servers can reach.
func newReceiver(t *testing.T, inboxes int) *receiver.Receiver {
	t.Helper()
	r, err := receiver.Listen("127.0.0.1:0", receiver.Options{Inboxes: inboxes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// subscribe makes a subscription to an inbox, which verifies from then on what
// it gets.
func (s *server) subscribe(t *testing.T, name string, r *receiver.Receiver, inbox int, w wants) *addressee {
	t.Helper()
	w["url"], w["description"] = r.URL(inbox), name
	body, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return s.take(t, name, r.Inbox(inbox), http.MethodPost, "/api/v1/subscriptions", body)
}

// take makes a subscription by the request that is given.
func (s *server) take(t *testing.T, name string, inbox *receiver.Inbox, method, path string, body []byte) *addressee {
	t.Helper()
	status, answer, err := s.do(within(t), method, path, "application/json", body)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("subscribe %s: status %d, error %v, body %s", name, status, err, answer)
	}
	var made struct {
		ID      string         `json:"id"`
		Order   gatecast.Order `json:"order"`
		Secrets []struct {
			Secret string `json:"secret"`
		} `json:"secrets"`
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.ID == "" || len(made.Secrets) != 1 {
		t.Fatalf("no subscription with one secret in %s (%v)", answer, err)
	}
	v, err := webhook.NewVerifier(made.Secrets[0].Secret)
	if err != nil {
		t.Fatal(err)
	}
	inbox.Check(v.Verify)
	return &addressee{name, made.ID, made.Order, inbox}
}

// patch changes settings of a subscription.
func (s *server) patch(t *testing.T, sub *addressee, w wants) {
	t.Helper()
	body, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, err := s.do(within(t), http.MethodPatch, "/api/v1/subscriptions/"+sub.id, "application/json", body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("change %s: status %d, error %v, body %s", sub.name, status, err, answer)
	}
}

// standing is what the tests read of a subscription's state.
type standing struct {
	Status      gatecast.SubscriptionStatus `json:"status"`
	Reason      string                      `json:"reason"`
	LagEvents   uint64                      `json:"lag_events"`
	Pending     int                         `json:"pending"`
	Delivered   uint64                      `json:"delivered"`
	Failed      uint64                      `json:"failed"`
	DeadLetters int                         `json:"dead_letters"`
	Lost        uint64                      `json:"lost"`
}

// standing asks how a subscription stands.
func (s *server) standing(ctx context.Context, sub *addressee) (standing, error) {
	var shown struct {
		State standing `json:"state"`
	}
	err := s.request(ctx, http.MethodGet, "/api/v1/subscriptions/"+sub.id, &shown)
	return shown.State, err
}

// request reads the answer to a request without a body into out, if not nil.
func (s *server) request(ctx context.Context, method, path string, out any) error {
	status, answer, err := s.do(ctx, method, path, "", nil)
	switch {
	case err != nil:
		return err
	case status < 200 || status > 299:
		return fmt.Errorf("%s %s is answered %d: %s", method, path, status, answer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		return fmt.Errorf("%s %s is answered %s: %w", method, path, answer, err)
	}
	return nil
}

func (s *server) must(t *testing.T, method, path string, out any) {
	t.Helper()
	if err := s.request(within(t), method, path, out); err != nil {
		t.Fatal(err)
	}
}

// untilStanding waits for a state of a subscription.
func (s *server) untilStanding(t *testing.T, sub *addressee, what string, ok func(standing) bool) {
	t.Helper()
	var last standing
	defer func() {
		if t.Failed() {
			t.Logf("%s stands at %+v", sub.name, last)
		}
	}()
	eventually(t, sub.name+" is "+what, func(ctx context.Context) bool {
		st, err := s.standing(ctx, sub)
		last = st
		return err == nil && ok(st)
	})
}

// untilReceived waits until a subscriber has accepted so many events.
func (sub *addressee) untilReceived(t *testing.T, events int) {
	t.Helper()
	defer func() {
		if t.Failed() {
			k := sub.inbox.Books()
			t.Logf("%s has accepted %d of %d events in %d requests; faults %q", sub.name, len(k.Order), events, k.Requests, k.Faults)
		}
	}()
	eventually(t, fmt.Sprintf("%s has %d events", sub.name, events), func(context.Context) bool {
		return sub.inbox.Accepted() >= events
	})
}

// check compares what a subscriber has accepted with the journal: every record
// and alarm and nothing else, in the order that was promised, each
// retry the same bytes as the first try, and everything signed. It returns how
// many came more than once.
func (sub *addressee) check(t *testing.T, events []gatecast.Event) (repeated int) {
	t.Helper()
	k := sub.inbox.Books()
	if k.Faulty > 0 {
		t.Errorf("%s: %d faults, such as %s", sub.name, k.Faulty, k.Faults[0])
	}
	if k.Foreign > 0 {
		t.Errorf("%s was sent %d events that nobody posted", sub.name, k.Foreign)
	}
	events = records(events)
	places := placesOf(t, events)
	for n, e := range k.Entries {
		if _, stored := places[int64(n)]; e.Tries > 0 && !stored {
			t.Errorf("%s was sent event %d, which is not in the journal", sub.name, n)
		}
		repeated += max(0, e.Accepted-1)
	}
	for n := range places {
		if n >= int64(len(k.Entries)) || k.Entries[n].Accepted == 0 {
			t.Errorf("%s never accepted event %d", sub.name, n)
			break
		}
	}
	if err := k.Disorder(sub.lines(t, events)); err != nil {
		t.Errorf("%s: %v", sub.name, err)
	}
	t.Logf("%-11s %d requests, %d events, %d of them accepted more than once", sub.name, k.Requests, len(k.Order), repeated)
	return repeated
}

// records leaves out what the server itself has to tell.
func records(events []gatecast.Event) []gatecast.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e gatecast.Event) bool { return e.Kind == gatecast.Notice })
}

// lines is where events stand in the order that the subscriber was promised.
func (sub *addressee) lines(t *testing.T, events []gatecast.Event) func(uint64) (string, uint64, bool) {
	type place struct {
		line string
		seq  uint64
	}
	all := make(map[uint64]place, len(events))
	for n, at := range placesOf(t, events) {
		p := place{seq: uint64(events[at].Seq)}
		if sub.order == gatecast.OrderDevice {
			p.line = events[at].Device
		}
		all[uint64(n)] = p
	}
	return func(n uint64) (string, uint64, bool) {
		p, known := all[n]
		return p.line, p.seq, known && sub.order != gatecast.OrderNone
	}
}
