// Package wsconn is one WebSocket connection, seen from the server.
//
// It owns the opening handshake, the frames in both directions, the closing
// handshake, and a write side that never makes the caller wait: [Conn.Push]
// hands prepared frames to the kernel and keeps at most the rest of one. It
// never learns what the messages mean, keeps no queue of them and no buffer
// for an idle client. Start at [Upgrade] and [Conn.Serve].
//
// The rules are those of RFC 6455 and RFC 7692; section numbers stand where
// they are applied.
package wsconn

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
)

// Handler is told what the client sent. Message and Pong are called by the
// goroutine in Serve, one at a time; their payload is valid during the call
// only. Drained is called by another goroutine, when everything that waited
// has been written and Push can be used again; it may be called without need.
// No method may wait for Serve to return.
type Handler interface {
	Message(binary bool, payload []byte)
	Pong(payload []byte)
	Drained()
}

// Conn is a WebSocket connection. One goroutine at a time may use Push; all
// other methods may be called by any. Whoever got it from Upgrade must call
// Serve, or Abort.
type Conn struct {
	net     net.Conn
	carrier carrier
	set     settings
	out     outbox
	drains  sync.WaitGroup // drain goroutines; Serve waits for them
	handler Handler        // guarded by out.mu; set before anything is read
	local   *CloseError    // what Close was told; guarded by out.mu
	closeBy time.Time      // end of the closing handshake; guarded by out.mu
	early   []byte         // came with the handshake; used by Serve only
	in      parser         // used by Serve only
	due     budget         // used by Serve only
	counted counters
}

// settings is what a connection needs of Options.
type settings struct {
	deflateMin               int // negative: no deflate
	maxInbound               int64
	closeTimeout, writeStall time.Duration
	log                      *slog.Logger
}

// counters are what was read; heard is the time of it as nanoseconds since
// born. Both are kept so that the monotonic clock counts: when somebody sets
// the other one, no client has been silent for hours.
type counters struct {
	heard           atomic.Int64
	born            time.Time // set before anything is read
	messages, bytes atomic.Uint64
}

// carrier moves bytes. There is one for sockets of our own and one for
// everything that can only block.
type carrier interface {
	// push writes or takes frames; called under out.mu, never blocks.
	push(c *Conn, frames []*Frame) (int, error)
	// try writes what is pending as far as possible; under out.mu, never blocks.
	try(c *Conn) error
	// drain blocks until nothing is pending. It takes out.mu itself.
	drain(c *Conn) error
	// read blocks and gives what arrives to c.take, until an error ends it.
	read(c *Conn) error
}

// Push sends frames in order without ever blocking and returns how many were
// taken: written, or kept as the rest of the last one. While such a rest waits
// it takes none; Handler.Drained tells when to come back. It returns
// [ErrClosing] after a Close frame, or why the connection broke.
func (c *Conn) Push(frames []*Frame) (int, error) {
	if len(frames) == 0 {
		return 0, nil
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := c.refuse(); err != nil {
		return 0, err
	}
	if o.draining || o.pending() {
		return 0, nil
	}
	n, err := c.carrier.push(c, frames)
	o.frames += uint64(n)
	c.settle(err)
	return n, err
}

// Ping sends a ping after everything pushed so far. Its payload has at most
// 125 bytes and comes back in Handler.Pong. If an earlier ping still waits to
// be written, this one replaces it.
func (c *Conn) Ping(payload []byte) error {
	if len(payload) > maxControl {
		return gatecast.Errorf(gatecast.TooLarge, "ping payload of %d bytes, at most %d are allowed", len(payload), maxControl)
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if err := c.refuse(); err != nil {
		return err
	}
	c.out.control().ping.put(ws.OpPing, payload)
	return c.kick()
}

// Close begins the closing handshake and returns at once. The Close frame
// goes after everything pushed so far; then the client has CloseTimeout for
// its own. Meanwhile the handler still hears the client. Calls after the
// first change nothing. A reason is cut to 123 bytes.
func (c *Conn) Close(code Status, reason string) {
	body := closeBody(code, reason)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.refuse() != nil {
		return
	}
	c.local = &CloseError{Code: code, Reason: reason}
	c.queueClose(body)
	// The reader may be parked for ever: the deadline is what frees it.
	_ = c.net.SetReadDeadline(c.closeBy)
}

// Abort ends the connection with a TCP reset; what waits is lost. Serve
// returns [ErrAborted].
func (c *Conn) Abort() {
	c.out.mu.Lock()
	c.out.fail(ErrAborted)
	c.out.mu.Unlock()
	c.reset()
}

// LastRead returns when the client was last heard of: any byte counts.
func (c *Conn) LastRead() time.Time {
	return c.counted.born.Add(time.Duration(c.counted.heard.Load()))
}

// StalledSince returns since when bytes have been waiting without any being
// taken, or the zero time if nothing waits.
func (c *Conn) StalledSince() time.Time {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.out.draining && !c.out.pending() {
		return time.Time{}
	}
	return c.out.since
}

// Underway returns how many written bytes the client's system has not yet
// acknowledged, and whether that is known: over TLS it counts what TLS adds, and
// systems other than Linux do not tell.
func (c *Conn) Underway() (bytes int, known bool) {
	under := c.net
	if t, ok := under.(interface{ NetConn() net.Conn }); ok {
		under = t.NetConn()
	}
	t, ok := under.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return 0, false
	}
	var failed error
	err = raw.Control(func(fd uintptr) { bytes, failed = unacknowledged(int(fd)) })
	return bytes, err == nil && failed == nil
}

// Acknowledged reports whether everything pushed has been written, and the
// client's system has acknowledged every byte of it: it runs and is reachable,
// whatever its program does. False also means that this is not known.
func (c *Conn) Acknowledged() bool {
	left, known := c.Underway()
	return known && left == 0 && c.StalledSince().IsZero()
}

// Stats are the sums of a connection.
type Stats struct {
	FramesOut  uint64 // taken by Push
	BytesOut   uint64 // written, with headers and control frames
	MessagesIn uint64
	BytesIn    uint64 // read, with headers and control frames
	Waiting    bool   // Push takes nothing at the moment
	Deflate    bool   // permessage-deflate was negotiated
}

// Stats returns the sums so far.
func (c *Conn) Stats() Stats {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return Stats{
		FramesOut:  c.out.frames,
		BytesOut:   c.out.bytes,
		MessagesIn: c.counted.messages.Load(),
		BytesIn:    c.counted.bytes.Load(),
		Waiting:    c.out.draining || c.out.pending(),
		Deflate:    c.set.deflateMin >= 0,
	}
}

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.net.RemoteAddr() }
