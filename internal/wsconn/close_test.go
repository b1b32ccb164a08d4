package wsconn

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestServerClosesFirst is RFC 6455 section 7.1.2 from our side: what was
// pushed comes before the Close frame, and the handler hears the client until
// its own Close.
func TestServerClosesFirst(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{}, "")
		pushAll(t, s, numbered(5, 10)...)
		s.conn.Close(StatusRestart, "back soon")
		s.conn.Close(StatusNormal, "ignored")
		for range 5 {
			if f, err := p.read(); err != nil || f.head != 0x81 {
				t.Fatalf("got %v, %v", f, err)
			}
		}
		p.expect(0x88, closing(StatusRestart, "back soon"))
		p.write(frames(client(0x8a, "seen"), client(0x81, "last words"), client(0x89, "no answer"), client(0x88, closing(StatusRestart, ""))))
		if _, err := p.read(); err != io.EOF {
			t.Errorf("after the handshake came %v", err)
		}
		if got := say(s.end(t)); got != "1012 remote=false clean=true" {
			t.Error(got)
		}
		if a, b := receive(t, s.pongs, "the pong"), receive(t, s.messages, "the message"); a != "seen" || b != "t:last words" {
			t.Errorf("heard %q and %q", a, b)
		}
	})
}

// TestBothCloseAtOnce is section 7.1.5's simultaneous close: each side sends
// one Close frame and no echo.
func TestBothCloseAtOnce(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{}, "")
		p.write(client(0x88, closing(1001, "client")))
		s.conn.Close(1012, "server")
		f, err := p.read()
		if err != nil || f.head != 0x88 {
			t.Fatalf("got %v, %v", f, err)
		}
		if _, err := p.read(); err != io.EOF {
			t.Errorf("after the Close frame came %v", err)
		}
		// Whose frame was first is open; that the handshake was clean is not.
		if got := say(s.end(t)); got != "1012 remote=false clean=true" && got != "1001 remote=true clean=true" {
			t.Error(got)
		}
	})
}

// TestClientThatIgnoresCloseIsCutOff must not wait for ever.
func TestClientThatIgnoresCloseIsCutOff(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{CloseTimeout: 1}, "")
		s.conn.Close(1001, "")
		if got := say(s.end(t)); got != "1001 remote=false clean=false" {
			t.Error(got)
		}
		_, _ = io.Copy(io.Discard, p) // ends because the server hung up
	})
}

// TestCloseEndsThoughTheClientDoesNotRead has the Close frame stuck behind
// what the client does not take.
func TestCloseEndsThoughTheClientDoesNotRead(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{CloseTimeout: 1}, "")
		if _, err := s.conn.Push([]*Frame{NewText([]byte(text(32 << 20)))}); err != nil {
			t.Fatal(err)
		}
		p.write(bye)
		if got := say(s.end(t)); got != "1000 remote=true clean=false" {
			t.Error(got)
		}
	})
}

// TestViolationIsToldThoughTheClientKeepsSending must not lose the Close
// frame to a TCP reset.
func TestViolationIsToldThoughTheClientKeepsSending(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{}, "")
		p.write(append(unmasked(0x81, "bad"), text(1<<20)...))
		p.expectClose(1002)
		p.Close()
		if got := say(s.end(t)); got != "1002 remote=false clean=false" {
			t.Error(got)
		}
	})
}

// TestConnectionLostWithoutCloseIsUnexpected is code 1006 of the RFC.
func TestConnectionLostWithoutCloseIsUnexpected(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		for _, begun := range []string{"", "\x81", "\x81\x85\x00\x00\x00\x00he", string(client(0x01, "he"))} {
			p, s := d.open(t, Options{}, "")
			p.write([]byte(begun))
			if half, ok := p.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
				t.Fatal("cannot close one side")
			}
			if err := s.end(t); err != io.ErrUnexpectedEOF {
				t.Errorf("after %q Serve returned %v", begun, err)
			}
		}
	})
}

// TestResetWithoutCloseIsAnError of the network.
func TestResetWithoutCloseIsAnError(t *testing.T) {
	var under *net.TCPConn
	srv, sessions := doors()[0].server(t, Options{})
	p := doors()[0].dial(t, srv, func(c *net.TCPConn) { under = c })
	p.handshake("")
	s := receive(t, sessions, "the session")
	_ = under.SetLinger(0)
	_ = under.Close()
	var netErr *net.OpError
	if err := s.end(t); err == nil || errors.As(err, &netErr) && netErr.Timeout() {
		t.Errorf("Serve returned %v", err)
	}
}

// TestCloseFramesWeSendAreValid whatever the caller asks for.
func TestCloseFramesWeSendAreValid(t *testing.T) {
	for _, code := range []Status{0, 999, 1000, 1004, 1006, 1015, 2000, 3000, 4999, 5000, 65535} {
		for _, reason := range []string{"", "why", "\xff", text(123), text(124), strings.Repeat("漢", 60), text(122) + "漢"} {
			body := closeBody(code, reason)
			c := parseClose(body)
			if len(body) > maxControl || !c.Remote || !c.Code.Valid() || !utf8.ValidString(c.Reason) {
				t.Errorf("Close(%d, %q) sends % x", code, reason, body)
			}
			if code.Valid() && c.Code != code || !strings.HasPrefix(reason, c.Reason) || len(reason) < 120 && utf8.ValidString(reason) && c.Reason != reason {
				t.Errorf("Close(%d, %q) sends %d %q", code, reason, c.Code, c.Reason)
			}
		}
	}
	if b := closeBody(StatusNone, "x"); b != nil {
		t.Errorf("1005 sends % x", b)
	}
}
