//go:build unix

package wsconn

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket carries a connection whose file descriptor is ours to use: it reads
// and writes without blocking and lets the runtime's poller do the waiting.
type socket struct {
	raw  syscall.RawConn
	wait waiter
}

// newCarrier returns the carrier for a connection. Only the plain types of
// package net qualify: a type that wraps them may do more on the way.
func newCarrier(nc net.Conn) carrier {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	}
	if raw == nil || err != nil {
		return stream{}
	}
	return &socket{raw: raw}
}

// pusher is the state of one push or try, pooled so that the function given
// to RawConn.Write is made once and not per call.
type pusher struct {
	vec    vector
	fn     func(fd uintptr) bool
	conn   *Conn
	frames []*Frame // none: write what is pending
	taken  int
	err    error
}

var pushers = sync.Pool{New: func() any {
	p := new(pusher)
	p.fn = p.write
	return p
}}

func (s *socket) push(c *Conn, frames []*Frame) (int, error) {
	p := pushers.Get().(*pusher)
	p.conn, p.frames, p.taken, p.err = c, frames, 0, nil
	err := s.raw.Write(p.fn)
	if err == nil {
		err = p.err
	}
	n := p.taken
	p.conn, p.frames = nil, nil
	pushers.Put(p)
	return n, err
}

func (s *socket) try(c *Conn) error {
	_, err := s.push(c, nil)
	return err
}

// write is called with the descriptor by RawConn.Write. It always returns
// true: false would wait for the client.
func (p *pusher) write(fd uintptr) bool {
	if len(p.frames) == 0 {
		_, p.err = p.conn.writePending(int(fd))
		return true
	}
	o := &p.conn.out
	for p.taken < len(p.frames) && p.err == nil && len(o.tail) == 0 {
		rest := p.frames[p.taken:]
		rest = rest[:min(len(rest), batchSize)]
		n, err := p.vec.write(int(fd), rest, p.conn.set.deflateMin)
		o.bytes += uint64(n)
		p.account(rest, n, err)
	}
	return true
}

// account finds out which frames have left. If not all of the batch did, the
// rest of the first that is left becomes the tail, even if that is all of it:
// its drain is what calls for the next push.
func (p *pusher) account(batch []*Frame, n int, err error) {
	if err != nil && err != unix.EAGAIN {
		p.err = err
		return
	}
	for _, f := range batch {
		wire := f.wire(p.conn.set.deflateMin)
		p.taken++
		if n < len(wire) {
			p.conn.out.block(wire[n:])
			return
		}
		n -= len(wire)
	}
}

// writePending writes what waits until the socket is full; the caller holds
// out.mu. It reports whether nothing is left.
func (c *Conn) writePending(fd int) (bool, error) {
	for b := c.out.next(); b != nil; b = c.out.next() {
		n, err := retry(fd, b, write)
		if err == unix.EAGAIN {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		c.out.advance(n)
	}
	return true, nil
}

// drain parks in the poller until the client takes more. RawConn.Write holds
// the descriptor's write lock all the while, which is why nobody else writes
// as long as outbox.draining is set.
func (s *socket) drain(c *Conn) error {
	c.extend()
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		before := c.out.bytes
		done, werr := c.writePending(int(fd))
		failed = werr
		if !done && c.out.bytes != before {
			c.extend()
		}
		return done
	})
	if failed != nil {
		return failed
	}
	return err
}

// retry repeats a system call that a signal interrupted.
func retry(fd int, b []byte, call func(int, []byte) (int, error)) (int, error) {
	for {
		n, err := call(fd, b)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
