package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
)

// Subscription says what [Client.Subscribe] is to deliver, and who keeps the
// cursor: the server if there is a Name, else Cursor. The zero value begins
// with what is accepted from now on and forgets its cursor with the loop.
type Subscription struct {
	// Name lets the server keep the cursor, under this name of the app's: 1 to
	// 64 letters, digits, '.', '_' or '-'. Loops under one name, also of other
	// processes, share the cursor: give each that must see everything its own.
	Name string

	// Cursor keeps the cursor on this side; not together with Name. It may
	// serve one loop at a time. Default: a [MemoryCursor] of the loop.
	Cursor CursorStore

	// Since is where to begin if Cursor holds none yet. It cannot be chosen
	// with a Name: there the app's settings on the server say so. Default
	// [Latest].
	Since Start

	// Filter narrows what is delivered, to at most 256 devices and 256 groups.
	// The server applies it; a cursor stays valid when it changes, but what was
	// filtered out before does not come back.
	Filter gatecast.Filter

	// InFlight is how many events may be delivered and not acknowledged, 1 to
	// 65,536; the server may allow fewer to a Name. Beyond it the loop waits
	// for acknowledgements. Default 1000.
	InFlight int

	// Remember is how many of the newest events are remembered to recognise
	// one that comes again; at least InFlight. Default 10,000, which takes
	// about 2 MB.
	Remember int
}

func (s Subscription) withDefaults() Subscription {
	s.InFlight = cmp.Or(s.InFlight, 1000)
	s.Remember = max(cmp.Or(s.Remember, 10_000), s.InFlight)
	if s.Cursor == nil && s.Name == "" {
		s.Cursor = MemoryCursor()
	}
	return s
}

// validate returns an Invalid error, or nil. It wants the defaults filled in.
func (s *Subscription) validate() error {
	wrong := func(message, remedy string) error {
		e := gatecast.Errorf(gatecast.Invalid, "the subscription cannot be: %s", message)
		e.Remedy = remedy
		return e
	}
	switch {
	case s.Name != "" && s.Cursor != nil:
		return wrong("Name and Cursor are both set", "set Name if the server is to keep the cursor, or Cursor if you do")
	case s.Name != "" && !s.Since.unsaid():
		return wrong("Since is set, but with a Name the server knows where to begin", "leave Since out, or keep the cursor by Cursor")
	case s.InFlight < 1 || s.InFlight > resume.MaxInFlight:
		return wrong("InFlight is "+strconv.Itoa(s.InFlight), "choose 1 to "+strconv.Itoa(resume.MaxInFlight))
	}
	_, err := resume.Parse(s.query(s.Since.since))
	return err
}

// query is what the subscription asks for in the URL. since counts where the
// server keeps no cursor.
func (s *Subscription) query(since resume.Since) url.Values {
	q := make(url.Values)
	for _, k := range s.Filter.Kinds {
		q.Add("kinds", strconv.Itoa(int(k)))
	}
	for _, d := range s.Filter.Devices {
		q.Add("sn", d)
	}
	for _, g := range s.Filter.Groups {
		q.Add("group", strconv.FormatInt(g, 10))
	}
	if s.Name != "" {
		q.Set("client", s.Name)
		q.Set("ack", "manual")
		q.Set("inflight", strconv.Itoa(s.InFlight))
		return q
	}
	q.Set("seq", "1")
	q.Set("since", Start{since}.String())
	if since.Epoch != "" {
		q.Set("epoch", since.Epoch)
	}
	return q
}

// Delivery is one event, or the news that some are lost.
type Delivery struct {
	// Event is the event; Seq is its place in the journal. If Gap is set there
	// is none: only Seq, and Raw if the server sent the news, are filled in.
	Event

	Epoch  string // of the journal that Seq is a place in
	Replay bool   // it was accepted before this connection was made

	// Gap tells, if it is not nil, that the events after Gap.From up to Gap.To
	// are lost to this subscription and will not come. See
	// [gatecast.GapNotice] for what From means if the journal is another one.
	Gap *gatecast.GapNotice

	ack func()
}

// Position returns the place of the delivery: a subscription that begins after
// it gets what followed.
func (d *Delivery) Position() Position { return Position{Epoch: d.Epoch, Seq: d.Seq} }

// Ack says that the delivery has been handled and need not come again. It may
// be called once or often, from any goroutine and in any order, as long as the
// loop runs; it never waits. The cursor moves when nothing before it is open.
func (d *Delivery) Ack() {
	if d.ack != nil { // nil where a test made the delivery
		d.ack()
	}
}

// Subscribe connects as the app and yields every event from where the cursor
// stands, for as long as the loop runs. Like [Client.Events] it reconnects by
// itself, and yields an error, with a nil Delivery, only as the very last
// thing: besides those of Events, Invalid if the subscription is wrong or the
// server is none that can do this, Malformed for a message that cannot be read
// (passing over it could lose an event), and that of a cursor that cannot be
// loaded or saved.
//
// A delivery is acknowledged by [Delivery.Ack] and by nothing else. The cursor
// moves over deliveries that are acknowledged without a hole before them. What
// is behind it comes again in the next loop; the running loop delivers an
// event once, however often the connection breaks. Leaving the loop, and the
// end of ctx, save the cursor as it is then, so wait for those who work on
// deliveries before you leave. If that saving fails, the end of ctx yields the
// error; a loop that was left cannot hear of it, and it is only logged. Either
// way the events come again.
//
// The cursor is saved, or told to the server, 100 or 50 ms after it has moved.
// A crash repeats what was acknowledged since then, and with a Name also what
// the server had not yet written (resume.commit_interval, 1 s), if it crashes.
//
// What is lost is a delivery too, with Gap set, and is acknowledged like any
// other: until then it will be told again by the next loop. Besides the
// server's notices these are an epoch that changes and a Seq that goes back.
//
// An event comes again if a sender sent it twice or the journal was restored.
// It is dropped if it has the same Epoch and Seq, or the same ID and data, as
// one of the newest Remember events of this loop.
func (c *Client) Subscribe(ctx context.Context, s Subscription) iter.Seq2[*Delivery, error] {
	return func(yield func(*Delivery, error) bool) {
		err := c.subscribe(ctx, s, yield)
		if !errors.Is(err, errLeft) {
			yield(nil, err)
		}
	}
}
