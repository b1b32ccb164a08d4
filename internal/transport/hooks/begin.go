package hooks

import (
	"context"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// begin goes on where the ledger says that the subscription was. It reports
// false if the worker was cut meanwhile.
func (w *worker) begin() bool {
	w.terms = w.server.termsOf(w.terms.sub)
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
	p = within(p, extent.Last)
	order := w.terms.sub.Settings.Order
	w.main = newCourse(order, p.Head, 0)
	if !w.restore(w.main, p.Pending) {
		return false
	}
	w.main.stored = w.nextStored(p.Head)
	if p.Replay != nil {
		w.replay = &replaying{Replay: *p.Replay}
		w.replay.course = newCourse(order, p.Replay.Position, p.Replay.To)
		w.replay.course.extra = true
		if p.Replay.Ended.IsZero() && !w.restore(w.replay.course, p.Again) {
			return false
		}
	}
	w.judge()
	return true
}

// nextStored returns when the event was accepted that comes next: everything
// before is done. It is zero if there is none, or it cannot be read now.
func (w *worker) nextStored(after gatecast.Seq) time.Time {
	if after >= w.server.Ring.Head() {
		return time.Time{}
	}
	events, err := w.read(after, make([]*gatecast.Event, 0, 1))
	if err != nil || len(events) == 0 {
		return time.Time{}
	}
	return events[0].Stored
}

// within brings progress back that stands beyond the end of the journal: what
// is stored next would be passed over.
func within(p gatecast.Progress, last gatecast.Seq) gatecast.Progress {
	held := func(list []gatecast.Seq) []gatecast.Seq {
		n, _ := slices.BinarySearch(list, last+1)
		return list[:n]
	}
	p.Head, p.Pending, p.Again = min(p.Head, last), held(p.Pending), held(p.Again)
	return p
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
// are lost. It reports false if the worker has to end before: then the course is
// not whole, and must not be kept.
func (w *worker) restore(c *course, pending []gatecast.Seq) bool {
	buf := make([]*gatecast.Event, 0, page)
	for len(pending) > 0 {
		if w.ending() {
			return false
		}
		events, err := w.read(pending[0]-1, buf[:0])
		switch {
		case gatecast.CodeOf(err) == gatecast.Gap:
			pending, err = w.expired(c, pending)
		case err == nil && len(events) == 0: // they are not there, nor is anything behind them
			w.loseAll(c, pending)
			pending = nil
		case err == nil:
			pending = w.readmit(c, events, pending)
		}
		if err != nil {
			w.server.opts.Log.Warn("the journal cannot be read, a subscription waits", "subscription", w.id, "err", err)
			pause(w.requests, readPause)
		}
	}
	return true
}

// ending reports whether nothing new is to be begun.
func (w *worker) ending() bool { return w.requests.Err() != nil || w.server.halted() }

// expired takes out of pending what retention has removed.
func (w *worker) expired(c *course, pending []gatecast.Seq) ([]gatecast.Seq, error) {
	extent, err := w.server.History.Extent(w.requests)
	if err != nil {
		return pending, err
	}
	n, _ := slices.BinarySearch(pending, extent.First)
	w.loseAll(c, pending[:n])
	return pending[n:], nil
}

// readmit takes in those of the events that are pending, and returns the rest
// of what is. A pending event that is not among them though later ones are is
// lost.
func (w *worker) readmit(c *course, events []*gatecast.Event, pending []gatecast.Seq) []gatecast.Seq {
	var gone []gatecast.Seq
	for _, ev := range events {
		for len(pending) > 0 && pending[0] < ev.Seq {
			gone, pending = append(gone, pending[0]), pending[1:]
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
	w.loseAll(c, gone)
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
	main, whole := w.inOrder(w.main, order)
	again := w.replay
	if whole && again != nil {
		r := *again
		r.course, whole = w.inOrder(again.course, order)
		again = &r
	}
	if !whole { // the worker ends, and what it had read is what it keeps
		return true
	}
	w.main, w.replay = main, again
	return false
}

func (w *worker) inOrder(old *course, order gatecast.Order) (c *course, whole bool) {
	c = newCourse(order, old.head, old.end)
	c.stored, c.extra = old.stored, old.extra
	return c, w.restore(c, old.pending())
}
