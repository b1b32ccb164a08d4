package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gatecast/gatecast"
)

// heir is an unmodified client of the vendor's push that follows gatecast in
// the place of the vendors' servers, and is started again whenever it has ended.
type heir struct {
	*patient
	heard map[int64]string // by number, the data that it was pushed; belongs to the goroutine that listens
}

// numbered is the number by which a client knows an event. The vendors' servers
// number in ranges of their own.
func numbered(kind gatecast.Kind, id, status int64) int64 {
	n := (id*10 + status) * 2
	if kind == gatecast.Alarm {
		n++
	}
	return n
}

// newHeir starts one of the stock clients and waits until it is connected.
func newHeir(t *testing.T, s *server, c stock) *heir {
	t.Helper()
	k := &heir{heard: map[int64]string{}}
	k.patient = &patient{stock: c, app: s.createAppFor(t, c.name), net: newProxy(t), judge: k.judgePush}
	begin(t, s, []*patient{k.patient})
	return k
}

// judgePush returns the number of an event that was pushed, or -1.
func (k *heir) judgePush(line string) (int64, error) {
	message, err := pushed(line)
	if message == "" || err != nil {
		return -1, err
	}
	var m struct {
		Code gatecast.Kind
		Data json.RawMessage
	}
	var d struct{ ID, Status int64 }
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		return -1, fmt.Errorf("it was sent %s: %w", message, err)
	}
	if err := json.Unmarshal(m.Data, &d); err != nil || d.ID == 0 {
		return -1, fmt.Errorf("it was sent %s (%v)", message, err)
	}
	n := numbered(m.Code, d.ID, d.Status)
	if before, again := k.heard[n]; again && before != string(m.Data) {
		return -1, fmt.Errorf("it was sent %s as %s before", m.Data, before)
	}
	k.heard[n] = string(m.Data)
	return n, nil
}

// rejoin starts the client anew if gatecast has been killed, and waits until it
// is connected.
func (k *heir) rejoin(t *testing.T, s *server) {
	t.Helper()
	ended(t, []*patient{k.patient})
	begin(t, s, []*patient{k.patient})
}

// untilHas waits until the client was pushed everything that the journal holds.
func (k *heir) untilHas(t *testing.T, s *server) {
	t.Helper()
	eventually(t, k.name+" has confirmed everything", func(ctx context.Context) bool {
		c, err := s.cursor(ctx, k.app)
		return err == nil && *c.Lag == 0
	})
}

// checkHeir compares what a client was sent with the journal: everything of
// every upstream, once in each connection, in the order and the bytes in which
// it is stored.
func (k *heir) checkHeir(t *testing.T, events []gatecast.Event) {
	t.Helper()
	ended(t, []*patient{k.patient})
	places, upstreams := map[int64]int{}, map[string]int{}
	for i, e := range events {
		var d struct{ ID, Status int64 }
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		n := numbered(e.Kind, d.ID, d.Status)
		places[n] = i
		upstreams[e.Source]++
		if data, was := k.heard[n]; was && !bytes.Equal(e.Data, []byte(data)) {
			t.Errorf("%s was sent %s, and the journal has %s", k.name, data, e.Data)
		}
	}
	k.checkPlaces(t, events, places, 0)
	if len(upstreams) != 3 {
		t.Errorf("%s follows the upstreams %v, want three", k.name, upstreams)
	}
}
