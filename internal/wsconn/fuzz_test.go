package wsconn

import (
	"io"
	"net"
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
		server, client := net.Pipe()
		c := newConn(server, nil, deflate, Options{MaxMessage: 4096, Deflate: deflate}.withDefaults())
		h := &bounds{t: t, c: c}
		result := make(chan error, 1)
		go func() { result <- c.Serve(h) }()
		_ = client.SetDeadline(time.Now().Add(patience))
		heard := make(chan Status, 1)
		go func() { heard <- listen(t, client) }()
		for rest := sent; len(rest) > 0; {
			n := min(int(portion)+1, len(rest))
			if _, err := client.Write(rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		if _, err := client.Write(bye); err != nil && err != io.ErrClosedPipe {
			t.Log(err)
		}
		code := <-heard
		_ = client.Close()
		err := <-result
		if h.most > 2*4096+readSize {
			t.Errorf("%d bytes were held", h.most)
		}
		if end, ok := err.(*CloseError); ok {
			if end.Code != code && code != 0 || !end.Code.Valid() && end.Code != StatusNone {
				t.Errorf("Serve returned %v, the client saw %d", err, code)
			}
		} else if err == nil {
			t.Error("Serve returned nil")
		}
	})
}

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

// listen reads the server's frames until the end and returns the code of its
// Close frame, 0 if there was none.
func listen(t *testing.T, client net.Conn) Status {
	code := Status(0)
	for {
		h, err := ws.ReadHeader(client)
		if err != nil {
			return code
		}
		if fail := ws.CheckHeader(h, ws.StateClientSide); fail != nil || !h.OpCode.IsControl() || code != 0 {
			t.Errorf("the server sent %+v after close %d: %v", h, code, fail)
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(client, p); err != nil {
			t.Errorf("the server cut a frame short: %v", err)
			return code
		}
		if h.OpCode == ws.OpClose {
			end := parseClose(p)
			if !end.Remote {
				t.Errorf("the server sent a bad close: %v", end)
			}
			code = end.Code
			_ = client.Close()
		}
	}
}
