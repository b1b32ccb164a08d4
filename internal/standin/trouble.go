package standin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast/internal/wsconn"
)

// trouble is the misbehaviour that is going on. Server.mu guards it.
type trouble struct {
	active map[Mode]Misbehaviour
	logins []time.Time // of the last minute, while Logins is on
	held   []Event     // by Disorder: fewer than its N
	shaped int         // events since the start, for Rubbish
}

// on reports whether a mode is active.
func (t *trouble) on(mode Mode, now time.Time) bool {
	m, ok := t.active[mode]
	return ok && now.Before(m.until)
}

// skew is how wrong the clock is.
func (t *trouble) skew(now time.Time) time.Duration {
	if !t.on(Clock, now) {
		return 0
	}
	return t.active[Clock].By
}

// seize makes a connection suffer from m.
func (t *trouble) seize(k *socket, m Misbehaviour) {
	switch m.Mode {
	case Stall:
		k.stalled = m.until
	case Silent:
		k.silent = m.until
	}
}

// greet makes a new connection suffer from what is for all.
func (t *trouble) greet(k *socket, now time.Time) {
	for _, mode := range []Mode{Stall, Silent} {
		if m := t.active[mode]; t.on(mode, now) && m.All {
			t.seize(k, m)
		}
	}
}

// login counts an admission, or says why there is none.
func (t *trouble) login(now time.Time) error {
	if !t.on(Logins, now) {
		return nil
	}
	t.logins = slices.DeleteFunc(t.logins, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	if len(t.logins) >= t.active[Logins].N {
		return errors.New("login too frequent")
	}
	t.logins = append(t.logins, now)
	return nil
}

// message is what is sent: an event, or rubbish.
type message struct {
	event   Event
	rubbish []byte // nil: it is the event
	binary  bool   // of rubbish
}

func (m message) frame() *wsconn.Frame {
	switch {
	case m.binary:
		return wsconn.NewBinary(m.rubbish)
	case m.rubbish != nil:
		return textFrame(m.rubbish)
	}
	return textFrame(m.event.Pushed())
}

func (m message) posted() []byte {
	if m.rubbish != nil {
		return m.rubbish
	}
	return m.event.Posted()
}

// shape returns what is sent when an event has come.
func (t *trouble) shape(e Event, now time.Time) []message {
	t.held = append(t.held, e)
	if t.on(Disorder, now) && len(t.held) < t.active[Disorder].N {
		return nil
	}
	return t.release(now)
}

// release returns what is sent of the events at hand.
func (t *trouble) release(now time.Time) []message {
	held := t.held
	t.held = nil
	if t.on(Disorder, now) {
		slices.Reverse(held)
	}
	var out []message
	for _, e := range held {
		t.shaped++
		if n := t.active[Rubbish].N; t.on(Rubbish, now) && t.shaped%n == 0 {
			out = append(out, rubbish(t.shaped/n, e))
		}
		m := message{event: t.rename(e, now)}
		out = append(out, m)
		if t.on(Twice, now) {
			out = append(out, m)
		}
	}
	return out
}

// rename returns the event as it is sent.
func (t *trouble) rename(e Event, now time.Time) Event {
	if !t.on(Rename, now) {
		return e
	}
	if o, err := readObject(e.Data); err == nil { // always: add has written it
		e.Data = o.renamed(t.active[Rename].From, t.active[Rename].To).bytes()
	}
	return e
}

// hugeRubbish is larger than any client should take for an event.
const hugeRubbish = 2 << 20

// rubbish returns the i-th piece that is no event, though some look like e.
func rubbish(i int, e Event) message {
	whole := e.Pushed()
	kinds := [][]byte{
		[]byte("Hello, world! 你好"),
		whole[:len(whole)/2],
		[]byte(`{"code":39999,"desc":"","message":"push weather","data":{"id":1}}`),
		fmt.Appendf(nil, `{"code":%d,"desc":"","message":"push","data":{"id":"twelve","signTime":"now","groups":7,"status":[]}}`, int(e.Kind)),
		fmt.Appendf(nil, `{"code":%d,"desc":"","message":"push","data":[1,2,3]}`, int(e.Kind)),
		{0, 1, 2, 0xfe, 0xff},
		append(bytes.Repeat([]byte("["), 64), bytes.Repeat([]byte(" "), hugeRubbish)...),
	}
	text := kinds[i%len(kinds)]
	return message{rubbish: text, binary: text[0] == 0}
}
