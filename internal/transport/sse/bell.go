package sse

import "sync"

// bell wakes all streams at once. A stream asks for the next ring first and
// looks for news second, so that none falls between.
type bell struct {
	// mu guards the field below.
	mu   sync.Mutex
	next chan struct{} // closed by the next ring; nil while nobody waits
}

func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
