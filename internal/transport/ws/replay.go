package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// page is how many events a connection gets from the journal before the next
// connection in the queue has its turn.
const page = 256

// replayer serves connections that are too far behind for the ring. Its
// workers take turns over a queue, so that one app's backlog does not hold up
// another's.
//
// It makes its own frames: those it sends are too old for the shards' memory
// of frames, and would only push the new ones out.
type replayer struct {
	ring    Ring
	history History
	queue   *queue
	pause   time.Duration
	log     *slog.Logger
	metrics *metrics
}

func newReplayer(ring Ring, h History, o Options, m *metrics) *replayer {
	return &replayer{
		ring: ring, history: h, metrics: m, log: o.Log,
		queue: newQueue(),
		pause: 250 * time.Millisecond,
	}
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

// turn sends a connection its next page and hands it back to its shard, which
// sees whether it goes on from the ring, from here, or waits for its socket.
func (r *replayer) turn(ctx context.Context, c *conn, buf []*gatecast.Event) {
	defer c.shard.post(note{conn: c, what: returned})
	events, err := r.history.Read(ctx, c.pos, buf[:0])
	switch {
	case err == nil && len(events) > 0:
		r.send(c, events)
		return
	case gatecast.CodeOf(err) == gatecast.Gap:
		err = r.skip(ctx, c)
	case err == nil:
		err = errNothing
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	r.log.Error("reading the journal for a straggler failed, trying again", "app", c.app, "after", c.pos, "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(r.pause):
	}
}

// errNothing is a journal that has no more events where the ring, which is fed
// by it, says that there are some.
var errNothing = errors.New("the journal has nothing after a position that the ring has left behind")

// send pushes events until the socket takes no more.
func (r *replayer) send(c *conn, events []*gatecast.Event) {
	var frames [batch]*wsconn.Frame
	var seqs [batch]gatecast.Seq
	for len(events) > 0 {
		n, used := 0, 0
		for used < len(events) && n < batch {
			if ev := events[used]; c.view.sees(ev) {
				frames[n], seqs[n] = encode(ev), ev.Seq
				n++
			}
			used++
		}
		taken, err := c.sock.Push(frames[:n])
		r.metrics.delivered(taken)
		if err != nil || taken < n {
			if taken > 0 {
				c.pos = seqs[taken-1]
			}
			return
		}
		c.pos = events[used-1].Seq
		events = events[used:]
	}
}

// skip moves a connection to the oldest event that is left when retention has
// overtaken it, and records the loss: the vendor's protocol has no word for it.
func (r *replayer) skip(ctx context.Context, c *conn) error {
	lost := c.pos
	oldest, err := r.history.Oldest(ctx)
	if err != nil {
		return fmt.Errorf("find the oldest event: %w", err)
	}
	c.pos = max(oldest, c.pos+1) - 1
	r.metrics.lost.Add(float64(c.pos - lost))
	r.log.Error("a slow client lost events to retention", "app", c.app, "after", lost, "up_to", c.pos)
	return nil
}
