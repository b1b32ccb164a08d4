package buckettest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wire is a TCP connection's way to an address, which can be cut: then what is
// sent arrives nowhere, and neither end is told.
type Wire struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	// mu guards the fields below. It is held only to look and to note.
	mu    sync.Mutex
	cut   bool
	ended bool
	conns map[net.Conn]struct{}
}

// NewWire makes a wire that ends with the test.
func NewWire(t testing.TB, to string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{listener: l, to: to, conns: map[net.Conn]struct{}{}}
	w.work.Go(w.accept)
	t.Cleanup(w.end)
	return w
}

// Address is where the wire begins.
func (w *Wire) Address() string { return w.listener.Addr().String() }

// Cut cuts the wire, and Mend mends it: then the connections that hung in it
// break.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
}

// Mend is the end of Cut.
func (w *Wire) Mend() {
	w.mu.Lock()
	w.cut = false
	conns := w.conns
	w.conns = map[net.Conn]struct{}{}
	w.mu.Unlock()
	for c := range conns {
		_ = c.Close() // whatever comes of it, it is over
	}
}

func (w *Wire) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	_ = w.listener.Close()
	w.Mend()
	w.work.Wait()
}

func (w *Wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		if w.keep(in) {
			w.work.Go(func() { w.join(in) })
		}
	}
}

// keep has a connection end with the wire.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	ended := w.ended
	if !ended {
		w.conns[c] = struct{}{}
	}
	w.mu.Unlock()
	if ended {
		_ = c.Close()
	}
	return !ended
}

func (w *Wire) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut
}

// join carries what comes from one end to the other, until one closes.
func (w *Wire) join(in net.Conn) {
	defer in.Close()
	if w.isCut() {
		_, _ = io.Copy(io.Discard, in) // until it gives up
		return
	}
	out, err := net.Dial("tcp", w.to)
	if err != nil || !w.keep(out) {
		return
	}
	var back sync.WaitGroup
	defer back.Wait()
	defer out.Close()
	back.Go(func() {
		defer in.Close()
		w.carry(in, out)
	})
	w.carry(out, in)
}

func (w *Wire) carry(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !w.isCut() {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
