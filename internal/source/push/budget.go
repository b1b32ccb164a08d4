package push

import "sync"

// budget bounds the bytes of all bodies at work. When it is spent, take fails
// at once: a sender that is told to come back costs nothing, one that waits
// holds a connection.
type budget struct {
	max int64

	// mu guards used. It is held for the arithmetic only.
	mu   sync.Mutex
	used int64
}

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.max {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}
