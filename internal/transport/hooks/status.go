package hooks

import (
	"time"

	"github.com/gatecast/gatecast"
)

// judge finds out what the subscription is doing, and tells it if that has
// changed.
func (w *worker) judge() {
	now, why := w.doing()
	before := w.status.status
	if now == before {
		w.status.reason = why
		return
	}
	w.status.status, w.status.since, w.status.reason, w.status.dirty = now, time.Now(), why, true
	w.server.metrics.changes.WithLabelValues(string(now)).Inc()
	switch {
	case now == gatecast.SubscriptionPaused:
		w.announce(newsPaused, why)
	case before == gatecast.SubscriptionPaused:
		w.announce(newsResumed, "")
	case now == gatecast.SubscriptionDegraded:
		w.announce(newsDegraded, why)
	case before == gatecast.SubscriptionDegraded:
		w.announce(newsRecovered, "")
	}
}

// doing returns the status and the reason for it.
func (w *worker) doing() (gatecast.SubscriptionStatus, string) {
	switch e := &w.endpoint; {
	case w.terms.paused != "":
		return gatecast.SubscriptionPaused, w.terms.paused
	case e.degraded(), w.status.status == gatecast.SubscriptionDegraded && !e.proved:
		return gatecast.SubscriptionDegraded, e.why
	case e.open, e.row > 0, w.doubting():
		return gatecast.SubscriptionRetrying, e.why
	}
	return gatecast.SubscriptionActive, ""
}

// snapshot is what others may see of a worker. Times of what it waits for are
// its own.
type snapshot struct {
	state gatecast.SubscriptionState // without what depends on the moment it is asked for
	level bool                       // everything that the ring had was read, and delivered
}

// report shows others how the worker is, and tells the ledger now and then.
func (w *worker) report(now bool) {
	w.show()
	age := time.Since(w.status.saved)
	if now || w.status.dirty && age >= saveEvery || age >= idleSave {
		w.server.Ledger.Save(w.id, w.progress())
		w.status.saved, w.status.dirty = time.Now(), false
	}
}

func (w *worker) progress() gatecast.Progress {
	p := gatecast.Progress{
		Epoch: w.server.opts.Epoch, Head: w.main.head, Pending: w.main.pending(),
		Delivered: w.count.delivered, Failed: w.count.failed, Lost: w.count.lost,
		Status: w.status.status, Since: w.status.since, Reason: w.status.reason,
	}
	if w.replay != nil {
		p.Replay = w.replay.copy()
		if w.replay.Ended.IsZero() {
			p.Again = w.replay.course.pending()
		}
	}
	return p
}

func (w *worker) show() {
	v := snapshot{level: w.terms.paused == "" && w.level() && w.main.size() == 0, state: gatecast.SubscriptionState{
		ID: w.id, Status: w.status.status, Since: w.status.since, Reason: w.status.reason,
		Position: w.main.head, Through: w.main.stored, Pending: w.main.size(), InFlight: w.flying,
		Delivered: w.count.delivered, Failed: w.count.failed, Lost: w.count.lost,
	}}
	if w.endpoint.open {
		v.state.NextTry = w.endpoint.until
	}
	if e := w.main.oldest(); e != nil {
		v.state.Position, v.state.Through = e.seq-1, e.stored
	}
	if w.replay != nil {
		v.state.Replay = w.replay.copy()
	}
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.view = v
}

// unseen is how long an event may take from when it is accepted until it is on
// the ring.
const unseen = time.Second

// State returns how the deliveries of a subscription stand. On a node that does
// not deliver it is what the ledger tells.
func (s *Server) State(id string) gatecast.SubscriptionState {
	now, head := time.Now(), s.Ring.Head()
	st, seen := s.shown(id)
	st.ID, st.Dead = id, s.Ledger.Dead(id)
	if sub, there := s.Settings.Subscription(id); there {
		heedPause(&st, sub, now)
	}
	st.Position = max(st.Position, seen)
	if seen >= head && seen > 0 && s.Ring.Healthy() == nil {
		st.Through = now.Add(-unseen)
	}
	if head > st.Position {
		st.LagEvents = uint64(head - st.Position)
		if !st.Through.IsZero() {
			st.Lag = max(0, now.Sub(st.Through))
		}
	}
	return st
}

// heedPause makes a state show a pause or its end at once: the worker hears of it
// a moment later.
func heedPause(st *gatecast.SubscriptionState, sub *gatecast.Subscription, now time.Time) {
	switch paused := st.Status == gatecast.SubscriptionPaused; {
	case sub.Paused != "" && !paused:
		st.Status, st.Reason, st.Since = gatecast.SubscriptionPaused, sub.Paused, now
	case sub.Paused == "" && paused && st.Reason != appDisabled:
		st.Status, st.Reason, st.Since = gatecast.SubscriptionActive, "", now
	}
}

// shown returns what a worker last showed, and up to where the crier has found
// nothing since for one that has delivered everything; zero if it has not. The
// crier is asked first: what is shown after that is no older.
func (s *Server) shown(id string) (st gatecast.SubscriptionState, seen gatecast.Seq) {
	w := s.worker(id)
	if w == nil {
		return s.kept(id), 0
	}
	at, asleep := s.crier.seen(&w.sleeper)
	w.shared.mu.Lock()
	v, recent := w.shared.view, w.shared.recent.summary()
	w.shared.mu.Unlock()
	st = v.state
	if st.Status == "" { // it has only just begun
		st = s.kept(id)
	}
	st.Recent = recent
	if asleep && v.level {
		seen = at
	}
	return st, seen
}

// kept is a state as the ledger and the settings tell it.
func (s *Server) kept(id string) gatecast.SubscriptionState {
	if p, there := s.Ledger.Progress(id); there {
		return stored(id, p)
	}
	st := gatecast.SubscriptionState{Status: gatecast.SubscriptionActive}
	if sub, there := s.Settings.Subscription(id); there {
		st.Position, st.Since = sub.After, sub.Created
	}
	return st
}

// stored is a state as far as the ledger tells.
func stored(id string, p gatecast.Progress) gatecast.SubscriptionState {
	st := gatecast.SubscriptionState{
		ID: id, Status: p.Status, Since: p.Since, Reason: p.Reason, Position: p.Head, Pending: len(p.Pending),
		Delivered: p.Delivered, Failed: p.Failed, Lost: p.Lost, Replay: p.Replay,
	}
	if len(p.Pending) > 0 {
		st.Position = p.Pending[0] - 1
	}
	return st
}
