package ws

import (
	"sync"

	"github.com/gatecast/gatecast"
)

// marks are positions that somebody waits for.
type marks struct {
	// mu guards the field below.
	mu   sync.Mutex
	open map[chan struct{}]gatecast.Seq
}

func (m *marks) set(pos gatecast.Seq) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = make(map[chan struct{}]gatecast.Seq)
	}
	c := make(chan struct{})
	m.open[c] = pos
	return c
}

func (m *marks) pass(pos gatecast.Seq) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, want := range m.open {
		if pos >= want {
			close(c)
			delete(m.open, c)
		}
	}
}
