package hooks

import (
	"context"
	"sync"

	"github.com/gatecast/gatecast"
)

// term delivers from the moment this node leads until it no longer does.
func (s *Server) term(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Heard first and looked at second: nothing is missed between.
	subs, apps := s.Settings.SubscriptionChanges(ctx), s.Settings.Changes(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { s.crier.run(ctx) })
	work.Go(func() {
		for key := range apps {
			s.appChanged(key)
		}
	})
	work.Go(func() {
		for _, sub := range s.Settings.Subscriptions() {
			s.tend(ctx, &work, sub.ID)
		}
		for id := range subs {
			s.tend(ctx, &work, id)
		}
	})
	select {
	case <-ctx.Done():
	case <-s.halt:
		s.wait(ctx)
	case <-s.Ledger.Lost():
		s.opts.Log.Warn("another node delivers the subscriptions now")
	}
}

// wait returns when every worker has ended by itself.
func (s *Server) wait(ctx context.Context) {
	for {
		w := s.any()
		if w == nil {
			return
		}
		select {
		case <-w.ended:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) any() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		return w
	}
	return nil
}

// tend starts, stops or tells the worker of a subscription that has changed. One
// that was deleted and made again since begins anew.
func (s *Server) tend(ctx context.Context, work *sync.WaitGroup, id string) {
	sub, there := s.Settings.Subscription(id)
	w := s.worker(id)
	if w != nil && there && w.created.Equal(sub.Created) {
		w.reload()
		return
	}
	if w != nil {
		w.cut()
		<-w.ended
	}
	if w != nil || !there {
		s.Ledger.Forget(id)
		s.Log.Forget(id)
	}
	if !there || s.halted() {
		return
	}
	w = newWorker(s, sub)
	s.mu.Lock()
	s.workers[id] = w
	s.mu.Unlock()
	work.Go(func() {
		defer close(w.ended)
		defer s.drop(w) // first: whoever waited for it finds the place free
		w.run(ctx)
	})
}

func (s *Server) drop(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workers[w.id] == w {
		delete(s.workers, w.id)
	}
}

// worker returns the worker of a subscription; nil if there is none.
func (s *Server) worker(id string) *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[id]
}

func (s *Server) appChanged(key string) {
	var all []*worker
	s.mu.Lock()
	for _, w := range s.workers {
		if w.app == key {
			all = append(all, w)
		}
	}
	s.mu.Unlock()
	for _, w := range all {
		w.reload()
	}
}

// noSubscription is the answer to an ID that nobody has.
func noSubscription(id string) error {
	e := gatecast.Errorf(gatecast.NotFound, "there is no subscription %q", id)
	e.Remedy = "list them with: gatecast sub list"
	return e
}
