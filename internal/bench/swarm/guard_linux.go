package swarm

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// guard serves clients over TLS, each by a goroutine of its own.
type guard struct {
	handler Handler
	opts    Options
	running sync.WaitGroup
	permits chan struct{} // one for each handshake under way; nil: any number

	// places has one for each worker that was asked for, held while a client of
	// that one calls the handler, which does not block.
	places []sync.Mutex

	open, frames, bytes, pongs, retries atomic.Int64

	// mu guards the connections. They are closed outside.
	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil: the swarm is closed
}

func newGuard(h Handler, o Options) *guard {
	g := &guard{handler: h, opts: o, places: make([]sync.Mutex, o.Workers), conns: make(map[net.Conn]struct{})}
	if o.Dialing > 0 {
		g.permits = make(chan struct{}, o.Dialing)
	}
	return g
}

func (g *guard) dial(ctx context.Context, w *wave, from, to int) {
	w.trying.Add(to - from)
	for i := from; i < to; i++ {
		g.running.Go(func() {
			s := &secure{guard: g, number: i, place: &g.places[i%len(g.places)]}
			err := s.connect(ctx, w)
			w.trying.Done()
			if err == nil {
				s.listen()
			}
		})
	}
}

func (g *guard) abandon(w *wave) { w.trying.Wait() } // its context has ended

// permit waits until another handshake may be under way.
func (g *guard) permit(ctx context.Context) error {
	if g.permits == nil {
		return ctx.Err()
	}
	select {
	case g.permits <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *guard) permitDone() {
	if g.permits != nil {
		<-g.permits
	}
}

// keep notes a connection, so that close can end it.
func (g *guard) keep(c net.Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return errClosed
	}
	g.conns[c] = struct{}{}
	return nil
}

// drop closes a connection. It returns false if the swarm is closed.
func (g *guard) drop(c net.Conn) bool {
	_ = c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	return g.conns != nil
}

func (g *guard) stats() Stats {
	return Stats{
		Open: g.open.Load(), Frames: g.frames.Load(), Bytes: g.bytes.Load(),
		Pongs: g.pongs.Load(), Retries: g.retries.Load(),
	}
}

func (g *guard) close() {
	g.mu.Lock()
	conns := g.conns
	g.conns = nil
	g.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
	g.running.Wait()
	g.open.Store(0)
}
