package hooks

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// begin goes on where the ledger says that the subscription was. It reports
// false if the worker was cut meanwhile.
func (w *worker) begin() bool {
	w.adopt()
	if w.terms.sub == nil {
		return false
	}
	extent, ok := w.extent()
	if !ok {
		return false
	}
	w.lateTo = extent.Last
	p, there := w.server.Ledger.Progress(w.id)
	if !there {
		p = gatecast.Progress{Epoch: w.terms.sub.Epoch, Head: w.terms.sub.After, Status: gatecast.SubscriptionActive, Since: time.Now()}
	}
	w.count = tally{delivered: p.Delivered, failed: p.Failed, lost: p.Lost}
	w.status = condition{status: p.Status, since: p.Since, reason: p.Reason, saved: time.Now(), dirty: true}
	if p.Status == gatecast.SubscriptionDegraded { // what it was found out to be, it still is
		w.endpoint.open, w.endpoint.vain, w.endpoint.why = true, degradedAfter+1, p.Reason
	}
	if p.Epoch != w.server.opts.Epoch {
		w.server.opts.Log.Warn("the journal is another one than that which a subscription was reading; it is sent everything in this one",
			"subscription", w.id, "position", p.Head)
		p.Head, p.Pending, p.Replay, p.Again = extent.First-1, nil, nil, nil
	}
	w.main = newCourse(w.terms.sub.Settings.Order, p.Head, 0)
	w.restore(w.main, p.Pending)
	if p.Replay != nil {
		w.replay = &replaying{Replay: *p.Replay}
		w.replay.course = newCourse(w.terms.sub.Settings.Order, p.Replay.Position, p.Replay.To)
		if p.Replay.Ended.IsZero() {
			w.restore(w.replay.course, p.Again)
		}
	}
	w.judge()
	return w.requests.Err() == nil
}

// extent asks the journal until it answers.
func (w *worker) extent() (gatecast.Extent, bool) {
	for {
		extent, err := w.server.History.Extent(w.requests)
		if err == nil {
			return extent, true
		}
		w.server.opts.Log.Warn("the journal cannot be asked, a subscription waits", "subscription", w.id, "err", err)
		if !pause(w.requests, readPause) {
			return extent, false
		}
	}
}

// pause reports false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// restore reads the events again that were read before and not delivered, for
// which lane they stand in is written in them. Those that retention has removed
// are lost.
func (w *worker) restore(c *course, pending []gatecast.Seq) {
	buf := make([]*gatecast.Event, 0, page)
	for len(pending) > 0 && w.requests.Err() == nil {
		events, err := w.read(pending[0]-1, buf[:0])
		switch {
		case gatecast.CodeOf(err) == gatecast.Gap, err == nil && len(events) == 0:
			w.lose(pending[0]-1, pending[0])
			pending = pending[1:]
			continue
		case err != nil:
			w.server.opts.Log.Warn("the journal cannot be read, a subscription waits", "subscription", w.id, "err", err)
			pause(w.requests, readPause)
			continue
		}
		pending = w.readmit(c, events, pending)
	}
}

// readmit takes in those of the events that are pending, and returns the rest
// of what is. A pending event that is not among them though later ones are is
// lost.
func (w *worker) readmit(c *course, events []*gatecast.Event, pending []gatecast.Seq) []gatecast.Seq {
	last := events[len(events)-1].Seq
	for _, ev := range events {
		for len(pending) > 0 && pending[0] < ev.Seq {
			w.lose(pending[0]-1, pending[0])
			pending = pending[1:]
		}
		if len(pending) > 0 && pending[0] == ev.Seq {
			pending = pending[1:]
			c.add(ev)
			if c.held > w.want() {
				e := c.list[len(c.list)-1]
				e.ev = nil
				c.held--
			}
		}
	}
	for len(pending) > 0 && pending[0] <= last {
		w.lose(pending[0]-1, pending[0])
		pending = pending[1:]
	}
	return pending
}

// reordering reports whether another order was asked for and nothing may be sent
// until what is under way in the old one has ended. Then it puts the events into
// the lanes of the new one.
func (w *worker) reordering() bool {
	order := w.terms.sub.Settings.Order
	if w.main.order == order {
		return false
	}
	if w.flying > 0 {
		return true
	}
	w.main = w.inOrder(w.main, order)
	if w.replay != nil {
		w.replay.course = w.inOrder(w.replay.course, order)
	}
	return false
}

func (w *worker) inOrder(old *course, order gatecast.Order) *course {
	c := newCourse(order, old.head, old.end)
	w.restore(c, old.pending())
	return c
}
