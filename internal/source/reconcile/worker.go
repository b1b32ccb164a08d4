package reconcile

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatecast/gatecast"
)

const (
	firstPause  = 10 * time.Second // before a look that failed is taken again
	openPause   = time.Second      // before files and journal are tried again at the start
	mostBackoff = 10               // doublings of firstPause
)

// worker looks at one source. Its fields belong to the goroutine of run, but
// for those marked otherwise.
type worker struct {
	rec     *Reconciler
	name    string             // never changes
	created time.Time          // never changes
	nudge   chan struct{}      // anybody's; holds a token when something in shared has changed
	cut     context.CancelFunc // anybody's; ends run
	ended   chan struct{}      // anybody's; closed when run has returned

	audit *audit
	note  note
	limit *rate.Limiter
	plan  plan
	aside *aside

	shared shared
}

// shared is what others may see of a worker.
type shared struct {
	// mu guards the fields below. It is held only to copy and to compare.
	mu      sync.Mutex
	source  *gatecast.Source
	note    note                    // nobody changes what it points to
	tickets []*ticket               // of those who wait for a look that has not begun
	errands []*errand               // rows that somebody wants to be stored; as many as have asked
	since   time.Time               // of the connection that there is; zero: none was heard of
	wanted  bool                    // a look should begin now
	leave   context.CancelCauseFunc // ends the look under way; nil: there is none
}

// ticket is for who waits for a look. err is set before done is closed.
type ticket struct {
	done chan struct{}
	err  error
}

// plan is when what is due.
type plan struct {
	look     time.Time
	deep     time.Time
	save     time.Time
	failures int // looks that have failed since one succeeded
}

var errChanged = errors.New("the source's settings have changed")

func newWorker(r *Reconciler, src *gatecast.Source, cut context.CancelFunc) *worker {
	w := &worker{
		rec: r, name: src.Name, created: src.Created,
		nudge: make(chan struct{}, 1), cut: cut, ended: make(chan struct{}),
		limit: rate.NewLimiter(rate.Limit(r.opts.PerSecond), 1),
		aside: newAside(),
	}
	w.shared.source = src
	return w
}

// run looks at the source until ctx ends.
func (w *worker) run(ctx context.Context) {
	defer w.dismiss()
	if !w.open(ctx) {
		return
	}
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(w.plan.save) {
			w.keep(ctx)
			w.plan.save = now.Add(w.rec.opts.SaveEvery)
		}
		w.runErrands(ctx)
		if w.due(now) {
			w.look(ctx)
		}
		w.rest(ctx)
	}
	if err := w.audit.save(w.rec.opts.Dir); err != nil {
		w.rec.opts.Log.Warn("what the journal has of a source is not on disk; it will be read again", "source", w.name, "err", err)
	}
}

// open reads what is known, as often as it takes.
func (w *worker) open(ctx context.Context) bool {
	for tries := 0; ctx.Err() == nil; tries++ {
		err := w.read(ctx)
		if err == nil {
			w.publish()
			return true
		}
		if tries == 0 {
			w.rec.opts.Log.Warn("what is known of a source cannot be read; it is not looked at", "source", w.name, "err", err)
		}
		pause(ctx, openPause)
	}
	return false
}

// read reads what is known. A note that is not understood is like none.
func (w *worker) read(ctx context.Context) (err error) {
	if w.audit, err = openAudit(ctx, w.rec.Hub, w.rec.opts.Dir, w.source(), w.rec.opts.Log); err != nil {
		return err
	}
	w.note, err = readNote(ctx, w.rec.opts.Notes, w.source(), w.audit.epoch)
	if gatecast.CodeOf(err) == gatecast.Unavailable {
		return err
	}
	if err != nil {
		w.rec.opts.Log.Warn("a source is looked at as if for the first time", "source", w.name, "err", err)
	}
	return nil
}

// retake takes the note once more, as another node has left it. If it cannot be
// had now, the next look finds so, and tries again.
func (w *worker) retake(ctx context.Context) {
	n, err := readNote(ctx, w.rec.opts.Notes, w.source(), w.audit.epoch)
	if gatecast.CodeOf(err) != gatecast.Unavailable {
		w.note = n
	}
}

// keep brings the audit up to date, and on disk.
func (w *worker) keep(ctx context.Context) {
	err := w.audit.advance(ctx)
	if err == nil {
		err = w.audit.save(w.rec.opts.Dir)
	}
	if err != nil && ctx.Err() == nil {
		w.rec.opts.Log.Warn("what the journal has of a source is not kept up", "source", w.name, "err", err)
	}
}

// due reports whether it is time for a look.
func (w *worker) due(now time.Time) bool {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	s := &w.shared
	return s.source.Paused == "" && (s.wanted || len(s.tickets) > 0 || !now.Before(w.plan.look))
}

// look takes a look, and sets when the next one is due.
func (w *worker) look(ctx context.Context) {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	src, tickets := w.begin(leave)
	if src.Paused != "" { // since due has looked
		settle(tickets, errPaused())
		return
	}
	l := newLook(w, src, time.Now(), len(tickets) > 0)
	err := l.take(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	w.end(l, err)
	if err != nil {
		err = unavailable(err)
	}
	settle(tickets, err)
}

func errPaused() error { return gatecast.Errorf(gatecast.Conflict, "the source is paused") }

// begin takes over who waits for a look, and lets it be ended.
func (w *worker) begin(leave context.CancelCauseFunc) (*gatecast.Source, []*ticket) {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	s := &w.shared
	tickets := s.tickets
	s.tickets, s.wanted, s.leave = nil, false, leave
	return s.source, tickets
}

// end takes note of what came of a look. One that was broken off from this side
// says nothing about the source.
func (w *worker) end(l *look, err error) {
	w.shared.mu.Lock()
	w.shared.leave = nil
	w.shared.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if errors.Is(err, errChanged) {
		w.plan.look = time.Now()
		return
	}
	every := max(l.source.Settings.REST.Every, firstPause)
	if err == nil {
		w.plan.failures = 0
		w.plan.look = l.start.Add(every)
		if l.deep {
			w.plan.deep = l.start.Add(w.rec.opts.DeepEvery)
		}
	} else {
		backoff := time.Duration(float64(firstPause) * math.Exp2(float64(min(w.plan.failures, mostBackoff))) * (0.5 + w.rec.opts.Rand()))
		w.plan.failures++
		w.plan.look = time.Now().Add(min(every, backoff))
	}
	w.rec.metrics.looked(w.name, err, l.reason != "")
}

// rest waits until something is due, or somebody has something to say.
func (w *worker) rest(ctx context.Context) {
	if w.due(time.Now()) {
		return
	}
	next := w.plan.save
	if w.source().Paused == "" && w.plan.look.Before(next) {
		next = w.plan.look
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.nudge:
	}
}

func (w *worker) source() *gatecast.Source {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	return w.shared.source
}

// publish shows others what is known now.
func (w *worker) publish() {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.note = w.note
}

// pause sleeps.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
