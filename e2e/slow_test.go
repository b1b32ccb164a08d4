package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// TestStoppedReadersHarmNobody has 5 of 200 clients read nothing while events
// are published, and then twice as many. The others get all of them, and the
// server's memory stays under one bound both times: nothing is kept for those
// who do not read. When they read again, they get all of it too.
func TestStoppedReadersHarmNobody(t *testing.T) {
	const (
		clients, stopped = 200, 5
		warm, first      = 3000, 4000 // events
		bound            = 32 << 20   // bytes; a queue for each who stopped would hold 40 MB of the second part
	)
	withoutRaceDetector(t)
	s := start(t, t.TempDir(), "--hub.ring=1024", "--websocket.stall_timeout=1h", "--websocket.dead_after=2h", "--server.drain_spread=100ms")
	url := s.signedURL(s.createApp(t))
	var want []string
	for n := range int64(warm + first + 2*first) {
		want = append(want, kibibyte(n).push())
	}
	var readers []*reader
	for range clients {
		readers = append(readers, newReader(t, url, want))
	}
	next := publish(t, s, readers, 0, warm) // the memory that any traffic takes
	for _, n := range []int64{first, 2 * first} {
		before := s.resident(t)
		next = publish(t, s, readers[stopped:], next, n)
		grown := s.resident(t) - before
		t.Logf("%d events of 1 KiB: the server grew by %d KiB from %d KiB", n, grown>>10, before>>10)
		if grown > bound {
			t.Errorf("the server grew by %d bytes over %d events with %d stopped readers, allowed are %d", grown, n, stopped, bound)
		}
	}
	publish(t, s, readers[:stopped], next, 0)
}

// withoutRaceDetector has the test start a server that was built without it:
// the detector's own memory grows with everything that happens.
func withoutRaceDetector(t *testing.T) {
	t.Helper()
	if !racing() {
		return
	}
	instrumented := binary
	t.Cleanup(func() { binary = instrumented })
	binary = filepath.Join(t.TempDir(), "gatecast")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/gatecast").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
}

// kibibyte is event n of this test, about 1 KiB long.
func kibibyte(n int64) sent {
	return sent{n, fmt.Sprintf(`{"id":%d,"name":"山田 太郎","signDate":"2019-09-29","remark":%q}`, n, strings.Repeat("x", 940))}
}

// publish posts n events in order, from number next, to readers who read
// meanwhile, and returns the number after them when each reader has got there.
func publish(t *testing.T, s *server, readers []*reader, next, n int64) int64 {
	t.Helper()
	ctx := within(t)
	errs := make(chan error, len(readers))
	for _, r := range readers {
		go func(end int64) { errs <- r.reach(ctx, end) }(next + n)
	}
	defer func() {
		for range readers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}()
	for end := next + n; next < end; {
		var b batch
		for range min(100, end-next) {
			b.events = append(b.events, kibibyte(next))
			next++
		}
		contentType, body := b.encode()
		if r, err := s.post(ctx, contentType, body); err != nil || r.Accepted != len(b.events) {
			t.Fatalf("post %d events: %+v, %v", len(b.events), r, err)
		}
	}
	return next
}

// reader is a client that reads only when it is told to, and keeps nothing.
type reader struct {
	conn net.Conn
	in   *bufio.Reader
	want []string // every push there will be
	next int64    // number of the event that must come next
	buf  [2048]byte
}

// newReader connects a client and reads its first message.
func newReader(t *testing.T, url string, want []string) *reader {
	t.Helper()
	conn, early, _, err := ws.Dial(within(t), url)
	if err != nil {
		t.Fatalf("connect to the server: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var in io.Reader = conn
	if early != nil {
		in = io.MultiReader(io.LimitReader(early, int64(early.Buffered())), conn)
	}
	r := &reader{conn: conn, in: bufio.NewReader(in), want: want}
	if message, err := r.message(); err != nil || string(message) != connected {
		t.Fatalf("first message %q (%v), want %q", message, err, connected)
	}
	return r
}

// reach reads up to an event and compares every byte.
func (r *reader) reach(ctx context.Context, next int64) error {
	defer context.AfterFunc(ctx, func() { _ = r.conn.Close() })()
	for r.next < next {
		message, err := r.message()
		if err != nil {
			return fmt.Errorf("read after event %d: %w", r.next-1, err)
		}
		if string(message) == heartbeat {
			continue
		}
		if string(message) != r.want[r.next] {
			return fmt.Errorf("pushed\n%s\nwant\n%s", message, r.want[r.next])
		}
		r.next++
	}
	return nil
}

// message returns the next message, until the next call, and answers the Pings
// before it.
func (r *reader) message() ([]byte, error) {
	for {
		header, err := ws.ReadHeader(r.in)
		if err != nil {
			return nil, err
		}
		if header.Length > int64(len(r.buf)) || header.OpCode != ws.OpText && header.OpCode != ws.OpPing {
			return nil, fmt.Errorf("an unexpected frame %+v", header)
		}
		payload := r.buf[:header.Length]
		if _, err := io.ReadFull(r.in, payload); err != nil {
			return nil, err
		}
		if header.OpCode == ws.OpText {
			return payload, nil
		}
		if err := ws.WriteFrame(r.conn, ws.MaskFrame(ws.NewPongFrame(payload))); err != nil {
			return nil, err
		}
	}
}
