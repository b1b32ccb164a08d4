//go:build linux || darwin

package wsconn

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// sink opens a session whose client swallows everything.
func sink(t testing.TB, d door) *session {
	p, s := d.open(t, Options{}, "")
	go func() { _, _ = io.Copy(io.Discard, p) }()
	return s
}

func someFrames(n int) []*Frame {
	fs := make([]*Frame, n)
	for i := range fs {
		fs[i] = NewText([]byte(text(400)))
	}
	return fs
}

// TestPushDoesNotAllocate holds for a client that keeps up.
func TestPushDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, n := range []int{1, 64, 200} {
		s := sink(t, doors()[0])
		fs := someFrames(n)
		per := testing.AllocsPerRun(100, func() {
			k, err := s.conn.Push(fs)
			if err != nil {
				t.Fatal(err)
			}
			if k < n || s.full() { // the client fell behind: that may cost
				receive(t, s.drained, "Drained")
			}
		})
		if per > 0 {
			t.Errorf("a push of %d frames allocates %v times", n, per)
		}
		if per := testing.AllocsPerRun(100, func() { _ = s.conn.Ping([]byte("12345678")) }); per > 0 {
			t.Errorf("a ping allocates %v times", per)
		}
	}
}

func BenchmarkPush1(b *testing.B)  { benchmarkPush(b, 1) }
func BenchmarkPush64(b *testing.B) { benchmarkPush(b, 64) }

// benchmarkPush compares Push with the bare system call on an equal socket.
func benchmarkPush(b *testing.B, n int) {
	fs := someFrames(n)
	b.Run("conn", func(b *testing.B) {
		s := sink(b, doors()[0])
		b.ReportAllocs()
		b.SetBytes(int64(n * fs[0].Size()))
		for b.Loop() {
			pushAll(b, s, fs...)
		}
	})
	b.Run("tls", func(b *testing.B) {
		s := sink(b, doors()[1])
		b.ReportAllocs()
		b.SetBytes(int64(n * fs[0].Size()))
		for b.Loop() {
			pushAll(b, s, fs...)
		}
	})
	b.Run("bare", func(b *testing.B) { benchmarkBare(b, fs) })
}

func benchmarkBare(b *testing.B, fs []*Frame) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	wire := make([][]byte, len(fs))
	for i, f := range fs {
		wire[i] = f.plain
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(fs) * fs[0].Size()))
	b.ResetTimer()
	_ = raw.Write(func(fd uintptr) bool {
		for b.Loop() {
			bareWrite(b, int(fd), wire)
		}
		return true
	})
}

// bareWrite makes one write(2) or writev(2) and waits while the socket is full.
func bareWrite(b *testing.B, fd int, wire [][]byte) {
	for {
		var err error
		if len(wire) == 1 {
			_, err = unix.Write(fd, wire[0])
		} else {
			_, err = unix.Writev(fd, wire)
		}
		if err != unix.EAGAIN {
			if err != nil {
				b.Fatal(err)
			}
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
	}
}
