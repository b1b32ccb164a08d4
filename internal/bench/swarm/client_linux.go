package swarm

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// state is how far a client is.
type state uint8

const (
	away    state = iota // not begun, waiting for another try, given up, or gone
	asking               // connects, or waits for the answer to its request
	talking              // open
	closing              // the server's Close frame has come; nothing more is listened to
)

// client is one connection. There are tens of thousands: what it needs while it
// connects is in dialing, and most never keep anything of a frame.
type client struct {
	parser
	out     outbox
	dialing *dialing // nil once open
	end     error    // why it closes, from the server's Close frame on
	fd      int32
	state   state
	again   bool // is in worker.again
}

// dialing is what a client needs until it is open.
type dialing struct {
	wave    *wave
	deflate bool   // the request offers it
	answer  []byte // what has come of the server's answer, at most maxAnswer and one read
}

// serve deals with what epoll has told of a client. Readiness is told once
// (EPOLLET), so that whatever is ready is used until it is not.
func (w *worker) serve(i int, ready uint32) {
	c := &w.clients[i]
	if ready&unix.EPOLLOUT != 0 && len(c.out.bytes) > 0 {
		w.write(i)
	}
	if ready&^unix.EPOLLOUT != 0 {
		w.read(i, ready&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// turns is how often one client is read before it is others' turn.
const turns = 4

// read takes what has come for a client. A read that does not fill the buffer
// has emptied the socket, unless the end of the stream or an error is behind it.
func (w *worker) read(i int, ended bool) {
	room := len(w.buf) - readSize
	for range turns {
		c := &w.clients[i]
		if c.state == away {
			return
		}
		n, errno := receive(int(c.fd), w.buf[room:])
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			w.lost(i, errno)
			return
		case n == 0:
			w.lost(i, io.EOF)
			return
		}
		w.take(i, w.buf[:room+n], room)
		if n < readSize && !ended {
			return
		}
	}
	if c := &w.clients[i]; !c.again {
		c.again = true
		w.again = append(w.again, i)
	}
}

// take deals with b[at:], which came from a socket.
func (w *worker) take(i int, b []byte, at int) {
	c := &w.clients[i]
	switch c.state {
	case asking:
		w.hear(i, b[at:], false)
	case talking:
		w.bytes += int64(len(b) - at)
		w.parse(i, b, at)
	}
}

// parse hands frames over, which begin at b[at].
func (w *worker) parse(i int, b []byte, at int) {
	w.now = i
	err := w.clients[i].feed(b, at, w.opts.Head, w)
	if err == nil {
		return
	}
	c := &w.clients[i]
	c.end = err
	var byServer *CloseError
	if !errors.As(err, &byServer) {
		w.lost(i, err)
		return
	}
	c.state = closing // until the server hangs up (RFC 6455, section 7.1.1)
	c.out.close(byServer.Code)
	w.write(i)
}

// data and ping are what the parser calls for the client whose turn it is.
func (w *worker) data(head []byte, size int) {
	w.frames++
	w.handler.Frame(w.number(w.now), head, size)
}

func (w *worker) ping(payload []byte) {
	w.pongs++
	w.clients[w.now].out.pong(payload)
	w.write(w.now)
}

// write says what the client has to say, as far as the socket takes it.
func (w *worker) write(i int) {
	c := &w.clients[i]
	n, err := send(int(c.fd), c.out.bytes)
	switch {
	case err == nil:
		c.out.sent(n)
	case err != unix.EAGAIN && c.state == asking:
		w.failed(i, err) // such as: could not connect
	} // else something may still be there to be read, and after it the error
}

// hear takes a part of the server's answer to the upgrade.
func (w *worker) hear(i int, b []byte, ended bool) {
	c := &w.clients[i]
	d := c.dialing
	if len(d.answer) > 0 || ended {
		d.answer = append(d.answer, b...)
		b = d.answer
	}
	frames, deflate, err := readAnswer(b, ended)
	switch {
	case err == errUnfinished:
		if len(d.answer) == 0 {
			d.answer = bytes.Clone(b)
		}
	case err != nil:
		w.failed(i, err)
	default:
		c.state, c.dialing = talking, nil
		c.deflate = deflate && d.deflate
		w.dials.under--
		w.open.Add(1)
		w.handler.Open(w.number(i))
		d.wave.opened()
		w.bytes += int64(len(b) - frames)
		w.parse(i, b, frames) // nothing is kept yet, and so no room needed in front
	}
}

// lost ends a connection that the network or the parser has ended.
func (w *worker) lost(i int, err error) {
	c := &w.clients[i]
	switch {
	case c.state == asking && err == io.EOF:
		w.hear(i, nil, true)
		return
	case c.state == asking:
		w.failed(i, err)
		return
	case c.end != nil:
		err = c.end
	case err == io.EOF:
		err = io.ErrUnexpectedEOF // without a Close frame
	}
	w.hangUp(c)
	w.open.Add(-1)
	w.handler.Closed(w.number(i), err)
}

// failed ends a handshake: for a while, or for good.
func (w *worker) failed(i int, err error) {
	c := &w.clients[i]
	w.hangUp(c)
	w.dials.under--
	if after, ok := momentary(err); ok {
		w.retries.Add(1)
		w.dials.later(i, w.opts.pause(after))
		return
	}
	wave := c.dialing.wave
	c.dialing = nil
	w.handler.Closed(w.number(i), err)
	wave.end(err)
}

// hangUp resets the connection, or what the server has left of it.
func (w *worker) hangUp(c *client) {
	reset(int(c.fd))
	c.state, c.out, c.parser = away, outbox{}, parser{}
	if c.dialing != nil {
		c.dialing.answer = nil
	}
}
