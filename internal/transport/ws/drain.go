package ws

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gatecast/gatecast/internal/wsconn"
)

// restartReason is what stands beside close code 1012.
const restartReason = "service restart"

// Drain ends every connection with close code 1012 (service restart), in
// random order over the time spread, so that the clients do not come back all
// at once. A connection that is behind is sent the rest first; the last quarter
// of the time that ctx allows belongs to the closing handshakes, and whoever is
// still behind then is closed all the same. Drain returns when all connections
// are gone or ctx ends.
func (s *Server) Drain(ctx context.Context, spread time.Duration) {
	s.door.close()
	patience, cancel := mostOf(ctx)
	defer cancel()
	s.level(patience)
	conns := s.roster.all()
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	tick := time.NewTimer(0)
	defer tick.Stop()
	for i, c := range conns {
		tick.Reset(spread / time.Duration(len(conns)))
		c.shard.post(note{conn: c, what: leaving})
		if i == len(conns)-1 {
			break
		}
		select {
		case <-tick.C:
		case <-patience.Done():
			spread = 0 // out of time: the rest at once
		}
	}
	select {
	case <-s.roster.empty():
		return
	case <-patience.Done():
	}
	for _, c := range s.roster.all() {
		c.sock.Close(wsconn.StatusRestart, restartReason)
	}
	select {
	case <-s.roster.empty():
	case <-ctx.Done():
	}
}

// mostOf returns a context that ends when three quarters of ctx's time are over.
func mostOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/4))
}

// level waits until each shard has pushed what the ring holds.
func (s *Server) level(ctx context.Context) {
	head := s.ring.Head()
	for _, sh := range s.shards {
		select {
		case <-sh.reached(head):
		case <-ctx.Done():
			return
		}
	}
}

// partIfLevel closes a connection that is to leave and has everything, once it
// has said so or its time for that is over.
func (s *shard) partIfLevel(c *conn) {
	if !c.seat.leaving || c.state() != level {
		return
	}
	now := s.opts.Now()
	if c.receipt.keeps && c.owes() && !c.receipt.silent.Load() {
		if c.seat.partBy.IsZero() {
			c.seat.partBy = now.Add(s.opts.Farewell)
		}
		if now.Before(c.seat.partBy) {
			if c.receipt.acks == nil && c.receipt.asked.Load() == 0 {
				s.ask(c, now)
			}
			s.beats.set(c, c.seat.partBy)
			return
		}
	}
	c.sock.Close(wsconn.StatusRestart, restartReason)
}
