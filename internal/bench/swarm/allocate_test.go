//go:build linux

package swarm

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// quota is a handler that tells when so many frames have come.
type quota struct {
	left atomic.Int64
	done chan struct{}
}

func (q *quota) Open(int)          {}
func (q *quota) Closed(int, error) {}
func (q *quota) Frame(int, []byte, int) {
	if q.left.Add(-1) == 0 {
		q.done <- struct{}{}
	}
}

// stage is connected clients, and the server's ends of them.
func stage(t testing.TB, clients int) (*quota, []net.Conn) {
	if err := Limit(2*clients + 100); err != nil {
		t.Skip(err)
	}
	all := make(chan net.Conn, clients)
	addr := door{}.serve(t, func(_ int, g *guest) {
		if g.upgrade() {
			all <- g.Conn
			_, _ = io.Copy(io.Discard, g.r)
		}
	})
	q := &quota{done: make(chan struct{}, 1)}
	if err := gather(t, q, Options{}).Connect(t.Context(), addr, clients, request); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range clients {
		conns = append(conns, <-all)
	}
	return q, conns
}

// round sends each client something and waits until all of it was handed over.
func (q *quota) round(t testing.TB, conns []net.Conn, wire []byte, frames int) {
	q.left.Store(int64(frames * len(conns)))
	for _, c := range conns {
		if _, err := c.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	<-q.done
}

// TestReadingDoesNotAllocate once every client has had a frame in two parts and
// a Ping.
func TestReadingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	q, conns := stage(t, 20)
	one := append(encode(0x81, text(1000)), encode(0x89, "12345678")...)
	for name, wire := range map[string][]byte{"one": one, "many": []byte(strings.Repeat(string(one), 200))} {
		frames := len(wire) / len(one)
		for _, c := range conns { // so that all have what they keep
			q.round(t, []net.Conn{c}, wire, frames)
			q.left.Store(1)
			for _, part := range [][]byte{wire[:1], wire[1:200], wire[200:len(one)]} {
				_, _ = c.Write(part)
				<-time.After(time.Millisecond)
			}
			<-q.done
		}
		if per := testing.AllocsPerRun(50, func() { q.round(t, conns, wire, frames) }); per > 0 {
			t.Errorf("%s: %v allocations a round", name, per)
		}
	}
}

func BenchmarkRead1(b *testing.B)   { benchmarkRead(b, 1) }
func BenchmarkRead100(b *testing.B) { benchmarkRead(b, 100) }

// benchmarkRead is pushes of usual size to 2,000 clients, from writes of so many
// to each: CPU of the writing system calls and of the swarm together.
func benchmarkRead(b *testing.B, frames int) {
	q, conns := stage(b, 2000)
	wire := []byte(strings.Repeat(string(encode(0x81, text(1000))), frames))
	q.round(b, conns, wire, frames)
	before := cpu(b)
	b.ReportAllocs()
	rounds := 0
	for b.Loop() {
		q.round(b, conns, wire, frames)
		rounds++
	}
	per := float64(frames * len(conns) * rounds)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/frame")
	b.ReportMetric(float64(cpu(b)-before)/per, "cpu-ns/frame")
}

func cpu(t testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
