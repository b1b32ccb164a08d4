package image

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	page       = 256              // events read at a time
	mostTries  = 6                // of an image that the source refuses
	firstRetry = 30 * time.Second // of such an image; each further one takes twice as long
	firstCalm  = 2 * time.Second  // in which nothing is asked for after trouble; likewise
	mostCalm   = 5 * time.Minute
	outage     = 3           // failures in a row that are not the fault of one image
	glance     = time.Minute // how long news of the journal may stay away before it is looked at anyway
)

// worker fetches the images of one source. Its fields belong to the goroutine of
// run, but for those marked otherwise.
type worker struct {
	fetcher *Fetcher
	name    string             // never changes
	created time.Time          // never changes
	nudge   chan struct{}      // anybody's; holds a token when the source has changed
	cut     context.CancelFunc // anybody's; ends run
	ended   chan struct{}      // anybody's; closed when run has returned

	list    list
	limit   *rate.Limiter // anybody's
	results chan result   // one for each image that is asked for; holds Options.Parallel
	calm    calm
	told    rate.Sometimes // for the log: what is final

	shared shared
}

// shared is what others may set.
type shared struct {
	// mu guards source. It is held only to copy.
	mu     sync.Mutex
	source *gatecast.Source
}

// calm is how a source is left alone that is in trouble.
type calm struct {
	failures int // since anything went well
	until    time.Time
}

type result struct {
	item *item
	answer
}

func newWorker(f *Fetcher, src *gatecast.Source, cut context.CancelFunc) *worker {
	w := &worker{
		fetcher: f, name: src.Name, created: src.Created,
		nudge: make(chan struct{}, 1), cut: cut, ended: make(chan struct{}),
		limit:   rate.NewLimiter(rate.Limit(f.opts.PerSecond), 1),
		results: make(chan result, f.opts.Parallel),
		told:    rate.Sometimes{First: 1, Interval: 10 * time.Minute},
	}
	w.shared.source = src
	return w
}

func (w *worker) source() *gatecast.Source {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	return w.shared.source
}

// adopt takes up changed settings. Anybody may call it.
func (w *worker) adopt(src *gatecast.Source) {
	w.shared.mu.Lock()
	w.shared.source = src
	w.shared.mu.Unlock()
	select {
	case w.nudge <- struct{}{}:
	default: // it has yet to look anyway
	}
}

// run fetches until ctx ends.
func (w *worker) run(ctx context.Context) {
	if !w.open(ctx) {
		return
	}
	moved, stop := w.fetcher.Hub.Listen()
	defer stop()
	var asking sync.WaitGroup
	saved := time.Now()
	for ctx.Err() == nil {
		w.read(ctx)
		w.dispatch(ctx, &asking)
		if time.Since(saved) >= w.fetcher.opts.SaveEvery {
			w.save()
			saved = time.Now()
		}
		w.rest(ctx, moved, saved)
	}
	asking.Wait()
	for len(w.results) > 0 {
		w.settle(ctx, <-w.results)
	}
	w.save()
}

// open finds out where to begin, as often as it takes.
func (w *worker) open(ctx context.Context) bool {
	f := w.fetcher
	for tries := 0; ctx.Err() == nil; tries++ {
		extent, err := f.Hub.Extent(ctx)
		if err == nil {
			var known bool
			if w.list, known = f.load(w.source(), extent.Epoch); known {
				w.list.Waiting = slices.DeleteFunc(w.list.Waiting, func(it *item) bool { return f.Store.Has(it.photo()) })
				return true
			}
			begin := time.Now().Add(-f.opts.For)
			if begin.Before(w.created) {
				begin = w.created
			}
			if w.list.Seq, err = f.Hub.Since(ctx, begin); err == nil {
				w.list.dirty = true
				return true
			}
		}
		if tries == 0 {
			f.opts.Log.Warn("the journal cannot be asked; the images of a source are not fetched", "source", w.name, "err", err)
		}
		pause(ctx, time.Second)
	}
	return false
}

// read looks through the journal for images that are not here, as far as there
// is room for what waits.
func (w *worker) read(ctx context.Context) {
	buf := make([]*gatecast.Event, 0, page)
	for len(w.list.Waiting) < mostWaiting && ctx.Err() == nil {
		head := w.fetcher.Hub.Head()
		events, err := w.fetcher.Hub.Read(ctx, w.list.Seq, buf)
		if gatecast.CodeOf(err) == gatecast.Gap {
			err = w.leap(ctx)
		}
		if err != nil {
			return // the hub says so itself; the next look is soon
		}
		before := w.list.Seq
		for _, ev := range events {
			w.note(ev)
			w.list.Seq = ev.Seq
		}
		if len(events) == 0 {
			w.list.Seq = max(w.list.Seq, head) // between them there are only holes
		}
		w.list.dirty = w.list.dirty || w.list.Seq != before
		if len(events) == 0 && w.list.Seq == before {
			return
		}
	}
}

// leap goes on with the oldest event there is when retention has removed the
// next ones.
func (w *worker) leap(ctx context.Context) error {
	extent, err := w.fetcher.Hub.Extent(ctx)
	if err == nil && extent.First <= w.list.Seq+1 {
		return gatecast.Errorf(gatecast.Unavailable, "events are missing behind %d", w.list.Seq)
	}
	if err == nil {
		w.list.Seq, w.list.dirty = extent.First-1, true
	}
	return err
}

// note takes in the images that an event names.
func (w *worker) note(ev *gatecast.Event) {
	if ev.Source != w.name {
		return
	}
	for _, p := range senselink.PhotosOf(ev) {
		if w.fetcher.Store.Has(p) || w.list.knows(p) {
			continue
		}
		w.list.Waiting = append(w.list.Waiting, &item{Type: p.Type, ID: p.ID, Since: ev.Stored})
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (w *worker) save() {
	if err := w.fetcher.save(w.name, &w.list); err != nil {
		w.fetcher.opts.Log.Warn("the list of a source's images is not on disk; after a restart some are looked for again", "source", w.name, "err", err)
	}
}
