package wsconn

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// refuse returns why nothing more can be sent. The caller holds out.mu, as
// for everything in this file that does not say otherwise.
func (c *Conn) refuse() error {
	if c.out.err != nil {
		return c.out.err
	}
	if c.out.closing {
		return ErrClosing
	}
	return nil
}

// kick gets what is pending under way.
func (c *Conn) kick() error {
	if c.out.draining {
		return nil // the drain goroutine comes to it
	}
	err := c.carrier.try(c)
	c.settle(err)
	return err
}

// settle follows up on an attempt to write: it starts the drain goroutine if
// something is left, and ends the connection if the attempt failed.
func (c *Conn) settle(err error) {
	if err != nil {
		c.broken(err)
		return
	}
	if c.out.pending() && !c.out.draining {
		c.out.draining = true
		c.drains.Add(1)
		go c.drain()
	}
}

// broken ends writing. The reader is given a moment more: a client that sent
// a Close frame and left has a reason that is still to be read.
func (c *Conn) broken(err error) {
	c.out.fail(err)
	_ = c.net.SetReadDeadline(time.Now().Add(c.set.closeTimeout))
}

// queueClose puts the Close frame in, once. It is the last one.
func (c *Conn) queueClose(body []byte) {
	c.out.closing = true
	c.closeBy = time.Now().Add(c.set.closeTimeout)
	c.out.control().end.put(ws.OpClose, body)
	_ = c.kick()
}

// drain runs in a goroutine of its own while something waits. It is called
// without out.mu.
func (c *Conn) drain() {
	defer c.drains.Done()
	o := &c.out
	err := c.carrier.drain(c)
	o.mu.Lock()
	for err == nil && o.err == nil && o.pending() {
		o.mu.Unlock()
		err = c.carrier.drain(c)
		o.mu.Lock()
	}
	if c.set.writeStall > 0 {
		_ = c.net.SetWriteDeadline(time.Time{})
	}
	o.draining = false
	stalled := errors.Is(err, os.ErrDeadlineExceeded)
	if stalled {
		o.fail(ErrStalled)
	} else if err != nil {
		c.broken(err)
	}
	h, tell := c.handler, o.err == nil && !o.closing
	o.missed = o.missed || tell && h == nil
	o.wake()
	o.mu.Unlock()
	if stalled {
		c.reset()
	}
	if tell && h != nil {
		h.Drained()
	}
}

// extend gives the client a new WriteStall to take the next byte.
func (c *Conn) extend() {
	if c.set.writeStall > 0 {
		_ = c.net.SetWriteDeadline(time.Now().Add(c.set.writeStall))
	}
}

// awaitFlush blocks until the outbox is empty or the closing handshake has
// used up its time. It is called without out.mu, by Serve.
func (c *Conn) awaitFlush() {
	c.out.mu.Lock()
	if c.out.err != nil || !c.out.draining && !c.out.pending() {
		c.out.mu.Unlock()
		return
	}
	done := make(chan struct{})
	c.out.flushed = done
	left := time.Until(c.closeBy)
	c.out.mu.Unlock()
	late := time.NewTimer(left)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// reset ends the TCP connection with RST. It is called without out.mu: a
// close waits for system calls under way, and those may want the lock.
func (c *Conn) reset() {
	under := c.net
	if t, ok := under.(interface{ NetConn() net.Conn }); ok {
		under = t.NetConn() // closing TLS in style would wait for the writer
	}
	if t, ok := under.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = under.Close()
}
