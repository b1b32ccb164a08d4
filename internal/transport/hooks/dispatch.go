package hooks

import "time"

// dispatch starts every request that may start now, and returns when the next
// one may; zero if that depends on something else.
func (w *worker) dispatch() (next time.Time) {
	for w.terms.paused == "" && w.requests.Err() == nil && !w.server.halted() && !w.reordering() {
		now := time.Now()
		if w.flying >= w.allowed() {
			return next
		}
		if w.endpoint.open && now.Before(w.endpoint.until) {
			return sooner(next, w.endpoint.until)
		}
		started, at := w.dispatchOne(now)
		next = sooner(next, at)
		if !started {
			return next
		}
		next = time.Time{}
		w.fill()
	}
	return next
}

// dispatchOne starts a request of the first course that has one, or returns
// when there may be one.
func (w *worker) dispatchOne(now time.Time) (started bool, next time.Time) {
	for _, c := range w.courses() {
		c.promote(now)
		if len(c.later) > 0 {
			next = sooner(next, c.later[0].due)
		}
		if len(c.ready) == 0 && c.doubtful(now) == nil {
			if len(c.doubt) > 0 {
				next = sooner(next, c.round.due)
			}
			continue
		}
		if at := w.gathering(c, now); !at.IsZero() {
			next = sooner(next, at)
			continue
		}
		late := w.late(c)
		if wait := w.terms.pace.wait(now, late); wait > 0 {
			next = sooner(next, now.Add(wait))
			continue
		}
		if w.launch(c, late, now) {
			return true, time.Time{}
		}
		return !w.readAt.After(now), sooner(next, w.readAt)
	}
	return false, next
}

// late reports whether what a course sends next is late.
func (w *worker) late(c *course) bool {
	return c != w.main || len(c.ready) == 0 || c.ready[0].seq <= w.lateTo
}

// gathering returns until when a batch waits for more events; zero if it does
// not.
func (w *worker) gathering(c *course, now time.Time) time.Time {
	b := w.terms.sub.Settings.Batch
	if !b.On() || b.Wait == 0 || c.held >= b.Max || w.endpoint.open || len(c.ready) == 0 || c.ready[0].record.tries > 0 {
		return time.Time{}
	}
	if at := c.ready[0].stored.Add(b.Wait); at.After(now) {
		return at
	}
	return time.Time{}
}

// launch sends what a course has ready. It reports false if nothing could be.
func (w *worker) launch(c *course, late bool, now time.Time) bool {
	var job []*entry
	if e := c.doubtful(now); e != nil {
		job = []*entry{e}
		c.fly(e)
	} else {
		job = c.take(w.bodySize())
	}
	job, err := w.load(c, job)
	if err != nil {
		w.unread(c, err)
	}
	if len(job) == 0 {
		return false
	}
	d := delivery{
		worker: w, course: c, entries: job, terms: w.terms, late: late, probe: w.endpoint.open,
		try: job[0].record.tries + 1,
	}
	for _, e := range job {
		if e.record.first.IsZero() {
			e.record.first = now
		}
		e.record.tries++
		d.events = append(d.events, e.ev)
	}
	w.flying++
	w.server.metrics.flying.Inc()
	go d.run(w.requests)
	return true
}

// bodySize is how many events go into the next body. A failed endpoint is tried
// with one.
func (w *worker) bodySize() int {
	if b := w.terms.sub.Settings.Batch; b.On() && !w.endpoint.open {
		return b.Max
	}
	return 1
}
