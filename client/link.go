package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
)

// statusServiceRestart is the close code of a server that will be back soon
// (registered by IANA after RFC 6455; the library does not name it).
const statusServiceRestart = ws.StatusCode(1012)

// goodbyeTimeout bounds the wait for a close frame to leave.
const goodbyeTimeout = time.Second

// link is one WebSocket connection, seen from the client. One goroutine calls
// next; others may write, and closeWith's may end it at any time.
type link struct {
	rwc        io.ReadWriteCloser
	in         *bufio.Reader
	maxMessage int
	deadAfter  time.Duration
	dead       atomic.Bool // deadAfter has passed
	goodbye    atomic.Bool // a close frame has been sent; nothing may follow it

	// turn holds one token, and who writes has it. Waiting for it is bounded by
	// the timeouts of the writers: each cuts the connection.
	turn chan struct{}

	// message collects the fragments of the one in progress; at most
	// maxMessage bytes, beyond that the connection is closed with 1009.
	message []byte
	open    bool      // a message is in progress
	kind    ws.OpCode // of it
}

func newLink(rwc io.ReadWriteCloser, deadAfter time.Duration, maxMessage int) *link {
	l := &link{rwc: rwc, deadAfter: deadAfter, maxMessage: maxMessage, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	l.in = bufio.NewReader(readFunc(l.read))
	return l
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// read counts only the time spent waiting for bytes, not the consumer's.
func (l *link) read(p []byte) (int, error) {
	watch := l.watch(l.deadAfter)
	defer watch.Stop()
	return l.rwc.Read(p)
}

// watch cuts the connection after d: it has no deadlines of its own, and
// closing it is what ends a Read or Write that is under way.
func (l *link) watch(d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() {
		l.dead.Store(true)
		_ = l.rwc.Close()
	})
}

// closeWith says goodbye when ctx ends or stop is called, whichever is first,
// and closes; last is called before that, for what is still to be said, and if
// answered is not nil the closing waits for it, for goodbyeTimeout at most. stop
// returns when all that has been done.
func (l *link) closeWith(ctx context.Context, last func(), answered <-chan struct{}) (stop func()) {
	done := make(chan struct{})
	ended, end := context.WithCancel(ctx)
	context.AfterFunc(ended, func() {
		defer close(done)
		last()
		_ = l.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")), goodbyeTimeout)
		if answered != nil {
			late := time.NewTimer(goodbyeTimeout)
			defer late.Stop()
			select {
			case <-answered:
			case <-late.C: // closing ends who reads
			}
		}
		_ = l.rwc.Close()
	})
	return func() {
		end()
		<-done
	}
}

// drain reads until the server has answered the goodbye, or the connection is
// gone. What still comes is dropped.
func (l *link) drain() {
	for {
		if _, err := l.next(); err != nil {
			return
		}
	}
}

// write sends one frame, masked as RFC 6455, section 5.3, wants it. timeout
// holds for the wait for others too.
func (l *link) write(f ws.Frame, timeout time.Duration) error {
	frame, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		return err
	}
	watch := l.watch(timeout)
	defer watch.Stop()
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	closing := f.Header.OpCode == ws.OpClose
	if l.goodbye.Load() {
		if closing {
			return nil
		}
		return errors.New("the connection is being closed")
	}
	l.goodbye.Store(closing)
	_, err = l.rwc.Write(frame)
	return err
}

// next returns the next text message and answers the pings before it. Its
// error says why there will be no more: a *closedError if the server closed,
// TooLarge, or Unavailable.
func (l *link) next() ([]byte, error) {
	for {
		h, err := ws.ReadHeader(l.in)
		if err != nil {
			return nil, l.lost(err)
		}
		state := ws.StateClientSide
		if l.open {
			state = state.Set(ws.StateFragmented)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return nil, l.fail(ws.StatusProtocolError, gatecast.Unavailable, "the server broke the WebSocket protocol: %v", err)
		}
		if h.OpCode.IsControl() {
			err = l.control(h)
		} else {
			err = l.data(h)
		}
		if err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() || !h.Fin {
			continue
		}
		if text, err := l.complete(); text != nil || err != nil {
			return text, err
		}
	}
}

// control answers a ping and obeys a close.
func (l *link) control(h ws.Header) error {
	payload := make([]byte, h.Length) // CheckHeader has held it to 125 bytes
	if _, err := io.ReadFull(l.in, payload); err != nil {
		return l.lost(err)
	}
	switch h.OpCode {
	case ws.OpPing:
		if err := l.write(ws.NewPongFrame(payload), l.deadAfter); err != nil && !l.goodbye.Load() {
			return l.lost(err)
		}
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		answer := payload
		if code != ws.StatusNoStatusRcvd {
			answer = ws.NewCloseFrameBody(code, "")
		}
		_ = l.write(ws.NewCloseFrame(answer), goodbyeTimeout) // it is closed whatever comes of it
		return &closedError{code: code, reason: reason}
	}
	return nil
}

// data adds a frame to the message in progress.
func (l *link) data(h ws.Header) error {
	if !l.open {
		l.open, l.kind, l.message = true, h.OpCode, nil
	}
	if h.Length > int64(l.maxMessage-len(l.message)) {
		return l.fail(ws.StatusMessageTooBig, gatecast.TooLarge, "a message has more than %d bytes", l.maxMessage)
	}
	buf := bytes.NewBuffer(l.message)
	n, err := io.CopyN(buf, l.in, h.Length) // grows by what arrives, not by what is announced
	l.message = buf.Bytes()
	if n < h.Length {
		return l.lost(err)
	}
	return nil
}

// complete ends the message in progress and returns it if it is a text; the
// protocol has no use for others.
func (l *link) complete() ([]byte, error) {
	text := l.message
	l.open, l.message = false, nil
	if l.kind != ws.OpText {
		return nil, nil
	}
	if !utf8.Valid(text) {
		return nil, l.fail(ws.StatusInvalidFramePayloadData, gatecast.Unavailable, "the server sent text that is not UTF-8")
	}
	return text, nil
}

// fail closes with a code of RFC 6455, section 7.4.1, and returns the reason.
func (l *link) fail(status ws.StatusCode, code gatecast.Code, format string, args ...any) error {
	e := gatecast.Errorf(code, format, args...)
	if code == gatecast.TooLarge {
		e.Remedy = "raise MaxMessage"
	}
	_ = l.write(ws.NewCloseFrame(ws.NewCloseFrameBody(status, "")), goodbyeTimeout) // it is closed whatever comes of it
	return e
}

// lost is the error of a connection that ended without a close frame.
func (l *link) lost(err error) error {
	e := gatecast.Errorf(gatecast.Unavailable, "the connection broke")
	if l.dead.Load() {
		e.Message = fmt.Sprintf("the server was silent for %v", l.deadAfter)
	}
	e.Cause = err
	return e
}

// closedError is a close frame from the server.
type closedError struct {
	code   ws.StatusCode
	reason string
}

func (e *closedError) Error() string {
	return fmt.Sprintf("the server closed the connection (%d %s)", e.code, e.reason)
}

// Unwrap makes every close a passing failure: what lies behind it, such as an
// app that was disabled, is told by the next handshake.
func (e *closedError) Unwrap() error { return gatecast.Errorf(gatecast.Unavailable, "%s", e.Error()) }
