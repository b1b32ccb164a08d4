package hooks

import (
	"time"

	"github.com/gatecast/gatecast"
)

const (
	page      = 64                     // events read at a time
	pageBytes = 1 << 20                // of their data, beyond the first event; the rest is read again
	readPause = 250 * time.Millisecond // before a journal that failed is asked again
)

// want is how many events a worker has in memory, ready to go, besides those
// under way: enough that a request can follow each that ends.
func (w *worker) want() int {
	s := &w.terms.sub.Settings
	return max(16, 2*w.endpoint.allowed(w.most())*max(1, s.Batch.Max))
}

// most is how many requests may be under way at once.
func (w *worker) most() int {
	if w.terms.sub.Settings.Order == gatecast.OrderStrict {
		return 1
	}
	return w.terms.sub.Settings.Concurrency
}

// fill reads on where there is too little to send.
func (w *worker) fill() {
	if w.terms.paused != "" || time.Now().Before(w.readAt) {
		return
	}
	for _, c := range w.courses() {
		for w.hungry(c) && w.advance(c) {
		}
	}
}

// courses returns what is to be delivered, in the order of its right of way.
func (w *worker) courses() []*course {
	if w.replay == nil || !w.replay.Ended.IsZero() {
		return []*course{w.main}
	}
	return []*course{w.main, w.replay.course}
}

// hungry reports whether a course should read on. While the endpoint is down one
// event to try it with is enough.
func (w *worker) hungry(c *course) bool {
	switch {
	case c.size() >= w.server.opts.MaxPending, c.end > 0 && c.head >= c.end, w.requests.Err() != nil:
		return false
	case w.endpoint.open:
		return w.flying == 0 && len(c.ready) == 0
	}
	return c.held < w.want()
}

// advance reads the next events of a course, and reports whether there may be
// more.
func (w *worker) advance(c *course) bool {
	buf := make([]*gatecast.Event, 0, page)
	events, inRing := buf, false
	if c == w.main {
		top := w.server.Ring.Head()
		if events, inRing = w.server.Ring.Window(c.head, buf); inRing && len(events) == 0 {
			c.head = max(c.head, top) // there are holes up to it
			return false
		}
	}
	if !inRing {
		var err error
		events, err = w.read(c.head, buf)
		if gatecast.CodeOf(err) == gatecast.Gap {
			return w.leap(c)
		}
		if err == nil && len(events) == 0 && c.end > 0 { // it ends in a hole
			c.head = c.end
			return false
		}
		if err != nil || len(events) == 0 {
			w.unread(c, err)
			return false
		}
	}
	w.takeIn(c, events)
	return true
}

// read reads the journal, in turn with others. What this node has not seen yet
// may be there all the same: that it finds nothing would prove nothing.
func (w *worker) read(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	if after >= w.server.Ring.Head() {
		return nil, gatecast.Errorf(gatecast.Unavailable, "this node has not read the journal so far")
	}
	select {
	case w.server.readers <- struct{}{}:
		defer func() { <-w.server.readers }()
	case <-w.requests.Done():
		return nil, w.requests.Err()
	}
	return w.server.History.Read(w.requests, after, buf)
}

// unread is for a journal that fails, or that does not have what the ring says
// there is. It is asked again a little later.
func (w *worker) unread(c *course, err error) {
	w.readAt = time.Now().Add(readPause)
	if w.requests.Err() == nil {
		w.server.opts.Log.Warn("the journal cannot be read, a subscription waits", "subscription", w.id, "after", c.head, "err", err)
	}
}

// takeIn adds to a course what the subscription is to be sent.
func (w *worker) takeIn(c *course, events []*gatecast.Event) {
	bytes := 0
	for _, ev := range events {
		if c.end > 0 && ev.Seq > c.end {
			c.head = c.end
			return
		}
		if bytes > pageBytes {
			return
		}
		bytes += len(ev.Data)
		if g := (glimpse{ev: ev}); w.terms.sight.sees(&g) {
			c.add(ev)
		}
		c.head, c.stored = ev.Seq, ev.Stored
		w.status.dirty = true
	}
}

// leap goes on with the oldest event that is left when retention has removed
// the next ones.
func (w *worker) leap(c *course) bool {
	extent, err := w.server.History.Extent(w.requests)
	if err != nil || extent.First <= c.head+1 {
		w.unread(c, err)
		return false
	}
	to := extent.First - 1
	if c.end > 0 {
		to = min(to, c.end)
	}
	w.lose(c, c.head, to, uint64(to-c.head))
	c.head = to
	return true
}

// lose accounts for positions that can no longer be sent. Those of a replay were
// sent once: they are no loss.
func (w *worker) lose(c *course, after, to gatecast.Seq, n uint64) {
	if c.extra {
		w.server.opts.Log.Warn("the journal no longer holds what is replayed", "subscription", w.id, "after", after, "up_to", to, "positions", n)
		return
	}
	w.count.lost += n
	w.status.dirty = true
	w.server.metrics.lost.Add(float64(n))
	w.server.opts.Log.Error("events are lost to a subscription: the journal no longer holds them", "subscription", w.id, "after", after, "up_to", to, "positions", n)
	w.tell(newsGap, "the journal no longer holds them", map[string]any{"after": after, "up_to": to})
}

// loseAll is lose for positions that need not be neighbours, in one notice.
func (w *worker) loseAll(c *course, gone []gatecast.Seq) {
	if n := len(gone); n > 0 {
		w.lose(c, gone[0]-1, gone[n-1], uint64(n))
	}
}

// load reads the events of a job again that are not in memory, and returns those
// of the job that can be sent. Reading fetches those behind them as well.
func (w *worker) load(c *course, job []*entry) (ready []*entry, err error) {
	for i, e := range job {
		if e.ev == nil {
			if err = w.fetch(c, e); err != nil {
				for _, rest := range job[i:] {
					c.back(rest, rest.due)
				}
				return ready, err
			}
		}
		switch g := (glimpse{ev: e.ev}); {
		case e.ev == nil:
			w.lose(c, e.seq-1, e.seq, 1)
			c.finish(e)
		case !w.terms.sight.sees(&g): // it was, when it was read
			c.finish(e)
		default:
			ready = append(ready, e)
		}
	}
	return ready, nil
}

// fetch reads an event under way. It stays away if retention has removed it.
func (w *worker) fetch(c *course, e *entry) error {
	events, err := w.read(e.seq-1, make([]*gatecast.Event, 0, page))
	if gatecast.CodeOf(err) == gatecast.Gap {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ev := range events {
		other := c.find(ev.Seq)
		switch {
		case other == nil || other.ev != nil:
		case other.flying:
			other.ev = ev // it is not held: it is under way
		case other.doubted:
		case c.held < w.want():
			c.hold(other, ev)
		}
	}
	return nil
}
