package hub

import (
	"slices"
	"sync"
)

// bell tells listeners that the ring has moved. A listener's channel holds one
// token: however often the bell rings while the listener is busy, it looks
// once more and finds everything.
type bell struct {
	// mu guards listeners. Nothing blocks under it: sends are tries.
	mu        sync.Mutex
	listeners []chan struct{}
}

func (b *bell) listen() chan struct{} {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners = append(b.listeners, c)
	return c
}

func (b *bell) leave(c chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.listeners, c); i >= 0 {
		b.listeners = slices.Delete(b.listeners, i, i+1)
	}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.listeners {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (b *bell) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.listeners)
}
