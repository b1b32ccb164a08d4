package ws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
	"golang.org/x/time/rate"
)

// page is how many events a connection gets from the journal before the next
// connection in the queue has its turn.
const page = 256

// least is how many events are read for a client that may be sent fewer: its
// filter may leave most of them out.
const least = 16

// replayer serves connections that are too far behind for the ring. Its
// workers take turns over a queue, so that one app's backlog does not hold up
// another's.
//
// It makes its own frames: those it sends are too old for the shards' memory
// of frames, and would only push the new ones out.
type replayer struct {
	ring    Ring
	history History
	cursors Cursors
	queue   *queue
	pace    *rate.Limiter // bytes of events per second
	pause   time.Duration
	opts    Options
	metrics *metrics
}

func newReplayer(ring Ring, h History, k Cursors, o Options, m *metrics) *replayer {
	r := &replayer{
		ring: ring, history: h, cursors: k, metrics: m, opts: o,
		queue: newQueue(),
		pace:  rate.NewLimiter(rate.Inf, 0),
		pause: 250 * time.Millisecond,
	}
	if o.ReplayRate > 0 {
		r.pace = rate.NewLimiter(rate.Limit(o.ReplayRate), int(max(o.ReplayRate, 64<<10)))
	}
	return r
}

func (r *replayer) add(c *conn) {
	r.metrics.replays.Inc()
	r.queue.add(c)
}

// drop takes a connection that has gone out of the queue, if it is there.
func (r *replayer) drop(c *conn) { r.queue.drop(c) }

// run takes turns with the other workers until ctx ends.
func (r *replayer) run(ctx context.Context) {
	events := make([]*gatecast.Event, 0, page)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.queue.flag:
		}
		for ctx.Err() == nil {
			c, ok := r.queue.next()
			if !ok {
				break
			}
			r.turn(ctx, c, events)
		}
	}
}

// turn sends a connection its next page, or finds out where it begins, and
// hands it back to its shard, which sees whether it goes on from the ring, from
// here, or waits for its socket.
func (r *replayer) turn(ctx context.Context, c *conn, buf []*gatecast.Event) {
	defer c.shard.post(note{conn: c, what: returned})
	err := r.serve(ctx, c, buf)
	if err == nil || ctx.Err() != nil {
		return
	}
	r.opts.Log.Error("reading the journal for a connection failed, trying again", "app", c.who.app, "after", c.position(), "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(r.pause):
	}
}

func (r *replayer) serve(ctx context.Context, c *conn, buf []*gatecast.Event) error {
	if c.begin.open {
		return r.openFromJournal(ctx, c)
	}
	pos := c.position()
	if a := c.receipt.acks; a != nil { // reading what it may not be sent yet would be for nothing
		buf = buf[:0:min(cap(buf), max(least, a.credit()))]
	}
	events, err := r.history.Read(ctx, pos, buf[:0])
	switch {
	case gatecast.CodeOf(err) == gatecast.Gap:
		return r.skip(ctx, c)
	case err != nil:
		return err
	case len(events) == 0:
		return errNothing
	}
	if err := r.wait(ctx, events); err != nil {
		return err
	}
	r.send(c, events)
	return nil
}

// wait keeps the replays together to their rate.
func (r *replayer) wait(ctx context.Context, events []*gatecast.Event) error {
	if r.pace.Limit() == rate.Inf {
		return nil
	}
	for _, ev := range events {
		if err := r.pace.WaitN(ctx, min(len(ev.Data), r.pace.Burst())); err != nil {
			return err
		}
	}
	return nil
}

// errNothing is a journal that has no more events where the ring, which is fed
// by it, says that there are some.
var errNothing = errors.New("the journal has nothing after a position that the ring has left behind")

// send pushes events until the socket takes no more, or the client has to
// acknowledge first.
func (r *replayer) send(c *conn, events []*gatecast.Event) {
	var frames [batch]*wsconn.Frame
	var seqs [batch]gatecast.Seq
	var payload []byte // of the frame in hand, which copies it
	for len(events) > 0 {
		n, used := 0, 0
		for used < len(events) && n < batch {
			if ev := events[used]; c.view.sees(ev) {
				payload = appendPayload(payload[:0], ev, c.view.form(ev, c.who.born), r.opts.Epoch)
				frames[n], seqs[n] = wsconn.NewText(payload), ev.Seq
				n++
			}
			used++
		}
		if !c.push(selection{frames[:n], seqs[:n]}, r.metrics) {
			return
		}
		c.trail.pass(events[used-1].Seq)
		events = events[used:]
	}
}

// skip moves a connection to the oldest event that is left when retention has
// overtaken it.
func (r *replayer) skip(ctx context.Context, c *conn) error {
	extent, err := r.history.Extent(ctx)
	if err != nil {
		return fmt.Errorf("find the oldest event: %w", err)
	}
	from := c.position()
	to := max(extent.First, from+1) - 1
	if to == from {
		return errNothing
	}
	// Lost first: what is confirmed counts as not lost.
	r.lose(ctx, c, gatecast.GapNotice{From: from, To: to, Reason: gatecast.GapRetention}, time.Time{}, true)
	c.trail.pass(to)
	return nil
}

func appendPayload(dst []byte, ev *gatecast.Event, as form, epoch string) []byte {
	if as == plain {
		return senselink.AppendPush(dst, ev)
	}
	return senselink.AppendNumbered(dst, ev, epoch, as == replayed)
}
