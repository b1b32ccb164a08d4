package hooks

import (
	"context"
	"sync"

	"github.com/gatecast/gatecast"
)

// crier looks at each new event once for all workers that have nothing to do,
// and wakes those that it is for. Else a thousand subscriptions to a device
// each would all wake for every event.
type crier struct {
	ring Ring

	// mu guards the fields below. It is held for a look at some events by all
	// who sleep, which takes no I/O.
	mu       sync.Mutex
	head     gatecast.Seq // looked at up to here
	sleepers map[*sleeper]struct{}
}

// sleeper is a worker that has seen everything up to the crier's head.
type sleeper struct {
	sight *sight
	wake  chan<- struct{} // holds one token
	woken bool
	clear gatecast.Seq // once woken: nothing for it up to here
}

func newCrier(r Ring) *crier {
	return &crier{ring: r, head: r.Head(), sleepers: map[*sleeper]struct{}{}}
}

// look is how many events are looked at under the lock.
const look = 64

func (c *crier) run(ctx context.Context) {
	moved, stop := c.ring.Listen()
	defer stop()
	buf := make([]*gatecast.Event, 0, look)
	for {
		for c.round(buf) {
		}
		select {
		case <-ctx.Done():
			return
		case <-moved:
		}
	}
}

// round looks at the next events, and reports whether there may be more.
func (c *crier) round(buf []*gatecast.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, ok := c.ring.Window(c.head, buf)
	if !ok { // it was too slow: let them look for themselves
		for s := range c.sleepers {
			c.rouse(s, max(s.clear, c.head))
		}
		c.head = c.ring.Head()
		return true
	}
	for _, ev := range events {
		g := glimpse{ev: ev}
		for s := range c.sleepers {
			if ev.Seq > s.clear && s.sight.sees(&g) { // else it was there before the crier
				c.rouse(s, ev.Seq-1)
			}
		}
		c.head = ev.Seq
	}
	clear(events)
	return len(events) > 0
}

// rouse must be called with mu held.
func (c *crier) rouse(s *sleeper, clear gatecast.Seq) {
	s.woken, s.clear = true, clear
	delete(c.sleepers, s)
	select {
	case s.wake <- struct{}{}:
	default: // it is being woken already
	}
}

// sleep lays down a worker that has seen everything up to a position. It
// reports false if there is more.
func (c *crier) sleep(s *sleeper, at gatecast.Seq) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at < c.head {
		return false
	}
	s.woken, s.clear = false, at
	c.sleepers[s] = struct{}{}
	return true
}

// rise takes up a worker, and returns up to where there was nothing for it.
func (c *crier) rise(s *sleeper) gatecast.Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.woken {
		return s.clear
	}
	delete(c.sleepers, s)
	return max(s.clear, c.head) // it may have seen what the crier has not
}

// wake wakes a worker that is to look for itself from here on.
func (c *crier) wake(s *sleeper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, asleep := c.sleepers[s]; asleep {
		c.rouse(s, max(s.clear, c.head))
	}
}

// seen returns up to where there was nothing for a worker, if it is asleep.
func (c *crier) seen(s *sleeper) (at gatecast.Seq, asleep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, asleep = c.sleepers[s]
	return max(s.clear, c.head), asleep
}
