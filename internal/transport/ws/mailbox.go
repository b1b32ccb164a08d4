package ws

import "sync"

// note tells a shard what became of a connection.
type note struct {
	conn *conn
	what event
}

type event int

const (
	joined    event = iota // it is connected
	drained                // its socket takes frames again
	changed                // its app is not what it was
	confirmed              // it has answered a Ping
	acked                  // it has acknowledged
	leaving                // it is to be closed once it has everything
	returned               // the replayer is done with it for now
	left                   // its socket is gone
)

// mailbox carries notes to a shard. Posting never blocks, because the posters
// are the sockets' own goroutines. It is bounded by the connections: each joins
// and leaves once, is with the replayer once at a time, confirms only what
// it was asked for, and is drained and acknowledges once until the shard has looked. Only changes of apps come as often as they are made.
type mailbox struct {
	// mu guards notes; it is held to append or to swap.
	mu    sync.Mutex
	notes []note
	flag  chan struct{} // holds a token while there are notes
}

func newMailbox() *mailbox { return &mailbox{flag: make(chan struct{}, 1)} }

func (m *mailbox) post(n note) {
	m.mu.Lock()
	m.notes = append(m.notes, n)
	m.mu.Unlock()
	select {
	case m.flag <- struct{}{}:
	default:
	}
}

// take returns the notes and leaves spare, emptied, to collect the next ones.
func (m *mailbox) take(spare []note) []note {
	m.mu.Lock()
	defer m.mu.Unlock()
	notes := m.notes
	m.notes = spare[:0]
	return notes
}
