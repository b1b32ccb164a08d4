package reconcile

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/gatecast/gatecast"
)

// Run looks at the sources there are, and takes up each change of them, until
// ctx ends. It may be called again when it has returned, and goes on from the
// notes as they are then.
func (r *Reconciler) Run(ctx context.Context) error {
	defer r.client.CloseIdleConnections()
	// Heard first and looked at second: nothing is missed between.
	changes := r.Sources.SourceChanges(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	for _, src := range r.Sources.Sources() {
		r.tend(ctx, &work, src.Name)
	}
	for name := range changes {
		r.tend(ctx, &work, name)
	}
	<-ctx.Done()
	return ctx.Err()
}

// tend starts, stops or tells the worker of a source that has changed.
func (r *Reconciler) tend(ctx context.Context, work *sync.WaitGroup, name string) {
	src, there := r.Sources.Source(name)
	w := r.worker(name)
	if w != nil && (!there || src.Settings.REST.URL == "" || !src.Created.Equal(w.created)) {
		w.cut()
		<-w.ended
		r.metrics.forget(name)
		w = nil
	}
	switch {
	case !there:
		r.forget(ctx, name)
	case src.Settings.REST.URL == "":
	case w != nil:
		w.adopt(src)
	case ctx.Err() == nil:
		ctx, cut := context.WithCancel(ctx)
		w = newWorker(r, src, cut)
		r.mu.Lock()
		r.workers[name] = w
		r.mu.Unlock()
		work.Go(func() {
			defer r.drop(w)
			defer cut()
			w.run(ctx)
		})
	}
}

func (r *Reconciler) drop(w *worker) {
	r.mu.Lock()
	delete(r.workers, w.name)
	r.mu.Unlock()
	close(w.ended)
}

// worker returns the worker of a source; nil if there is none.
func (r *Reconciler) worker(name string) *worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.workers[name]
}

func (r *Reconciler) all() []*worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.workers))
}

// Statement returns what is known of a source's completeness; the zero value if
// it is not asked.
func (r *Reconciler) Statement(name string) gatecast.Statement {
	if w := r.worker(name); w != nil {
		return w.statement()
	}
	return gatecast.Statement{}
}

// Connected tells that a source has let us in: what it had before was not
// pushed, so it is looked at now. It never blocks.
func (r *Reconciler) Connected(name string) {
	if w := r.worker(name); w != nil {
		w.connected()
	}
}

// Reconcile looks at a source now, as far back as REST.Lookback, and returns
// what is known then. Its error is NotFound if there is no such source, Conflict
// if it is paused or has no REST.URL, and Unavailable if the look failed, with
// why in the statement too.
func (r *Reconciler) Reconcile(ctx context.Context, name string) (gatecast.Statement, error) {
	src, there := r.Sources.Source(name)
	if !there {
		return gatecast.Statement{}, gatecast.Errorf(gatecast.NotFound, "there is no source %q", name)
	}
	if src.Settings.REST.URL == "" {
		e := gatecast.Errorf(gatecast.Conflict, "source %q cannot be asked what it has: it has no rest.url", name)
		e.Remedy = "give it the address of its REST interface"
		return gatecast.Statement{}, e
	}
	if src.Paused != "" {
		e := gatecast.Errorf(gatecast.Conflict, "source %q is paused", name)
		e.Remedy = "resume it first"
		return r.Statement(name), e
	}
	w := r.worker(name)
	if w == nil {
		return gatecast.Statement{}, gatecast.Errorf(gatecast.Unavailable, "source %q is only being taken up; try again", name)
	}
	err := w.demand(ctx)
	return w.statement(), err
}
