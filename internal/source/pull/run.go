package pull

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Run follows the sources there are, and takes up each change of them, until
// ctx ends. What was received by then is stored before it returns, for which
// the journal has 5 seconds. It may be called again when it has returned.
func (f *Follower) Run(ctx context.Context) error {
	// Heard first and looked at second: nothing is missed between.
	changes := f.Sources.SourceChanges(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	for _, src := range f.Sources.Sources() {
		f.tend(ctx, &work, src.Name)
	}
	for name := range changes {
		f.tend(ctx, &work, name)
	}
	<-ctx.Done()
	return ctx.Err()
}

// tend starts, stops or tells the worker of a source that has changed.
func (f *Follower) tend(ctx context.Context, work *sync.WaitGroup, name string) {
	src, there := f.Sources.Source(name)
	there = there && src.Settings.Kind == gatecast.SourceWebSocket
	w := f.worker(name)
	switch {
	case there && w == nil && ctx.Err() == nil:
		ctx, cut := context.WithCancel(ctx)
		w = newWorker(f, src, cut)
		f.mu.Lock()
		f.workers[name] = w
		f.mu.Unlock()
		work.Go(func() {
			defer f.drop(w)
			defer cut()
			w.run(ctx)
		})
	case there && w != nil:
		w.adopt(src)
	case w != nil:
		w.cut()
		<-w.ended
		f.metrics.forget(name)
	}
}

func (f *Follower) drop(w *worker) {
	f.mu.Lock()
	delete(f.workers, w.name)
	f.mu.Unlock()
	close(w.ended)
}

// worker returns the worker of a source; nil if there is none.
func (f *Follower) worker(name string) *worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers[name]
}

func (f *Follower) all() []*worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.workers))
}

// State returns how a source stands, without its statement. Its status is empty
// for a source that is not followed here.
func (f *Follower) State(name string) gatecast.SourceState {
	if w := f.worker(name); w != nil {
		return w.state(time.Now())
	}
	return gatecast.SourceState{Name: name}
}

// Suspect tells that a source has events that it should have pushed over the
// connection that it has now, and did not; why goes into its state. The
// connection is made anew, and the source counts as stalled until it pushes
// something again or two of its looks have passed. Without a connection this
// does nothing.
func (f *Follower) Suspect(name, why string) {
	if w := f.worker(name); w != nil {
		w.suspect(why)
	}
}
