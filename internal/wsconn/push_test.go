package wsconn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"
)

// pushAll pushes until everything is taken, waiting for Drained as a shard does.
func pushAll(t testing.TB, s *session, fs ...*Frame) {
	for len(fs) > 0 {
		n, err := s.conn.Push(fs)
		if err != nil {
			t.Errorf("push: %v", err)
			return
		}
		if fs = fs[n:]; len(fs) > 0 {
			receive(t, s.drained, "Drained")
		}
	}
}

// numbered makes frames that name their place, of sizes that differ.
func numbered(n, size int) []*Frame {
	fs := make([]*Frame, n)
	for i := range fs {
		fs[i] = NewText([]byte(fmt.Sprintf("%06d ", i) + text(rand.IntN(size))))
	}
	return fs
}

// TestSlowReaderMissesNothing stops reading, lets the server run into the
// full socket, and reads on: every byte comes, in order, and meanwhile the
// server kept no more than it may.
func TestSlowReaderMissesNothing(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		srv, sessions := d.server(t, Options{})
		p := d.dial(t, srv)
		p.handshake("")
		s := receive(t, sessions, "the session")
		defer s.conn.Abort()
		all := numbered(20_000, 2000)
		rest := all
		for range 100_000 { // until nothing is taken twice: the socket is full
			n, err := s.conn.Push(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			if n == 0 && (!d.tls || s.full()) {
				break
			}
		}
		if len(rest) == 0 {
			t.Fatal("the socket took everything; nothing was tested")
		}
		if s.conn.StalledSince().IsZero() || !s.conn.Stats().Waiting {
			t.Error("a stalled connection does not say so")
		}
		if n, err := s.conn.Push(rest); n != 0 || err != nil {
			t.Errorf("push while a rest waits: %d, %v", n, err)
		}
		if held := s.held(); held > batchSize*2100 {
			t.Errorf("%d bytes are held", held)
		}
		go pushAll(t, s, rest...)
		for _, f := range all {
			p.expect(0x81, string(f.Payload()))
		}
		p.write(bye)
		p.expectClose(1000)
		if err := s.end(t); say(err) != "1000 remote=true clean=true" {
			t.Error(err)
		}
	})
}

// full reports whether the drain of a stream is at work.
func (s *session) full() bool {
	s.conn.out.mu.Lock()
	defer s.conn.out.mu.Unlock()
	return s.conn.out.draining
}

// held counts the bytes that wait.
func (s *session) held() int {
	o := &s.conn.out
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.tail)
	if o.queue != nil {
		for _, w := range o.queue.wire {
			n += len(w)
		}
	}
	return n
}

// TestPingsComeAfterWhatWasPushed blocks the socket, so that pings and pongs
// have to wait, and wants only the newest of each, behind the frames.
func TestPingsComeAfterWhatWasPushed(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		srv, sessions := d.server(t, Options{})
		p := d.dial(t, srv)
		p.handshake("")
		s := receive(t, sessions, "the session")
		defer s.conn.Abort()
		big := NewText([]byte(text(32 << 20))) // more than any socket takes
		if n, err := s.conn.Push([]*Frame{big}); n != 1 || err != nil {
			t.Fatalf("push: %d, %v", n, err)
		}
		for i := range 100 {
			if err := s.conn.Ping(fmt.Appendf(nil, "ping %d", i)); err != nil {
				t.Fatal(err)
			}
			p.write(client(0x89, fmt.Sprintf("question %d", i)))
		}
		p.write(client(0x81, "and"))
		receive(t, s.messages, "the message behind the pings")
		s.conn.Close(StatusRestart, "")
		if err := s.conn.Ping(nil); !errors.Is(err, ErrClosing) {
			t.Errorf("ping after close: %v", err)
		}
		if n, err := s.conn.Push([]*Frame{big}); n != 0 || !errors.Is(err, ErrClosing) {
			t.Errorf("push after close: %d, %v", n, err)
		}
		p.expect(0x81, string(big.Payload()))
		p.expect(0x8a, "question 99")
		p.expect(0x89, "ping 99")
		p.expect(0x88, closing(StatusRestart, ""))
		p.write(client(0x88, closing(StatusRestart, "")))
		if err := s.end(t); say(err) != "1012 remote=false clean=true" {
			t.Error(say(err))
		}
	})
}

// TestResetWhileWriting cuts the connection under a blocked writer.
func TestResetWhileWriting(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		var under *net.TCPConn
		srv, sessions := d.server(t, Options{})
		p := d.dial(t, srv, func(c *net.TCPConn) { under = c })
		p.handshake("")
		s := receive(t, sessions, "the session")
		if n, err := s.conn.Push([]*Frame{NewText([]byte(text(32 << 20)))}); n != 1 || err != nil {
			t.Fatalf("push: %d, %v", n, err)
		}
		_ = under.SetLinger(0)
		_ = under.Close()
		err := s.end(t)
		var c *CloseError
		if err == nil || errors.As(err, &c) {
			t.Errorf("Serve returned %v", err)
		}
		if n, err := s.conn.Push([]*Frame{NewText(nil)}); n != 0 || err == nil {
			t.Errorf("push on a dead connection: %d, %v", n, err)
		}
		if err := s.conn.Ping(nil); err == nil {
			t.Error("ping on a dead connection succeeds")
		}
		s.conn.Close(1000, "") // changes nothing
	})
}

// TestStalledClientIsDropped waits for the write deadline.
func TestStalledClientIsDropped(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{WriteStall: 1}, "")
		_ = p
		if _, err := s.conn.Push([]*Frame{NewText([]byte(text(32 << 20)))}); err != nil {
			t.Fatal(err)
		}
		if err := s.end(t); !errors.Is(err, ErrStalled) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// TestAbortEndsABlockedConnection needs no cooperation from the client.
func TestAbortEndsABlockedConnection(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		_, s := d.open(t, Options{}, "")
		if _, err := s.conn.Push([]*Frame{NewText([]byte(text(32 << 20)))}); err != nil {
			t.Fatal(err)
		}
		s.conn.Abort()
		s.conn.Abort()
		if err := s.end(t); !errors.Is(err, ErrAborted) {
			t.Errorf("Serve returned %v", err)
		}
		if _, err := s.conn.Push([]*Frame{NewText(nil)}); !errors.Is(err, ErrAborted) {
			t.Errorf("push after abort: %v", err)
		}
	})
}

// TestPingPayloadIsLimited is RFC 6455 section 5.5.
func TestPingPayloadIsLimited(t *testing.T) {
	p, s := door{}.open(t, Options{}, "")
	if err := s.conn.Ping([]byte(text(126))); err == nil {
		t.Error("a ping of 126 bytes was sent")
	}
	if err := s.conn.Ping([]byte(text(125))); err != nil {
		t.Error(err)
	}
	p.expect(0x89, text(125))
}

// TestAcknowledgedTellsWhetherTheClientsSystemHasEverything pushes more than
// any socket takes to a client that does not read at first.
func TestAcknowledgedTellsWhetherTheClientsSystemHasEverything(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		srv, sessions := d.server(t, Options{})
		p := d.dial(t, srv)
		p.handshake("")
		s := receive(t, sessions, "the session")
		defer s.conn.Abort()
		big := NewText([]byte(text(32 << 20)))
		if n, err := s.conn.Push([]*Frame{big}); n != 1 || err != nil {
			t.Fatalf("push: %d, %v", n, err)
		}
		if s.conn.Acknowledged() {
			t.Error("the client has read nothing of 32 MiB, and its system is said to have them all")
		}
		p.expect(0x81, string(big.Payload()))
		for deadline := time.Now().Add(patience); !s.conn.Acknowledged(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("the client has read everything, and that is not seen")
			}
		}
	})
}
