package mqtt

import (
	"sync"

	"github.com/gatecast/gatecast"
)

// task is a packet that was read and must be answered, in its turn.
type task struct {
	size    int            // bytes of the budget that it holds
	event   gatecast.Event // without ID: there is none
	rubbish *rubbish       // nil: the message was understood
	qos     byte           // of a message
	answer  []byte         // what to write when the task is done; empty: nothing
}

// rubbish is what goes to the quarantine.
type rubbish struct {
	why            string // metric label: "topic", "size" or "payload"
	origin, reason string // for the quarantine
	body           []byte
}

func (t *task) isEvent() bool { return t.event.ID != "" }

// inbox holds what was read of one client and not yet answered. It is bounded
// by messages and bytes; when it is full, the client is read no further, and TCP
// holds it back.
type inbox struct {
	most, bytes int

	more chan struct{} // holds one token: there may be something
	room chan struct{} // holds one token: there may be room

	// mu guards the fields below. It is held only to move tasks.
	mu     sync.Mutex
	tasks  []task
	count  int // not yet answered, those that were taken included
	size   int // of these
	closed bool
}

func newInbox(most, bytes int) *inbox {
	return &inbox{most: most, bytes: bytes, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits for room. It reports false if the inbox was closed. Who takes hears
// of the task with the next ring, or when there is no room for another.
func (b *inbox) put(t task) bool {
	for {
		if done, ok := b.try(t); done {
			return ok
		}
		b.ring()
		<-b.room
	}
}

// ring tells who takes that there may be something. Ringing late lets tasks that
// came together be taken together.
func (b *inbox) ring() { stir(b.more) }

func (b *inbox) try(t task) (done, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return true, false
	}
	if b.count >= b.most || b.size > 0 && b.size+t.size > b.bytes {
		return false, false
	}
	b.tasks = append(b.tasks, t)
	b.count++
	b.size += t.size
	return true, true
}

// take waits for tasks, and returns all there are; none when the inbox was
// closed and is empty.
func (b *inbox) take() []task {
	for {
		b.mu.Lock()
		tasks, closed := b.tasks, b.closed
		b.tasks = nil
		b.mu.Unlock()
		if len(tasks) > 0 || closed {
			return tasks
		}
		<-b.more
	}
}

// done makes room for others in the place of tasks that were taken.
func (b *inbox) done(tasks []task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count -= len(tasks)
	for i := range tasks {
		b.size -= tasks[i].size
	}
	stir(b.room)
}

// close lets no more in. What is there can still be taken.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	stir(b.more)
	stir(b.room)
}

func stir(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}
