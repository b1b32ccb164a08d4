package pull

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	writeTimeout = 10 * time.Second // of a frame
	// goodbye is how long a server that we leave has to say what it has said
	// already: what it pushed before it knew is taken.
	goodbye = time.Second

	// sample is how much is kept of a message that is too large.
	sample = 64 << 10
	// maxSkip is the largest message that is passed over, in bytes. A larger one
	// may be no message at all, and ends the connection.
	maxSkip = 64 << 20
)

// link is one WebSocket connection to a server (RFC 6455). One goroutine calls
// next; attend has another.
type link struct {
	conn       net.Conn
	in         *bufio.Reader
	pulse      *pulse // of the goroutine that calls next
	maxMessage int
	turn       chan struct{} // holds one token, and who writes has it; writes have a deadline

	text    []byte // of the message in progress; at most maxMessage bytes
	size    int64  // of the message in progress, so far
	open    bool   // a message is in progress
	leaving leaving
}

// leaving bounds what is read once we have said goodbye.
type leaving struct {
	// mu makes one of choosing a deadline and setting it, so that no later one
	// replaces that of the goodbye. Setting it does not block.
	mu  sync.Mutex
	end time.Time // zero: we stay
}

// message is what came between two frame boundaries that count.
type message struct {
	text []byte // whole, or the beginning of one that was too large
	size int64  // of all of it, in bytes
}

func (m *message) whole() bool { return int64(len(m.text)) == m.size }

// newLink makes a link of a connection, after the handshake. early is what has
// been read of it already.
func newLink(conn net.Conn, early []byte, p *pulse, maxMessage int) *link {
	l := &link{conn: conn, pulse: p, maxMessage: maxMessage, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	l.in = bufio.NewReader(io.MultiReader(bytes.NewReader(early), readFunc(l.read)))
	return l
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func (l *link) read(p []byte) (int, error) {
	if err := l.setDeadline(l.pulse.limit()); err != nil {
		return 0, err
	}
	n, err := l.conn.Read(p)
	if n > 0 {
		l.pulse.heard(time.Now())
	}
	return n, err
}

func (l *link) setDeadline(t time.Time) error {
	l.leaving.mu.Lock()
	defer l.leaving.mu.Unlock()
	if end := l.leaving.end; !end.IsZero() && end.Before(t) {
		t = end
	}
	return l.conn.SetReadDeadline(t)
}

// attend sends Pings until stop is called, and says goodbye when ctx ends: what
// comes within a second of that is still read. stop closes the connection and
// returns when all that has been done.
func (l *link) attend(ctx context.Context, every time.Duration) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-ctx.Done():
				l.leave()
				return
			case <-tick.C:
				if l.write(ws.NewPingFrame(nil)) != nil {
					_ = l.conn.Close() // the reader finds it broken
				}
			}
		}
	}()
	return func() {
		close(over)
		_ = l.conn.Close() // ends a write that is under way
		<-done
	}
}

func (l *link) leave() {
	end := time.Now().Add(goodbye)
	l.leaving.mu.Lock()
	l.leaving.end = end
	_ = l.conn.SetReadDeadline(end)
	l.leaving.mu.Unlock()
	_ = l.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))) // we leave whatever comes of it
}

// write sends one frame, masked as RFC 6455, section 5.3, wants it.
func (l *link) write(f ws.Frame) error {
	frame, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		return err
	}
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = l.conn.Write(frame)
	return err
}

// next returns the next message, and answers the Pings before it. The error
// says why there will be no more.
func (l *link) next() (message, error) {
	for {
		h, err := ws.ReadHeader(l.in)
		if err != nil {
			return message{}, l.lost(err)
		}
		state := ws.StateClientSide
		if l.open {
			state = state.Set(ws.StateFragmented)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return message{}, l.fail(ws.StatusProtocolError, fmt.Errorf("the server broke the WebSocket protocol: %w", err))
		}
		if h.OpCode.IsControl() {
			err = l.control(h)
		} else {
			err = l.data(h)
		}
		if err != nil {
			return message{}, err
		}
		if !h.OpCode.IsControl() && h.Fin {
			m := message{text: l.text, size: l.size}
			l.text, l.size, l.open = nil, 0, false
			return m, nil
		}
	}
}

// control answers a Ping and obeys a Close.
func (l *link) control(h ws.Header) error {
	payload := make([]byte, h.Length) // CheckHeader has held it to 125 bytes
	if _, err := io.ReadFull(l.in, payload); err != nil {
		return l.lost(err)
	}
	switch h.OpCode {
	case ws.OpPing:
		if err := l.write(ws.NewPongFrame(payload)); err != nil {
			return l.lost(err)
		}
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		answer := payload
		if code != ws.StatusNoStatusRcvd {
			answer = ws.NewCloseFrameBody(code, "")
		}
		_ = l.write(ws.NewCloseFrame(answer)) // it is closed whatever comes of it
		return fmt.Errorf("the server closed the connection (%d %s)", code, clean(reason))
	}
	return nil
}

// data adds a frame to the message in progress, or passes over it if that is
// too large.
func (l *link) data(h ws.Header) error {
	l.open = true
	if h.Length > maxSkip-l.size {
		return l.fail(ws.StatusMessageTooBig, fmt.Errorf("a message has more than %d bytes", maxSkip))
	}
	l.size += h.Length
	keep := h.Length
	if l.size > int64(l.maxMessage) {
		keep = min(h.Length, int64(max(0, min(sample, l.maxMessage)-len(l.text))))
	}
	buf := bytes.NewBuffer(l.text)
	n, err := io.CopyN(buf, l.in, keep) // grows by what arrives, not by what is announced
	l.text = buf.Bytes()
	if n == keep {
		_, err = io.CopyN(io.Discard, l.in, h.Length-keep)
	}
	if err != nil {
		return l.lost(err)
	}
	return nil
}

// fail closes with a code of RFC 6455, section 7.4.1, and returns the reason.
func (l *link) fail(code ws.StatusCode, why error) error {
	_ = l.write(ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))) // it is closed whatever comes of it
	return why
}

// lost is the error of a connection that ended without a Close frame.
func (l *link) lost(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server was silent for %v", l.pulse.quiet(time.Now()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return errors.New("the server cut the connection")
	}
	return fmt.Errorf("the connection broke: %w", plain(err))
}
