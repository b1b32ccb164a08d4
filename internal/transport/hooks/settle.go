package hooks

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// refusals is how many different events in a row are refused before it is the
// endpoint that is taken to be at fault, and not they.
const refusals = 3

// settle takes an answer in.
func (w *worker) settle(r *result) {
	w.flying--
	w.server.metrics.flying.Dec()
	if r.verdict.cut {
		for _, e := range r.entries {
			e.record.tries--
			r.course.back(e, e.due)
		}
		return
	}
	w.status.dirty = true
	x := &r.verdict.exchange
	w.server.Log.Add(w.id, x.Attempt)
	w.server.metrics.attempt(x)
	w.noteRecent(x)
	if r.terms.sub.Settings.URL != w.terms.sub.Settings.URL && x.Outcome != gatecast.Delivered {
		// What an endpoint answers says nothing of the one that took its place.
		w.count.failed++
		for _, e := range r.entries {
			r.course.back(e, time.Time{})
		}
		return
	}
	switch x.Outcome {
	case gatecast.Delivered:
		w.delivered(r)
	case gatecast.Refused:
		w.count.failed++
		w.refused(r)
	case gatecast.Gone:
		w.count.failed++
		w.gone(r)
	case gatecast.Unreachable:
		w.count.failed++
		w.unreachable(r)
	}
	w.judge()
}

func (w *worker) delivered(r *result) {
	if r.entries[0].doubted { // then what it shared the doubt with is to be tried again too
		r.course.finish(r.entries[0])
		r.course.reinstate()
	}
	for _, e := range r.entries {
		if !e.done {
			r.course.finish(e)
		}
	}
	w.count.delivered += uint64(len(r.entries))
	if w.replay != nil && r.course == w.replay.course {
		w.replay.Sent += uint64(len(r.entries))
	}
	if w.endpoint.success(time.Now()) {
		w.lateTo = w.server.Ring.Head() // what came meanwhile is late
		for _, c := range w.courses() {
			c.hasten()
		}
	}
	for _, c := range w.courses() {
		w.convict(c, r.verdict.exchange.Time)
	}
}

// unreachable is a failure of the endpoint. Its events keep their place, and
// what stands behind them in their lanes waits with them; other lanes go on
// until the endpoint has failed too often.
func (w *worker) unreachable(r *result) {
	now := time.Now()
	x := &r.verdict.exchange
	if e := r.entries[0]; r.verdict.stale && !e.record.stale && !w.endpoint.open {
		// A receiver may close a connection that was not needed for a while: once,
		// that is no failure.
		for _, e := range r.entries {
			e.record.stale = true
			r.course.back(e, time.Time{})
		}
		return
	}
	opened := false
	if r.probe || !w.endpoint.open { // what was under way when it opened says nothing new
		opened = w.endpoint.failure(now, x.Error, r.verdict.retryAfter)
	}
	for _, e := range r.entries {
		var due time.Time // none while it is open: the breaker says when
		if !w.endpoint.open {
			due = now.Add(w.endpoint.backoff(e.record.failures))
			e.record.failures++
		}
		r.course.back(e, due)
	}
	if opened {
		w.rally()
	}
}

// rally is for an endpoint that has failed: its events wait for it, and not for
// times of their own, nor in memory.
func (w *worker) rally() {
	for _, c := range w.courses() {
		c.hasten()
	}
	w.letGo()
}

func (w *worker) letGo() {
	for _, c := range w.courses() {
		c.letGo()
	}
}

// refused is an event that its receiver does not want, or all of them. Which of
// the two it is shows when others pass.
func (w *worker) refused(r *result) {
	now := time.Now()
	w.endpoint.row = 0 // somebody is there
	w.endpoint.why = r.verdict.exchange.Error
	if len(r.entries) > 1 { // one of them is at fault: each is sent by itself
		for _, e := range r.entries {
			e.alone = true
			e.record.tries--
			r.course.back(e, time.Time{})
		}
		return
	}
	e := r.entries[0]
	if e.record.refusals == 0 {
		e.record.passed = w.count.delivered
		w.endpoint.refused++
	}
	e.record.refusals++
	e.record.failures = 0
	e.record.last = &r.verdict.exchange
	nothingPassed := e.record.passed == w.count.delivered
	switch last := e.record.refusals >= w.server.opts.RefusedTries; {
	case e.doubted:
		w.refusedAgain(r.course, e, now)
	case w.endpoint.open && !r.probe: // it was under way when the endpoint failed, and says nothing new
		r.course.back(e, now.Add(2*w.endpoint.until.Sub(now)))
	case r.probe, nothingPassed && (w.endpoint.refused >= refusals || len(r.course.doubt) > 0):
		w.refusedAll(r, e, now)
	case !last:
		r.course.back(e, now.Add(w.schedule(e.record.refusals)))
	case nothingPassed && len(r.course.doubt) < doubts:
		// It is in doubt whether it is the event. Those behind it go on, and if the
		// next one passes it is clear.
		w.suspect(r.course, e, now)
	case nothingPassed:
		w.refusedAll(r, e, now)
	default:
		w.setAside(r.course, e)
	}
}

// refusedAll is for an endpoint that refuses one event after the other: it is
// treated like one that fails. It is tried with those in doubt first, then with
// another one; if all of these are refused, a pause follows. The event goes back
// behind the others, so that the next try is with another one. Refused too often
// it comes into doubt, else poisoned events at the heads of all lanes would take
// turns for ever.
func (w *worker) refusedAll(r *result, e *entry, now time.Time) {
	c := r.course
	opened := !w.endpoint.open
	switch doubted := e.record.refusals >= w.server.opts.RefusedTries && len(c.doubt) < doubts; {
	case doubted:
		w.endpoint.pause(now, r.verdict.retryAfter)
		w.suspect(c, e, now)
	default:
		w.endpoint.pause(now, r.verdict.retryAfter)
		c.back(e, now.Add(2*w.endpoint.until.Sub(now)))
	}
	if opened {
		w.letGo()
	}
}

// schedule returns how long a refused event waits before its next try: five
// times as long each time, from five times the first pause on.
func (w *worker) schedule(refusals int) time.Duration {
	d := 5 * w.endpoint.min
	for range refusals - 1 {
		d = min(5*d, 4*w.endpoint.max)
	}
	return d - time.Duration(w.endpoint.rand()*float64(d)/4)
}

// setAside makes a dead letter of an event. If it cannot be kept now, the event
// stays where it is and is tried again.
func (w *worker) setAside(c *course, e *entry) {
	if e.ev == nil {
		e.flying = true
		if err := w.fetch(c, e); err != nil {
			w.keep(c, e)
			return
		}
		if e.ev == nil {
			w.lose(c, e.seq-1, e.seq, 1)
			c.finish(e)
			return
		}
	}
	d := gatecast.DeadLetter{
		Subscription: w.id, Seq: e.seq, Event: *e.ev, First: e.record.first, Tries: e.record.tries, SetAside: time.Now(),
	}
	if e.record.last != nil {
		d.Last = *e.record.last
	}
	if err := w.server.Ledger.SetAside(w.requests, d); err != nil {
		w.server.opts.Log.Error("a dead letter cannot be kept, its event stays in the queue", "subscription", w.id, "seq", e.seq, "err", err)
		w.keep(c, e)
		return
	}
	c.finish(e)
	w.server.metrics.aside.Inc()
	w.server.opts.Log.Warn("an event was refused again and again and is set aside", "subscription", w.id, "seq", e.seq, "id", d.Event.ID, "tries", d.Tries, "reason", d.Last.Error)
	if d.Event.Kind == gatecast.Notice {
		return // else two who refuse notices would make each other new ones for ever
	}
	w.tell(newsDeadLetter, d.Last.Error, map[string]any{"seq": e.seq, "messageId": d.Event.ID, "device": d.Event.Device, "tries": d.Tries})
}

// keep is for an event that should be set aside and cannot be.
func (w *worker) keep(c *course, e *entry) {
	if e.doubted {
		e.flying, e.ev = false, nil
		return
	}
	c.back(e, time.Now().Add(w.schedule(e.record.refusals)))
}

// gone pauses the subscription: whoever was there says that nobody will be.
func (w *worker) gone(r *result) {
	for _, e := range r.entries {
		r.course.back(e, time.Time{})
	}
	why := "its receiver answered 410 Gone"
	w.terms.paused = why
	ctx, cancel := context.WithTimeout(w.requests, pauseTimeout)
	defer cancel()
	if _, err := w.server.Settings.PauseSubscription(ctx, w.id, why); err != nil {
		// It is asked again when it is next tried, which is after a pause.
		w.terms.paused = ""
		w.endpoint.failure(time.Now(), why, time.Minute)
		w.server.opts.Log.Error("a subscription cannot be paused", "subscription", w.id, "err", err)
	}
}

// pauseTimeout bounds how long the registry may take to note a pause.
const pauseTimeout = 5 * time.Second
