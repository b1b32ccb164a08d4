package swarm

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// mailbox brings a worker what others want it to do, and wakes it. It holds a
// task for each Connect, given up or not, that the worker has not got to.
type mailbox struct {
	bell int // eventfd; rings until it is read

	// mu guards the rest. Nobody waits under it: an eventfd takes a write at once.
	mu     sync.Mutex
	tasks  []func()
	closed bool // nobody will look any more
}

func newMailbox() (*mailbox, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return &mailbox{bell: fd}, err
}

// post leaves a task. It returns false if nobody will do it.
func (m *mailbox) post(task func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.tasks = append(m.tasks, task)
	_, _ = unix.Write(m.bell, binary.NativeEndian.AppendUint64(nil, 1)) // EAGAIN after 2^64 tasks: it rings already
	return true
}

// do does what is in the mailbox.
func (m *mailbox) do() {
	for _, task := range m.empty() {
		task()
	}
}

func (m *mailbox) empty() []func() {
	var b [8]byte
	_, _ = unix.Read(m.bell, b[:]) // the tasks are looked at in any case
	m.mu.Lock()
	defer m.mu.Unlock()
	tasks := m.tasks
	m.tasks = nil
	return tasks
}

// shut closes the mailbox and returns what is left in it.
func (m *mailbox) shut() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	_ = unix.Close(m.bell)
	return m.tasks
}
