package e2e

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy is the network between one client and the server. It passes on bytes
// as they come, so that the two speak with each other, and can break what it
// carries. Its address stays when the server comes back at another one.
type proxy struct {
	door *net.TCPListener
	all  sync.WaitGroup // its goroutines

	mu     sync.Mutex // guards the fields below; nothing waits under it
	target string     // address of the server
	links  map[*link]struct{}
	closed bool
}

// newProxy opens a proxy that leads nowhere yet. The test's end closes it.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	door, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{door: door, links: map[*link]struct{}{}}
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// base is what a client takes for the server.
func (p *proxy) base() string { return "http://" + p.door.Addr().String() }

// leadTo has new connections go to the server.
func (p *proxy) leadTo(s *server) { p.leadToAddress(s.output.address) }

// leadToAddress is the same for any server.
func (p *proxy) leadToAddress(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = address
}

func (p *proxy) accept() {
	for {
		client, err := p.door.AcceptTCP()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.carry(client) })
	}
}

// carry serves one connection to its end.
func (p *proxy) carry(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	to, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close() // nobody there
		return
	}
	l := &link{client: client, server: to.(*net.TCPConn)}
	p.mu.Lock()
	p.links[l] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		l.reset()
	}
	var back sync.WaitGroup
	back.Go(func() { l.pump(l.client, l.server) })
	l.pump(l.server, l.client)
	back.Wait()
	_, _ = l.client.Close(), l.server.Close() // a reset has closed them already
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// reset breaks every connection as a crash of the network does: both ends are
// sent RST, and whatever was on its way is gone.
func (p *proxy) reset() { p.each((*link).reset) }

// part ends every connection as a closing middlebox does: both ends are sent
// FIN, without a Close frame, and what they send after that goes nowhere.
func (p *proxy) part() { p.each((*link).part) }

func (p *proxy) each(f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		f(l)
	}
}

func (p *proxy) close() {
	_ = p.door.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.reset()
	p.all.Wait()
}

// link is one connection through a proxy.
type link struct {
	client, server *net.TCPConn
	parted         atomic.Bool // nothing is passed on any more
}

// pump passes on one direction until it ends, and ends the other side the same
// way.
func (l *link) pump(to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.parted.Load() {
			if _, err := to.Write(buf[:n]); err != nil && !l.parted.Load() {
				l.reset()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite() // it may have gone meanwhile
			return
		case err != nil:
			l.reset()
			return
		}
	}
}

func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.client, l.server} {
		_, _ = c.SetLinger(0), c.Close() // fail only where it is closed
	}
}

func (l *link) part() {
	l.parted.Store(true)
	_, _ = l.client.CloseWrite(), l.server.CloseWrite() // fail only where it is closed
}
