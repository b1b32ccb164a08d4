package journal

import (
	"context"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
)

// call is one Append on its way through the committer.
type call struct {
	events []gatecast.Event
	msgs   []*nats.Msg
	ids    []idHash
	size   int             // bytes, for the bounds
	gone   <-chan struct{} // closed when the caller no longer waits
	done   chan outcome    // buffered: the committer never waits for a caller
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
	c := newCall(ctx, events, size)
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

// newCall encodes in the caller's goroutine, which leaves the committer free.
func newCall(ctx context.Context, events []gatecast.Event, size int) *call {
	c := &call{
		events: make([]gatecast.Event, len(events)), msgs: make([]*nats.Msg, len(events)), ids: make([]idHash, len(events)),
		size: size, gone: ctx.Done(), done: make(chan outcome, 1),
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i, e := range events {
		e.Seq, e.Stored = 0, now
		if !e.At.IsZero() {
			e.At = time.Unix(e.At.Unix(), 0).UTC()
		}
		c.events[i] = e
		c.msgs[i] = encode(&c.events[i])
		c.ids[i] = hashID(e.ID)
	}
	return c
}

// queue holds the calls that wait for the committer.
type queue struct {
	maxBytes int
	wake     chan struct{} // holds one token: there may be something

	// mu guards the fields below. It is held only to move calls.
	mu     sync.Mutex
	calls  []*call
	bytes  int
	closed bool
}

func newQueue(maxBytes int) *queue {
	return &queue{maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// add refuses when too much waits already: the disk does not keep up.
func (q *queue) add(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed()
	}
	if q.bytes > 0 && q.bytes+c.size > q.maxBytes {
		return &gatecast.Error{
			Code: gatecast.Unavailable, Message: "too many events wait to be stored: the disk does not keep up",
			Remedy: "send again a little later", Retry: time.Second,
		}
	}
	q.calls = append(q.calls, c)
	q.bytes += c.size
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take returns what fits into one commit, at least one call; closed is true
// once nothing is left and nothing can come.
func (q *queue) take(c Commit) (calls []*call, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, events, bytes := 0, 0, 0
	for ; n < len(q.calls); n++ {
		events += len(q.calls[n].events)
		bytes += q.calls[n].size
		if n > 0 && (events > c.Events || bytes > c.Bytes) {
			break
		}
		q.bytes -= q.calls[n].size
	}
	calls = append(calls, q.calls[:n]...)
	clear(q.calls[:n])
	if q.calls = q.calls[n:]; len(q.calls) == 0 {
		q.calls = nil
	}
	return calls, q.closed && n == 0
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
