package e2e

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

// notary writes down what gatecast says of its sources' completeness, and when
// it was seen to say so.
type notary struct {
	mu     sync.Mutex // guards the fields below; nothing waits under it
	server *server
	said   map[string][]seen // by source, each statement once
}

// seen is a statement and when an answer with it had come.
type seen struct {
	statement
	at time.Time
}

// newNotary begins to ask. The test's end ends it.
func newNotary(t *testing.T, s *server) *notary {
	t.Helper()
	n := &notary{server: s, said: map[string][]seen{}}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				n.ask(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return n
}

// follow goes on with another server.
func (n *notary) follow(s *server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = s
}

func (n *notary) ask(ctx context.Context) {
	n.mu.Lock()
	s := n.server
	n.mu.Unlock()
	all, err := s.sources(ctx)
	if err != nil {
		return // it has been killed
	}
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, src := range all {
		list, st := n.said[name], src.State.Statement
		if !st.Through.IsZero() && (len(list) == 0 || list[len(list)-1].statement != st) {
			n.said[name] = append(list, seen{st, now})
		}
	}
}

// check holds what was said of a vendor's server against its truth, and the
// journal as it was at that moment.
func (n *notary) check(t *testing.T, v *vendor, truth []had, events []gatecast.Event) {
	t.Helper()
	n.mu.Lock()
	said := n.said[v.name]
	n.mu.Unlock()
	stored := make(map[string]time.Time, len(events))
	for _, e := range events {
		stored[e.ID] = e.Stored
	}
	proven := 0
	for i, st := range said {
		if i > 0 && (st.Through.Before(said[i-1].Through) || st.Filled < said[i-1].Filled || st.Lost < said[i-1].Lost) {
			t.Errorf("%s: the statement %+v came after %+v", v.name, st, said[i-1])
		}
		listed := listedAt(truth, st.at)
		for _, e := range truth {
			// An alarm's later states have the time of its first; each was reached when
			// it was added.
			if !e.At.Before(st.Through) || !e.Added.Before(st.Through) || !listed(e) {
				continue
			}
			proven++
			if at, there := stored[e.id(v.name)]; !there || at.After(st.at) {
				t.Errorf("%s said to be complete through %v at %v, and event %s of %v (added %v) was not in the journal (stored %v)",
					v.name, st.Through, st.at, e.id(v.name), e.At, e.Added, at)
				break
			}
		}
	}
	if proven == 0 {
		t.Errorf("%s: %d statements were about no event, so this run proves nothing", v.name, len(said))
	}
	t.Logf("%-8s %d statements, about %d events all in all; the last was %+v", v.name, len(said), proven, said[max(0, len(said)-1)].statement)
}

// listedAt reports whether a vendor's server still listed an event at some time:
// of an alarm it lists the state that it is in.
func listedAt(truth []had, at time.Time) func(had) bool {
	state := map[int64]int64{}
	for _, e := range truth {
		if e.Kind == "alarm" && e.Added.Before(at) {
			state[e.ID] = e.Status
		}
	}
	return func(e had) bool { return e.Kind != "alarm" || state[e.ID] == e.Status }
}

// compare holds the journal of a stopped server against a vendor's truth: each
// event is in it once, as it would have been pushed, and nothing else is. Only
// states of alarms that were over before anybody could ask may be missing: lists
// have only the state that an alarm is in.
func compare(t *testing.T, v *vendor, truth []had, events []gatecast.Event) {
	t.Helper()
	listed := listedAt(truth, time.Now())
	times, want := map[string]int{}, map[string]had{}
	for _, e := range truth {
		want[e.id(v.name)] = e
	}
	rewritten := 0
	for _, e := range events {
		if e.Source != v.name {
			continue
		}
		times[e.ID]++
		h, known := want[e.ID]
		switch {
		case !known:
			t.Errorf("event %s is in the journal, and %s never had it: %s", e.ID, v.name, e.Data)
		case h.Kind != e.Kind.String() || !h.At.Equal(e.At):
			t.Errorf("event %s is a %v of %v in the journal, and %+v at %s", e.ID, e.Kind, e.At, h, v.name)
		case string(e.Data) != string(h.Data):
			rewritten++
			sameFields(t, e.ID, h.Data, e.Data)
		}
	}
	missed := 0
	for id, h := range want {
		switch n := times[id]; {
		case n == 0 && !listed(h):
			missed++
		case n != 1:
			t.Errorf("event %s of %v (added %v) is in the journal %d times", id, h.At, h.Added, n)
		}
	}
	t.Logf("%-8s had %d events; %d came from its lists, %d states of alarms were over before", v.name, len(truth), rewritten, missed)
}

// sameFields compares an event that came from a list with what would have been
// pushed, field by field. Lists have more fields than a push, and call a time
// zone "GMT+09:00".
func sameFields(t *testing.T, id string, pushed, listed []byte) {
	t.Helper()
	var want, got map[string]json.RawMessage
	if err := json.Unmarshal(pushed, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(listed, &got); err != nil {
		t.Errorf("event %s is no JSON: %v: %s", id, err, listed)
		return
	}
	if string(got["signTimeZone"]) == `"GMT+09:00"` {
		got["signTimeZone"] = json.RawMessage(`"+09:00"`)
	}
	for name, value := range want {
		if string(got[name]) != string(value) {
			t.Errorf("event %s: %s is %s in the journal, and was %s\n%s", id, name, got[name], value, cmp.Diff(string(pushed), string(listed)))
			return
		}
	}
}
