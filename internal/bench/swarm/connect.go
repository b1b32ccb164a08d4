package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gatecast/gatecast"
)

// Swarm is clients. Its methods may be called by anybody at any time, but
// Connect by one caller at a time.
type Swarm struct {
	crew   crew
	count  int           // clients so far; Connect's
	closed chan struct{} // closed by the first Close
	close  func()        // once
}

// crew is those who serve the clients: workers, or a goroutine for each.
type crew interface {
	// dial opens clients from up to below to; their wave hears of it.
	dial(ctx context.Context, w *wave, from, to int)

	// abandon gives up the clients of a wave that are not open. When it
	// returns, the wave's request is not called any more.
	abandon(w *wave)

	stats() Stats
	close()
}

// wave is the clients of one Connect.
type wave struct {
	host    string // "host:port", as the caller has it
	addr    netip.AddrPort
	request func(client int) []byte
	missing atomic.Int64   // clients that have not been open yet
	done    chan error     // has room for one: how it ended; later ends are dropped
	trying  sync.WaitGroup // goroutines that connect a client; TLS only
}

// opened counts a client.
func (w *wave) opened() {
	if w.missing.Add(-1) == 0 {
		w.end(nil)
	}
}

func (w *wave) end(err error) {
	select {
	case w.done <- err:
	default:
	}
}

// Connect opens n more clients, whose numbers go on from those there are, to
// addr ("host:port"). request returns the whole HTTP request of a client; it is
// called anew for every try, by the client's worker, and not after Connect has
// returned. Connect returns when all n have been open; or with ctx's error, or
// with that of the first client that was refused for good: then those that are
// not open yet are given up.
//
// Clients of 127.0.0.1 have sources from 127.0.0.1 upwards, 20,000 clients each,
// so that there are ports enough.
func (s *Swarm) Connect(ctx context.Context, addr string, n int, request func(client int) []byte) error {
	if n <= 0 {
		return nil
	}
	to, err := resolve(ctx, addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &wave{host: addr, addr: to, request: request, done: make(chan error, 1)}
	w.missing.Store(int64(n))
	s.crew.dial(ctx, w, s.count, s.count+n)
	s.count += n
	select {
	case err = <-w.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.closed:
		err = errClosed
	}
	if err != nil {
		cancel()
		s.crew.abandon(w)
	}
	return err
}

var errClosed = errors.New("the swarm is closed")

// resolve returns the first address that a name has.
func resolve(ctx context.Context, addr string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("connect to %s: %w", addr, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return netip.AddrPort{}, gatecast.Errorf(gatecast.Invalid, "%q is no port", service)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("look up %s: %w", host, err)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(port)), nil
}

// Stats returns sums. Frames, Bytes and Pongs are those of each worker's last
// whole round through its sockets, a little behind what Handler.Frame knows.
func (s *Swarm) Stats() Stats { return s.crew.stats() }

// Close resets all connections and waits for the workers. The handler is not
// called any more when it returns. Closing twice does nothing.
func (s *Swarm) Close() { s.close() }
