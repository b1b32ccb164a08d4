//go:build unix

package wsconn

import (
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// waiter is where a socket's reader spends its life. A goroutine's stack
// begins with 2 KiB, grows with the first thing that is done on it, and never
// shrinks again while that goroutine waits in the poller. So it does nothing
// but wait, and has what arrives dealt with on a stack that is given back.
type waiter struct {
	conn   *Conn
	turn   func()         // bound once, as a goroutine's start allocates else
	turns  sync.WaitGroup // the turn under way
	parked bool           // the poller was asked to wait
	err    error          // of the last turn
}

// read waits until there is something to read, and takes a turn, until one
// fails.
func (s *socket) read(c *Conn) error {
	w := &s.wait
	w.conn, w.turn = c, s.turn
	readable := w.readable
	for {
		if c.early == nil {
			if err := s.raw.Read(readable); err != nil {
				return err
			}
		}
		w.parked = false
		w.turns.Add(1)
		go w.turn()
		w.turns.Wait()
		if w.err != nil {
			return w.err
		}
	}
}

// readable reports whether a read would not wait. It reports true without a
// look when the poller has woken it: should that be wrong, a turn reads nothing.
func (w *waiter) readable(fd uintptr) bool {
	if w.parked {
		return true
	}
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p[:], 0)
	w.parked = n == 0 && err == nil
	return !w.parked
}

// turn reads once and deals with what came.
func (s *socket) turn() {
	defer s.wait.turns.Done()
	s.wait.err = s.readOnce(s.wait.conn)
}

func (s *socket) readOnce(c *Conn) error {
	if c.early != nil {
		return c.takeEarly()
	}
	c.pause()
	p := pullers.Get().(*puller)
	defer pullers.Put(p)
	if err := s.raw.Read(p.fn); err != nil {
		return err
	}
	switch {
	case p.err == unix.EAGAIN:
		return nil
	case p.err != nil:
		return p.err
	case p.n == 0:
		return io.EOF
	}
	return c.take(p.buf[:p.n])
}

// puller is one read, pooled with its buffer so that the function given to
// RawConn.Read is made once and not per call.
type puller struct {
	buf [readSize]byte
	fn  func(fd uintptr) bool
	n   int
	err error
}

var pullers = sync.Pool{New: func() any {
	p := new(puller)
	p.fn = p.read
	return p
}}

// read is called with the descriptor by RawConn.Read. It always returns true:
// false would wait for the client.
func (p *puller) read(fd uintptr) bool {
	p.n, p.err = retry(int(fd), p.buf[:], unix.Read)
	return true
}
