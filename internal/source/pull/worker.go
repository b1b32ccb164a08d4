package pull

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// worker follows one source. Its fields belong to the goroutine of run, but for
// those marked otherwise.
type worker struct {
	follower *Follower
	name     string // never changes
	pace     pace
	inbox    *inbox             // anybody's
	nudge    chan struct{}      // anybody's; holds a token when the terms have changed
	cut      context.CancelFunc // anybody's; ends run
	ended    chan struct{}      // anybody's; closed when run has returned

	shared shared
}

// shared is what others may see of a worker.
type shared struct {
	// mu guards the fields below. It is held only to copy and to compare.
	mu      sync.Mutex
	terms   *terms
	view    gatecast.SourceState
	doubt   doubt                   // zero: there is none
	leave   context.CancelCauseFunc // ends the connection, or the attempt to make one; nil: there is none
	greeted bool                    // the server has let us in
}

// terms is what a worker goes by, made of a source as it is now. It never
// changes.
type terms struct {
	source  *gatecast.Source
	decoder *senselink.Decoder
}

// Why a connection is ended from this side, other than by the end of it all.
var (
	errChanged = errors.New("the source's settings have changed")
	errDoubted = errors.New("the server does not push what it has")
)

func newWorker(f *Follower, src *gatecast.Source, cut context.CancelFunc) *worker {
	w := &worker{
		follower: f, name: src.Name,
		pace:  pace{rand: f.opts.Rand, perMinute: f.opts.LoginsPerMinute, most: f.opts.MaxPause},
		inbox: newInbox(),
		nudge: make(chan struct{}, 1), cut: cut, ended: make(chan struct{}),
	}
	w.shared.terms = f.termsOf(src)
	w.shared.view = gatecast.SourceState{Name: src.Name, Status: gatecast.SourceConnecting, Since: time.Now()}
	return w
}

func (f *Follower) termsOf(src *gatecast.Source) *terms {
	o := f.opts.Decode
	if name := src.Settings.REST.Zone; name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			f.opts.Log.Error("a source's time zone is not known here", "source", src.Name, "zone", name, "err", err)
		}
		o.Zone = cmp.Or(zone, o.Zone)
	}
	// A message is bounded before it is decoded.
	o.MaxBody = max(o.MaxBody, int64(f.opts.MaxMessage))
	o.Source = src.Name
	return &terms{source: src, decoder: senselink.NewDecoder(o)}
}

// run follows the source until ctx ends. What has been received is stored then.
func (w *worker) run(ctx context.Context) {
	var storing sync.WaitGroup
	defer storing.Wait()
	defer w.inbox.end()
	storing.Go(func() { w.store(ctx) })
	for ctx.Err() == nil {
		t := w.terms()
		if reason := t.source.Paused; reason != "" {
			w.become(gatecast.SourcePaused, reason)
			w.rest(ctx, -1)
			continue
		}
		if wait := w.pace.untilLogin(time.Now()); wait > 0 {
			w.unlive(fmt.Sprintf("it was logged in %d times within a minute, and more would only make it refuse us", w.pace.perMinute))
			w.rest(ctx, wait)
			continue
		}
		w.after(ctx, w.visit(ctx, t))
	}
}

// after decides what comes after a connection that has ended, or was not made.
func (w *worker) after(ctx context.Context, err error) {
	var wait time.Duration
	refused, _ := errors.AsType[*refusal](err)
	status, _ := errors.AsType[*statusError](err)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errChanged), errors.Is(err, errDoubted):
		return
	case refused != nil:
		w.become(gatecast.SourceRefused, refused.Error())
		wait = w.pace.refused()
	default:
		w.become(gatecast.SourceConnecting, err.Error())
		wait = w.pace.failed()
		if status != nil {
			wait = max(wait, min(status.retryAfter, slowest))
		}
	}
	w.rest(ctx, wait)
}

// rest waits for d, without end if that is negative, or until the terms change:
// a wait that was for others is over then.
func (w *worker) rest(ctx context.Context, d time.Duration) {
	var due <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-due:
	case <-w.nudge:
		w.pace.forget()
	}
}

func (w *worker) terms() *terms {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	return w.shared.terms
}

// adopt takes up changed settings. The connection is kept where it can be: what
// is pushed while there is none comes late. Anybody may call it.
func (w *worker) adopt(src *gatecast.Source) {
	next := w.follower.termsOf(src)
	w.shared.mu.Lock()
	before, leave := w.shared.terms.source, w.shared.leave
	w.shared.terms = next
	w.shared.mu.Unlock()
	if sameDoor(before, src) {
		return
	}
	if leave != nil {
		leave(errChanged)
	}
	select {
	case w.nudge <- struct{}{}:
	default: // it has yet to look anyway
	}
}

func sameDoor(a, b *gatecast.Source) bool {
	return a.Settings.URL == b.Settings.URL && a.Settings.AppKey == b.Settings.AppKey &&
		a.Settings.AppSecret == b.Settings.AppSecret && a.Paused == b.Paused
}
