package mqtt

import (
	"bufio"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	bufferSize   = 4 << 10  // read ahead of a client
	chunk        = 16 << 10 // that a packet grows by, as it arrives
	longestHead  = 5
	maxControl   = 64 << 10 // bytes of a packet that holds no event
	writeTimeout = 10 * time.Second
)

// client is one connection.
type client struct {
	server *Server
	conn   net.Conn
	in     *bufio.Reader
	inbox  *inbox
	ended  chan struct{} // closed when nothing more of it will be stored

	user  *gatecast.MQTTUser // as it was when it signed in
	payer string             // whose share of the budget its messages take: the user's name, once it has signed in
	idle  time.Duration      // silence after which it counts as gone

	place *list.Element // among those who have not signed in; the roster's
	name  name          // likewise
}

func (s *Server) newClient(conn net.Conn) *client {
	share := max(s.opts.Limits.Packet, int(s.opts.Limits.Memory/16))
	return &client{
		server: s, conn: conn, in: bufio.NewReaderSize(conn, bufferSize),
		inbox: newInbox(s.opts.Limits.Inflight, share), ended: make(chan struct{}),
	}
}

// end is why a connection ends. why is a metric label, from a closed set.
type end struct {
	why string
	err error
}

func (e *end) Error() string { return e.why + ": " + e.err.Error() }
func (e *end) Unwrap() error { return e.err }

func ending(why, format string, args ...any) error {
	return &end{why, fmt.Errorf(format, args...)}
}

// run is a connection that the roster knows, from its beginning to its end.
func (c *client) run(ctx context.Context) {
	s := c.server
	defer s.roster.leave(c)
	defer close(c.ended)
	defer c.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.signIn(ctx)
	if err == nil {
		c.payer = c.user.Name
		err = c.serve(ctx)
	}
	e := c.reason(ctx, err)
	s.metrics.ended.WithLabelValues(e.why).Inc()
	s.opts.Log.Debug("an mqtt connection has ended", "remote", c.conn.RemoteAddr().String(), "user", c.name.user, "client", c.name.client, "why", e.why, "err", e.err)
}

// serve reads a client's packets. What was read is answered before it returns,
// if the journal takes it in time.
func (c *client) serve(ctx context.Context) error {
	var settling sync.WaitGroup
	var failed error
	settling.Go(func() {
		if failed = c.settle(ctx); failed != nil {
			_ = c.conn.Close() // the reader ends
		}
	})
	err := c.read(ctx)
	c.inbox.close()
	settling.Wait()
	if failed != nil {
		return failed
	}
	return err
}

// reason makes one of what a read or a write has returned.
func (c *client) reason(ctx context.Context, err error) *end {
	var e *end
	switch {
	case ctx.Err() != nil:
		return &end{"stopping", err}
	case errors.As(err, &e):
		return e
	case errors.Is(err, errProtocol):
		return &end{"protocol", err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &end{"slow", err}
	case errors.Is(err, net.ErrClosed):
		return &end{"pushed_out", err} // by its own next connection, or by a crowd that came after it
	}
	return &end{"client", err} // it has left
}

// read takes packets until the connection ends, which is always an error.
func (c *client) read(ctx context.Context) error {
	for {
		h, err := c.head(ctx)
		if err != nil {
			return err
		}
		u, there := c.server.Users.MQTTUser(c.user.Name)
		if !there || u.Password != c.user.Password {
			return ending("user", "the user is gone, or has another password")
		}
		if err := c.packet(ctx, h, u); err != nil {
			return err
		}
	}
}

// head waits for the next packet.
func (c *client) head(ctx context.Context) (head, error) {
	if c.in.Buffered() < longestHead { // what comes may have to be waited for
		c.inbox.ring()
	}
	if c.in.Buffered() == 0 {
		if err := c.within(ctx, c.idle); err != nil {
			return head{}, err
		}
	}
	first, err := c.in.ReadByte()
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return head{}, ending("idle", "nothing was heard of the client for %v", c.idle)
	}
	if err != nil {
		return head{}, err
	}
	if err := c.within(ctx, c.server.opts.Limits.Read); err != nil {
		return head{}, err
	}
	return readHead(first, c.in)
}

// within bounds what is read from now on. The end of ctx has set a deadline of
// its own, which must not be lifted.
func (c *client) within(ctx context.Context, d time.Duration) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	return ctx.Err()
}

func (c *client) packet(ctx context.Context, h head, u *gatecast.MQTTUser) error {
	switch h.kind {
	case publish:
		return c.publish(ctx, h, u)
	case disconnect:
		if h.size > 0 {
			return violation("a DISCONNECT with a body")
		}
		return ending("client", "the client has said good-bye")
	case connect:
		return violation("a second CONNECT")
	}
	answer, err := c.answer(h)
	if err != nil {
		return err
	}
	return c.queue(task{answer: answer})
}

// answer reads a packet that is answered by another, and returns that.
func (c *client) answer(h head) ([]byte, error) {
	if h.size > maxControl {
		return nil, violation("a packet of type %d with %d bytes", h.kind, h.size)
	}
	b, err := c.body(h.size)
	defer c.server.budget.give(c.payer, len(b))
	if err != nil {
		return nil, err
	}
	rest := body(b)
	switch h.kind {
	case pingreq:
		return []byte{byte(pingresp) << 4, 0}, rest.end()
	case pubrel:
		id, err := rest.packetID()
		if err != nil {
			return nil, err
		}
		return appendAck(nil, pubcomp, id), rest.end()
	}
	id, n, err := readFilters(h, rest)
	if err != nil {
		return nil, err
	}
	if h.kind == unsubscribe {
		return appendAck(nil, unsuback, id), nil
	}
	return appendSuback(nil, id, n), nil
}

func (c *client) queue(t task) error {
	if !c.inbox.put(t) {
		c.server.budget.give(c.payer, t.size)
		return ending("client", "the client is not answered any more")
	}
	return nil
}

// body reads as many bytes of a packet, and charges the budget as they arrive:
// the caller gives back as many as it returns, also with an error.
func (c *client) body(size int) ([]byte, error) {
	if size > c.in.Buffered() {
		c.inbox.ring()
	}
	b := make([]byte, 0, min(size, chunk))
	for len(b) < size {
		n := min(size-len(b), chunk)
		if !c.server.budget.take(c.payer, n) {
			return b, ending("memory", "the messages of all clients take more than %d bytes", c.server.opts.Limits.Memory)
		}
		b = slices.Grow(b, n)
		from := len(b)
		b = b[:from+n]
		if _, err := io.ReadFull(c.in, b[from:]); err != nil {
			return b, err
		}
	}
	return b, nil
}

// publish takes in a message.
func (c *client) publish(ctx context.Context, h head, u *gatecast.MQTTUser) error {
	size, large := h.size, h.size > c.server.opts.Limits.Packet
	if large {
		size = min(size, maxControl+4) // its topic is in there, whatever its length
	}
	b, err := c.body(size)
	t := task{size: len(b)}
	if err == nil && large {
		err = c.discard(ctx, h.size-size)
	}
	var m message
	if err == nil {
		m, err = readPublish(h, b)
	}
	if err == nil {
		err = c.sort(ctx, &t, m, u, large)
	}
	if err != nil {
		c.server.budget.give(c.payer, t.size)
		return err
	}
	return c.queue(t)
}

// discard reads over the rest of a message that is too large: a device that is
// cut off would send it again, for ever.
func (c *client) discard(ctx context.Context, n int) error {
	c.inbox.ring()
	for n > 0 {
		if err := c.within(ctx, c.server.opts.Limits.Read); err != nil {
			return err
		}
		part, err := c.in.Discard(min(n, chunk))
		if n -= part; err != nil {
			return err
		}
	}
	return nil
}

// sort decides what a message is: an event or rubbish. It is an error if its
// sender may not send for its device: that can be mended here, so that the
// message must come again.
func (c *client) sort(ctx context.Context, t *task, m message, u *gatecast.MQTTUser, large bool) error {
	s := c.server
	t.qos = m.qos
	switch m.qos {
	case 1:
		t.answer = appendAck(nil, puback, m.id)
	case 2:
		t.answer = appendAck(nil, pubrec, m.id)
	}
	a, known := readTopic(m.topic)
	switch {
	case !known:
		t.rubbish = &rubbish{"topic", Source, fmt.Sprintf("there is no topic %.100q; events come under gatecast/SN/record and gatecast/SN/alarm; it was sent by user %s", m.topic, u.Name), m.payload}
		return nil
	case !u.May(a.device):
		return c.notItsDevice(ctx, a)
	case large:
		t.rubbish = &rubbish{"size", a.origin(), fmt.Sprintf("the message has more than %d bytes (mqtt.max_packet)", s.opts.Limits.Packet), m.payload}
		return nil
	}
	e, err := s.understand(a, m.payload)
	if err != nil {
		t.rubbish = &rubbish{"payload", a.origin(), reasonOf(err), m.payload}
		return nil
	}
	t.event = e
	return nil
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[*gatecast.Error](err); ok {
		e := *e
		e.Remedy = "" // it is for who sent it
		return e.Error()
	}
	return err.Error()
}

func (c *client) notItsDevice(ctx context.Context, a address) error {
	s := c.server
	s.metrics.refused.WithLabelValues("device").Inc()
	if since, due := s.strangers.due(time.Now()); due {
		s.opts.Log.Warn("an mqtt user sent an event of a device that is not its own, and was cut off; it was not acknowledged",
			"user", c.user.Name, "device", a.device, "remote", c.conn.RemoteAddr().String(), "not_logged", since)
	}
	_ = c.holdUp(ctx)
	return ending("device", "the user may not send for the device %.128q", a.device)
}

// write sends to the client.
func (c *client) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}
