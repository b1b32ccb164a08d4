package standin

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// gate lies between a WebSocket connection and its socket. While it is shut
// nothing is written, as by a server whose process hangs: the client's TCP
// connection lives, and not even a Pong comes.
type gate struct {
	net.Conn

	mu     sync.Mutex // guards the fields below; nothing is written under it
	open   chan struct{}
	ended  chan struct{}
	isShut bool
	over   bool
}

func newGate(nc net.Conn) *gate {
	g := &gate{Conn: nc, open: make(chan struct{}), ended: make(chan struct{})}
	close(g.open)
	return g
}

// Write waits until the gate is open.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return g.Conn.Write(b)
	case <-g.ended:
		return 0, net.ErrClosed
	}
}

// Close closes the socket, and ends whoever waits.
func (g *gate) Close() error {
	g.mu.Lock()
	if !g.over {
		g.over = true
		close(g.ended)
	}
	g.mu.Unlock()
	return g.Conn.Close()
}

// NetConn returns the socket, also from under TLS, for whoever wants to reset it.
func (g *gate) NetConn() net.Conn {
	if t, ok := g.Conn.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return g.Conn
}

// shut closes the gate, or opens it.
func (g *gate) shut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if shut == g.isShut {
		return
	}
	g.isShut = shut
	if shut {
		g.open = make(chan struct{})
	} else {
		close(g.open)
	}
}

// hijacker puts a gate between a connection and who takes it over.
type hijacker struct {
	http.ResponseWriter
	gate *gate // set by Hijack
}

// Hijack is part of [http.Hijacker].
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.gate = newGate(nc)
	return h.gate, rw, nil
}

// hangUp ends a connection without an answer, and with RST if it can.
func hangUp(w http.ResponseWriter) {
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2, or it has ended already
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is a polite one
	}
	_ = nc.Close()
}
