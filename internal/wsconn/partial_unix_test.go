//go:build unix

package wsconn

import (
	"fmt"
	"strings"
	"testing"
)

// pretendWritten does what push does when the kernel takes n bytes of fs.
// The caller holds out.mu.
func (c *Conn) pretendWritten(fs []*Frame, n int) (int, error) {
	p := pusher{conn: c, frames: fs}
	p.account(fs, n, nil)
	return p.taken, p.err
}

// TestPartialWritesAreAccountedFor plays every possible result of writev(2).
func TestPartialWritesAreAccountedFor(t *testing.T) {
	fs := []*Frame{NewText([]byte("a")), NewText([]byte(text(126))), NewText(nil), NewBinary([]byte("xyz"))}
	var wire strings.Builder
	for _, f := range fs {
		wire.Write(f.plain)
	}
	for n := range wire.Len() + 1 {
		d := door{"tcp", false}
		p, s := d.open(t, Options{}, "")
		c := s.conn
		c.out.mu.Lock()
		taken, err := c.pretendWritten(fs, n)
		c.out.frames += uint64(taken)
		c.settle(err)
		rest := fs[taken:]
		c.out.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if n < wire.Len() {
			receive(t, s.drained, fmt.Sprintf("Drained after %d bytes", n))
		}
		pushAll(t, s, rest...)
		if err := c.Ping([]byte("end")); err != nil {
			t.Fatal(err)
		}
		want := wire.String()[n:] + "\x89\x03end"
		have := make([]byte, len(want))
		if _, err := p.readFull(have); err != nil || string(have) != want {
			t.Fatalf("after %d bytes: %v\n got %q\nwant %q", n, err, have, want)
		}
		p.write(bye)
		p.expectClose(1000)
		_ = s.end(t)
	}
}
