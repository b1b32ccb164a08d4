//go:build linux

package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestPingsAreAnsweredWithWhatTheySay(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		result := make(chan error, 1)
		addr := d.serve(t, func(_ int, g *guest) {
			if g.upgrade(encode(0x8a, "a pong that nobody asked for")...) {
				result <- g.playPing()
			}
		})
		s := gather(t, newWitness(), d.options(Options{}))
		if err := s.Connect(t.Context(), addr, 1, request); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		s.Close()
		if got := s.Stats().Pongs; got != 3 {
			t.Errorf("counted %d pongs", got)
		}
	})
}

// playPing wants each Ping answered at once, also between the fragments of a
// message.
func (g *guest) playPing() error {
	for i, ping := range []string{"", "12345678", text(125)} {
		_, _ = g.Write(append(encode(byte(i), "part"), encode(0x89, ping)...)[6*min(1, 1-i%2):])
		first, payload, masked, err := g.next()
		if err != nil || first != 0x8a || !masked || string(payload) != ping {
			return fmt.Errorf("ping %q was answered with %#x %q masked=%v, %v", ping, first, payload, masked, err)
		}
	}
	return nil
}

// TestAFullSocketKeepsTheNewestPong has the server send Pings and not read.
func TestAFullSocketKeepsTheNewestPong(t *testing.T) {
	const pings = 20_000
	result := make(chan error, 1)
	narrow := make(chan struct{})
	addr := door{}.serve(t, func(_ int, g *guest) {
		_ = g.Conn.(*net.TCPConn).SetReadBuffer(128 << 10)
		if g.upgrade() {
			<-narrow
			result <- g.floodPings(pings)
		}
	})
	s := gather(t, newWitness(), Options{})
	if err := s.Connect(t.Context(), addr, 1, request); err != nil {
		t.Fatal(err)
	}
	first := s.crew.(*crowd).workers[0]
	first.mail.post(func() {
		_ = syscall.SetsockoptInt(int(first.clients[0].fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16<<10)
		close(narrow)
	})
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func (g *guest) floodPings(n int) error {
	var all bytes.Buffer
	for i := 1; i <= n; i++ {
		all.Write(encode(0x89, string(binary.BigEndian.AppendUint64([]byte(text(117)), uint64(i)))))
	}
	if _, err := g.Write(all.Bytes()); err != nil {
		return err
	}
	pongs, last := 0, uint64(0)
	for last < uint64(n) {
		first, payload, _, err := g.next()
		if err != nil || first != 0x8a || len(payload) != 125 {
			return fmt.Errorf("after pong %d came %#x %q, %v", last, first, payload, err)
		}
		i := binary.BigEndian.Uint64(payload[117:])
		if i <= last {
			return fmt.Errorf("pong %d after pong %d", i, last)
		}
		last = i
		pongs++
	}
	if pongs == n {
		return errors.New("the client's socket was never full: nothing is tested")
	}
	return nil
}

func TestACloseIsAnsweredAndTold(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		closes := []struct {
			code   int
			reason string
		}{{1000, ""}, {1008, "permission denied"}, {1012, "service restart"}, {4999, text(123)}, {1005, ""}}
		result := make(chan error, len(closes))
		addr := d.serve(t, func(n int, g *guest) {
			body := string(binary.BigEndian.AppendUint16(nil, uint16(closes[n].code))) + closes[n].reason
			if closes[n].code == 1005 {
				body = ""
			}
			g.upgrade(append(encode(0x88, body), encode(0x81, "too late")...)...)
			first, payload, masked, err := g.next()
			if err != nil || first != 0x88 || !masked || string(payload) != body[:min(2, len(body))] {
				err = fmt.Errorf("a close %d was answered with %#x %q masked=%v, %w", closes[n].code, first, payload, masked, err)
			}
			result <- err
			g.Close()
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{}))
		for i, want := range closes {
			if err := s.Connect(t.Context(), addr, 1, request); err != nil {
				t.Fatal(err)
			}
			if err := <-result; err != nil {
				t.Error(err)
			}
			var got *CloseError
			if err := w.end(t, i); !errors.As(err, &got) || got.Code != want.code || got.Reason != want.reason {
				t.Errorf("a close %d is told as %v", want.code, err)
			}
			if n := len(w.got(t, i, 0)); n > 0 {
				t.Errorf("%d frames were heard after the close", n)
			}
		}
		if got := s.Stats().Open; got != 0 {
			t.Errorf("%d are open", got)
		}
	})
}

func TestAConnectionThatBreaksIsTold(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		ends := []struct {
			how  string
			act  func(g *guest)
			want func(error) bool
		}{
			{"no close frame", func(g *guest) {}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
			{"in a header", func(g *guest) { _, _ = g.Write([]byte{0x81}) }, func(err error) bool { return err == io.ErrUnexpectedEOF }},
			{"in a payload", func(g *guest) { _, _ = g.Write(encode(0x81, text(500))[:400]) }, func(err error) bool { return err == io.ErrUnexpectedEOF }},
			{"reset", func(g *guest) {
				c, ok := g.Conn.(*net.TCPConn)
				if !ok {
					c = g.Conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn)
				}
				_ = c.SetLinger(0)
				_ = c.Close()
			}, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
			{"masked", func(g *guest) {
				_, _ = g.Write([]byte{0x81, 0x81, 1, 2, 3, 4, 5})
				g.linger()
			}, func(err error) bool { return strings.Contains(err.Error(), "masked") }},
		}
		addr := d.serve(t, func(n int, g *guest) {
			if g.upgrade(encode(0x81, "x")...) {
				ends[n].act(g)
			}
			g.Close()
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{}))
		for i, e := range ends {
			if err := s.Connect(t.Context(), addr, 1, request); err != nil {
				t.Fatal(err)
			}
			if err := w.end(t, i); !e.want(err) {
				t.Errorf("%s: told as %v", e.how, err)
			}
		}
	})
}

func TestNothingIsToldOnceTheSwarmIsClosed(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		gone := make(chan struct{}, 100)
		addr := d.serve(t, func(_ int, g *guest) {
			g.upgrade()
			g.linger()
			gone <- struct{}{}
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{Workers: 2}))
		if err := s.Connect(t.Context(), addr, 100, request); err != nil {
			t.Fatal(err)
		}
		s.Close()
		for range 100 {
			<-gone
		}
		s.Close()
		if len(w.ends) > 0 {
			t.Errorf("%d ends were told", len(w.ends))
		}
		if err := s.Connect(t.Context(), addr, 1, request); err == nil {
			t.Error("a closed swarm connects")
		}
	})
}
