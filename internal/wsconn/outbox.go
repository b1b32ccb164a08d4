package wsconn

import (
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// outbox is what still has to go to the client, in order: the rest of a
// frame, frames taken by a carrier that cannot try (TLS), then one pong, one
// ping and the Close frame. It is bounded by that list: while anything waits
// no frame is taken, and a newer ping or pong replaces the one that waits.
type outbox struct {
	// mu guards the fields below. Only non-blocking system calls are made
	// under it.
	mu       sync.Mutex
	tail     []byte        // rest of what is being written
	queue    *batch        // frames taken, not begun; nil if none
	ctl      *control      // control frames that wait; nil if none
	draining bool          // a drain goroutine owns the writing
	closing  bool          // a Close frame was put in; nothing comes after it
	missed   bool          // drained before there was a handler
	err      error         // why nothing can be written any more
	since    time.Time     // last progress while something waits
	flushed  chan struct{} // closed when the outbox is empty; nil if nobody waits
	frames   uint64        // taken, ever
	bytes    uint64        // written, ever
}

// control holds the control frames that wait, ready for the wire. The one
// being written is moved to cur, where no newer one can overwrite it.
type control struct {
	pong, ping, end, cur slot
}

type slot struct {
	n   uint8 // bytes of buf; 0: empty
	buf [2 + maxControl]byte
}

// put encodes a control frame. Servers do not mask (RFC 6455 section 5.1).
func (s *slot) put(op ws.OpCode, payload []byte) {
	s.buf[0] = 0x80 | byte(op)
	s.buf[1] = byte(len(payload))
	s.n = uint8(2 + copy(s.buf[2:], payload))
}

// batch is a queue of frames on their way.
type batch struct {
	wire [batchSize][]byte
	i, n int
}

// pending reports whether anything waits. The caller holds mu.
func (o *outbox) pending() bool {
	return len(o.tail) > 0 || o.queue != nil || o.ctl != nil
}

// next returns the bytes to be written next, nil if there are none.
// The caller holds mu and reports progress with advance.
func (o *outbox) next() []byte {
	if len(o.tail) > 0 {
		return o.tail
	}
	if q := o.queue; q != nil {
		o.tail, q.wire[q.i] = q.wire[q.i], nil
		if q.i++; q.i == q.n {
			o.queue = nil
			q.i, q.n = 0, 0
			batches.Put(q)
		}
		return o.tail
	}
	if o.ctl == nil {
		return nil
	}
	for _, s := range [...]*slot{&o.ctl.pong, &o.ctl.ping, &o.ctl.end} {
		if s.n > 0 {
			o.ctl.cur = *s
			s.n = 0
			o.tail = o.ctl.cur.buf[:o.ctl.cur.n]
			return o.tail
		}
	}
	controls.Put(o.ctl)
	o.ctl = nil
	return nil
}

// advance takes note of n bytes written from what next returned.
func (o *outbox) advance(n int) {
	o.tail = o.tail[n:]
	o.bytes += uint64(n)
	if n > 0 {
		o.since = time.Now()
	}
}

// block makes rest wait as the tail.
func (o *outbox) block(rest []byte) {
	o.tail = rest
	o.since = time.Now()
}

// controls returns the place for control frames that wait.
func (o *outbox) control() *control {
	if o.ctl == nil {
		o.ctl = controls.Get().(*control)
		if len(o.tail) == 0 && o.queue == nil {
			o.since = time.Now()
		}
	}
	return o.ctl
}

// fail ends writing; what waits is dropped. The first cause stays.
func (o *outbox) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	o.tail, o.queue, o.ctl = nil, nil, nil // a drain may still read them: not pooled
	o.wake()
}

// wake releases whoever waits for the outbox to be empty.
func (o *outbox) wake() {
	if o.flushed != nil {
		close(o.flushed)
		o.flushed = nil
	}
}
