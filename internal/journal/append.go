package journal

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
)

// call is one Append on its way through the committer.
type call struct {
	events []gatecast.Event
	drafts []draft         // one for each event
	size   int             // bytes, for the bounds
	gone   <-chan struct{} // closed when the caller no longer waits
	done   chan outcome    // buffered: the committer never waits for a caller
}

// draft is an event's message, but for what only the committer knows.
type draft struct {
	id      idHash
	subject []byte
	header  []byte    // on the wire, without the empty line that ends it
	msg     *nats.Msg // for a cluster, instead of subject and header
}

type outcome struct {
	receipt gatecast.Receipt
	err     error
}

func (c *call) abandoned() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// Append stores events and returns after they are on disk: all of them or, on
// an error, none. Events whose ID is known are dropped and counted as
// duplicates. Seq and Stored of the input are ignored; Data must not be changed
// afterwards. An event without ID is Invalid, more than [MaxCall] events or a
// limit of [Commit] passed is TooLarge.
//
// Unavailable means try again with the same IDs. If the context ended while
// the events were on their way, they may have been stored nevertheless; the same
// IDs make the repetition harmless.
func (j *Journal) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	start := time.Now()
	size, err := validate(events, j.opts.Commit)
	if err != nil || len(events) == 0 {
		return gatecast.Receipt{}, err
	}
	if err := j.health.accepting(); err != nil {
		return gatecast.Receipt{}, err
	}
	c := newCall(ctx, events, size, j.remote)
	if err := j.queue.add(c); err != nil {
		return gatecast.Receipt{}, err
	}
	select {
	case o := <-c.done:
		if o.err == nil {
			j.metrics.latency.Observe(time.Since(start).Seconds())
		}
		return o.receipt, o.err
	case <-ctx.Done():
		return gatecast.Receipt{}, &gatecast.Error{
			Code: gatecast.Unavailable, Message: "the journal did not answer in time; whether the events were stored is unknown",
			Remedy: "send them again with the same IDs", Retry: time.Second, Cause: ctx.Err(),
		}
	}
}

// Accepting returns nil, or why an Append would be refused as Unavailable at
// this moment: there is no room, JetStream does not serve, or too much waits
// already. It costs nothing, so that a caller can ask before it takes trouble.
func (j *Journal) Accepting() error {
	if err := j.health.accepting(); err != nil {
		return err
	}
	return j.queue.accepting(time.Now())
}

// newCall encodes in the caller's goroutine, which leaves the committer free.
func newCall(ctx context.Context, events []gatecast.Event, size int, remote bool) *call {
	c := &call{
		events: make([]gatecast.Event, len(events)), drafts: make([]draft, len(events)),
		size: size, gone: ctx.Done(), done: make(chan outcome, 1),
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i, e := range events {
		e.Seq, e.Stored = 0, now
		if !e.At.IsZero() {
			e.At = time.Unix(e.At.Unix(), 0).UTC()
		}
		c.events[i] = e
		c.drafts[i].id = hashID(e.ID)
		if remote {
			c.drafts[i].msg = encode(&c.events[i])
		}
	}
	if !remote {
		c.encode()
	}
	return c
}

// encode writes all headers into one buffer, which is cheaper for the garbage
// collector than some for each event.
func (c *call) encode() {
	const names = 180 // the headers' names and numbers, and the subject's root
	size := 0
	for i := range c.events {
		e := &c.events[i]
		size += names + len(e.ID) + 2*len(e.Device) + len(e.Source) + 8*len(e.Groups)
	}
	buf := make([]byte, 0, size) // what needs escaping may make it grow; parts made before stay good
	for i := range c.events {
		e, d := &c.events[i], &c.drafts[i]
		from := len(buf)
		buf = appendSubject(buf, e)
		split := len(buf)
		buf = appendHeader(buf, e)
		d.subject, d.header = buf[from:split:split], buf[split:len(buf):len(buf)]
	}
}
