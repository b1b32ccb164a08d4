package pull

import (
	"context"
	"sync"

	"github.com/gatecast/gatecast"
)

// What may wait for the journal, besides as much that is on its way into it. When
// either is reached the connection is not read: TCP holds the server back, as it
// would any slow client.
const (
	maxWaiting      = 512
	maxWaitingBytes = 4 << 20
)

// inbox holds what was received and is not yet stored, in order. One goroutine
// puts, and one takes.
type inbox struct {
	filled chan struct{} // holds a token when there may be something, or the end
	freed  chan struct{} // holds a token when there may be room

	// mu guards the fields below. It is held only to move slices.
	mu     sync.Mutex
	events []gatecast.Event
	bytes  int
	ended  bool
}

func newInbox() *inbox {
	return &inbox{filled: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

// put adds e when there is room for it. If ctx ends first it adds e all the same
// and returns false: nobody else has it, and the next one may not be put.
func (b *inbox) put(ctx context.Context, e gatecast.Event) (room bool) {
	room = b.await(ctx)
	b.mu.Lock()
	b.events = append(b.events, e)
	b.bytes += len(e.Data)
	b.mu.Unlock()
	ring(b.filled)
	return room
}

// await waits for room.
func (b *inbox) await(ctx context.Context) bool {
	for b.full() {
		select {
		case <-b.freed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events) >= maxWaiting || b.bytes >= maxWaitingBytes
}

// take waits until there is something and takes all of it. It returns nothing
// after the end.
func (b *inbox) take() []gatecast.Event {
	for {
		b.mu.Lock()
		events, ended := b.events, b.ended
		b.events, b.bytes = nil, 0
		b.mu.Unlock()
		if len(events) > 0 {
			ring(b.freed)
		}
		if len(events) > 0 || ended {
			return events
		}
		<-b.filled
	}
}

// end says that nothing more will be put.
func (b *inbox) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	ring(b.filled)
}

func (b *inbox) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events)
}

func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default: // it has yet to be heard
	}
}
