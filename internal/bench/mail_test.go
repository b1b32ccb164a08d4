package bench

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/receiver"
)

// newMail is mail whose events are posted by the test itself.
func newMail(t *testing.T, inboxes int) *mail {
	t.Helper()
	events := load.NewEvents(load.DefaultSize).Devices(3)
	r, err := receiver.Listen("127.0.0.1:0", receiver.Options{Inboxes: inboxes, Number: events.NumberOf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &mail{lab: &lab{}, receiver: r, ids: make([]string, inboxes), sender: &sender{events: events}}
}

// post has events come to an inbox one after the other.
func (m *mail) post(t *testing.T, inbox int, numbers ...uint64) {
	t.Helper()
	for _, n := range numbers {
		res, err := http.Post(m.receiver.URL(inbox), "application/json", bytes.NewReader(m.sender.events.Webhook(n)))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("post event %d: %v, %v", n, res, err)
		}
		_ = res.Body.Close()
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}

func TestEveryInboxHasToHaveEveryEvent(t *testing.T) {
	m := newMail(t, 2)
	m.sender.last = 4
	m.post(t, 0, 1, 2, 3, 4)
	m.post(t, 1, 1, 2, 4)
	if _, err := m.audit(gatecast.OrderDevice); err == nil || !strings.Contains(err.Error(), "inbox 1: event 3") {
		t.Errorf("inbox 1 lacks event 3, and the audit says %v", err)
	}
	m.post(t, 1, 3)
	if err := m.await(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	if repeated, err := m.audit(gatecast.OrderDevice); err != nil || repeated != 0 {
		t.Errorf("%d repeated, %v", repeated, err)
	}
	m.post(t, 1, 3, 3, 1)
	if repeated, err := m.audit(gatecast.OrderDevice); err != nil || repeated != 3 || m.delivered() != 8 {
		t.Errorf("%d repeated, want 3; %d delivered, want 8 (%v)", repeated, m.delivered(), err)
	}
}

func TestTheOrderThatWasPromisedIsHeldAgainstTheInbox(t *testing.T) {
	for _, test := range []struct {
		numbers              []uint64
		device, strict, none bool
	}{
		{[]uint64{1, 2, 3, 4}, true, true, true},
		{[]uint64{2, 1, 4, 3}, true, false, true},
		{[]uint64{4, 1, 2, 3}, false, false, true}, // 1 and 4 are of one device
	} {
		m := newMail(t, 1)
		m.sender.last = 4
		m.post(t, 0, test.numbers...)
		for order, fine := range map[gatecast.Order]bool{gatecast.OrderDevice: test.device, gatecast.OrderStrict: test.strict, gatecast.OrderNone: test.none} {
			if _, err := m.audit(order); (err == nil) != fine {
				t.Errorf("%v in the order %q: %v", test.numbers, order, err)
			}
		}
	}
}

func TestAFaultThatTheEndpointFoundFailsTheMeasurement(t *testing.T) {
	m := newMail(t, 1)
	m.sender.last = 1
	m.post(t, 0, 1)
	m.receiver.Inbox(0).Check(func(http.Header, []byte) error { return gatecast.Errorf(gatecast.Invalid, "not signed") })
	m.post(t, 0, 1)
	if _, err := m.audit(gatecast.OrderNone); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("got %v", err)
	}
}

func TestTheMedianOfAnEvenNumberIsTheUpperOne(t *testing.T) {
	if m := middleOf([]float64{4, 1, 3, 2}); m != 3 {
		t.Errorf("got %v", m)
	}
}
