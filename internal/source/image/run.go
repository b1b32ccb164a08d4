package image

import (
	"context"
	"sync"
)

// Run fetches for the sources there are, and takes up each change of them, until
// ctx ends. It is called once.
func (f *Fetcher) Run(ctx context.Context) error {
	defer f.client.CloseIdleConnections()
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
func (f *Fetcher) tend(ctx context.Context, work *sync.WaitGroup, name string) {
	src, there := f.Sources.Source(name)
	w := f.worker(name)
	if w != nil && (!there || src.Settings.REST.URL == "" || !src.Created.Equal(w.created)) {
		w.cut()
		<-w.ended
		f.metrics.forget(name)
		w = nil
	}
	switch {
	case !there:
		f.forget(name)
	case src.Settings.REST.URL == "":
	case w != nil:
		w.adopt(src)
	case ctx.Err() == nil:
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
	}
}

func (f *Fetcher) drop(w *worker) {
	f.mu.Lock()
	delete(f.workers, w.name)
	f.mu.Unlock()
	close(w.ended)
}

// worker returns the worker of a source; nil if there is none.
func (f *Fetcher) worker(name string) *worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers[name]
}
