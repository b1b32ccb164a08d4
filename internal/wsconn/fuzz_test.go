package wsconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// FuzzClientFrames plays arbitrary bytes as a client, plain or deflating.
// Whatever they are, the server answers with well-formed frames of its own,
// at most one Close frame with a code that may be sent, as the last one, and
// then ends; and it never holds more than a message may have.
func FuzzClientFrames(f *testing.F) {
	for _, r := range rules() {
		if len(r.send) < 2000 {
			f.Add(r.send, false, uint8(3))
		}
	}
	for _, r := range deflateRules() {
		if len(r.send) < 2000 {
			f.Add(r.send, true, uint8(200))
		}
	}
	f.Fuzz(func(t *testing.T, sent []byte, deflate bool, portion uint8) {
		line := &script{in: append(slices.Clone(sent), bye...), portion: int(portion) + 1}
		c := newConn(line, nil, deflate, Options{MaxMessage: 4096, Deflate: deflate, MaxInbound: -1}.withDefaults())
		h := &bounds{t: t, c: c}
		err := c.Serve(h)
		if h.most > 4096+readSize {
			t.Errorf("%d bytes were held", h.most)
		}
		code := understand(t, &line.out)
		var end *CloseError
		switch {
		case errors.As(err, &end):
			if end.Code != code || !end.Code.Valid() && end.Code != StatusNone {
				t.Errorf("Serve returned %v, the client saw %d", err, code)
			}
		case err != io.ErrUnexpectedEOF || code != 0:
			t.Errorf("Serve returned %v, the client saw %d", err, code)
		}
	})
}

// script is a connection whose client says its lines and hangs up.
type script struct {
	net.Conn // nil: nothing else may be used
	in       []byte
	portion  int
	out      bytes.Buffer
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.portion)], s.in)
	s.in = s.in[n:]
	return n, nil
}
func (s *script) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// bounds checks what the handler is told.
type bounds struct {
	t    *testing.T
	c    *Conn
	most int // of a message buffer
}

func (b *bounds) Message(_ bool, p []byte) {
	if len(p) > 4096 {
		b.t.Errorf("a message of %d bytes", len(p))
	}
	if m := b.c.in.msg; m != nil { // same goroutine as the parser
		b.most = max(b.most, len(*m))
	}
}

func (b *bounds) Pong(p []byte) {
	if len(p) > maxControl {
		b.t.Errorf("a pong of %d bytes", len(p))
	}
}
func (b *bounds) Drained() {}

// understand reads the server's frames and returns the code of its Close
// frame, 0 if there was none.
func understand(t *testing.T, from io.Reader) Status {
	code := Status(0)
	for {
		h, err := ws.ReadHeader(from)
		if err != nil {
			if err != io.EOF {
				t.Errorf("the server cut a header short: %v", err)
			}
			return code
		}
		if fail := ws.CheckHeader(h, ws.StateClientSide); fail != nil || !h.OpCode.IsControl() || code != 0 {
			t.Errorf("the server sent %+v after close %d: %v", h, code, fail)
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(from, p); err != nil {
			t.Errorf("the server cut a frame short: %v", err)
		}
		if h.OpCode == ws.OpClose {
			end := parseClose(p)
			if !end.Remote {
				t.Errorf("the server sent a bad close: %v", end)
			}
			code = end.Code
		}
	}
}
