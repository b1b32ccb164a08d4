package sse

import (
	"slices"
	"sync"
)

// queue lets a few at a time do something, in the order in which they came. It
// is no channel because whoever waits has something else to do now and then
// and must neither lose its place by that nor hold up the others.
type queue struct {
	// mu guards the fields below, and the tickets.
	mu      sync.Mutex
	free    int
	waiting []*ticket // as many as there are streams at most
}

// ticket is a place in a queue.
type ticket struct {
	turn chan struct{} // closed when it is the holder's turn
	away bool          // passed over for the time being
}

func newQueue(free int) *queue { return &queue{free: free} }

func (q *queue) enter() *ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &ticket{turn: make(chan struct{})}
	q.waiting = append(q.waiting, t)
	q.grant()
	return t
}

// leave gives up a place, or ends a turn.
func (q *queue) leave(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return
	}
	q.free++
	q.grant()
}

// away has the others go first until back is called. It reports false if it is
// the holder's turn already.
func (q *queue) away(t *ticket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.away = slices.Contains(q.waiting, t)
	return t.away
}

func (q *queue) back(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.away = false
	q.grant()
}

// grant must be called with mu held.
func (q *queue) grant() {
	for q.free > 0 {
		i := slices.IndexFunc(q.waiting, func(t *ticket) bool { return !t.away })
		if i < 0 {
			return
		}
		q.free--
		close(q.waiting[i].turn)
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}
