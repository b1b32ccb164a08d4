package wsconn

import (
	"errors"
	"io"
	"time"

	"github.com/gobwas/ws"
)

// Serve reads from the client until the connection ends and tells h. It
// returns a [*CloseError] after a Close frame from either side, otherwise
// [ErrStalled], [ErrAborted], [io.ErrUnexpectedEOF] or an error of the
// network; never nil. When it returns, the connection is closed and none of
// its goroutines is left.
//
// Run it in a goroutine of its own and return from the HTTP handler: until
// that returns, the HTTP server keeps the request and its buffers.
func (c *Conn) Serve(h Handler) error {
	defer c.drains.Wait()
	defer c.shut()
	defer c.in.reset()
	c.attach(h)
	err := c.carrier.read(c)
	var end *CloseError
	if errors.As(err, &end) {
		c.answer(end)
	}
	return c.cause(err, end)
}

// attach makes h known to the drain goroutine.
func (c *Conn) attach(h Handler) {
	c.out.mu.Lock()
	c.handler = h
	missed := c.out.missed
	c.out.missed = false
	c.out.mu.Unlock()
	if missed {
		h.Drained()
	}
}

// take feeds the parser with the next bytes. A non-nil result ends the
// connection. Whoever calls it sees to [Conn.pause] after it.
func (c *Conn) take(b []byte) error {
	c.counted.heard.Store(int64(time.Since(c.counted.born)))
	c.counted.bytes.Add(uint64(len(b)))
	r := receivers.Get().(*receiver)
	r.c = c
	before := c.in.cost
	end := c.in.feed(b, r)
	r.answer()
	c.due.charge(len(b)+int(c.in.cost-before), c.set.maxInbound, time.Duration(c.counted.heard.Load()))
	r.c = nil
	receivers.Put(r)
	if end != nil {
		return end
	}
	return nil
}

// takeEarly takes what came with the handshake.
func (c *Conn) takeEarly() error {
	early := c.early
	c.early = nil
	if len(early) == 0 {
		return nil
	}
	return c.take(early)
}

// receiver connects the parser to the handler, for the bytes of one read.
type receiver struct {
	c      *Conn
	asked  bool // a ping came
	length int  // of echo
	echo   [maxControl]byte
}

func (r *receiver) message(binary bool, payload []byte) {
	r.c.counted.messages.Add(1)
	r.c.handler.Message(binary, payload)
}

func (r *receiver) pong(payload []byte) { r.c.handler.Pong(payload) }

// ping remembers what is to be answered. Of several pings that came together
// only the newest is answered, which RFC 6455 section 5.5.3 allows: a client
// must not make the server write as often as it likes.
func (r *receiver) ping(payload []byte) {
	r.length, r.asked = copy(r.echo[:], payload), true
}

// answer sends the pong that is due. If the client does not read, it replaces
// one that still waits.
func (r *receiver) answer() {
	if !r.asked {
		return
	}
	r.asked = false
	o := &r.c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.c.refuse() == nil {
		o.control().pong.put(ws.OpPong, r.echo[:r.length])
		_ = r.c.kick()
	}
}

// answer completes the closing handshake: it echoes the client's Close frame,
// or tells the client what it did wrong, unless our own is on its way already.
func (c *Conn) answer(end *CloseError) {
	c.out.mu.Lock()
	if c.refuse() == nil {
		c.queueClose(closeBody(end.Code, end.Reason))
	}
	c.out.mu.Unlock()
	c.awaitFlush()
	if !end.Remote {
		c.set.log.Debug("websocket client broke the protocol",
			"remote", c.net.RemoteAddr().String(), "code", int(end.Code), "reason", end.Reason)
		c.linger()
	}
}

// linger reads and forgets until the client hangs up. Closing with unread
// bytes would make TCP reset the connection, and the Close frame that says
// what was wrong could be lost (RFC 6455 section 7.1.1).
func (c *Conn) linger() {
	c.out.mu.Lock()
	by := c.closeBy
	c.out.mu.Unlock()
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.net.SetReadDeadline(by)
	buf := readBufs.Get().(*[readSize]byte)
	defer readBufs.Put(buf)
	for {
		n, err := c.net.Read(buf[:])
		if err != nil {
			return
		}
		c.due.charge(n, c.set.maxInbound, time.Since(c.counted.born))
		c.pause()
	}
}

// shut closes the connection for good and wakes everybody.
func (c *Conn) shut() {
	c.out.mu.Lock()
	c.out.fail(io.ErrClosedPipe)
	c.out.mu.Unlock()
	_ = c.net.Close()
}

// cause decides what Serve returns, from the error that ended the reading.
func (c *Conn) cause(err error, end *CloseError) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch {
	case c.local != nil && (end == nil || end.Remote):
		c.local.Clean = end != nil
		return c.local
	case end != nil:
		end.Clean = end.Remote && c.out.err == nil && !c.out.pending()
		return end
	case c.out.err != nil:
		return c.out.err
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	default:
		return err
	}
}
