package app

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// lobbySeats is how many new connections may wait to be served. When they are
// taken, the system's own line fills, and then clients try again a second later.
const lobbySeats = 16 << 10

// lobby is a listener that takes new connections from the system at once, for
// the system's line is short and drops who finds no place in it, and hands them
// out one at a time, each after everybody else had a turn. Else thousands that
// come at once, as after a restart, would stand in the scheduler's line before
// every event on its way.
type lobby struct {
	net.Listener
	seats chan arrival
	leave chan struct{} // closed by Close
	once  sync.Once     // closes leave
	taker sync.WaitGroup
}

type arrival struct {
	conn net.Conn
	err  error
}

// newLobby begins to take in. Whoever calls it must call Close.
func newLobby(l net.Listener) *lobby {
	b := &lobby{Listener: l, seats: make(chan arrival, lobbySeats), leave: make(chan struct{})}
	b.taker.Go(b.take)
	return b
}

// take ends when the listener is closed. It goes on after any other error,
// such as too many open files, but not at once.
func (b *lobby) take() {
	defer close(b.seats)
	for {
		var a arrival
		a.conn, a.err = b.Listener.Accept()
		if a.err != nil && !errors.Is(a.err, net.ErrClosed) && len(b.seats) > 0 {
			// One is enough: the server rests for up to a second on each, and
			// clients would wait behind all of them.
			if !b.rest() {
				return
			}
			continue
		}
		select {
		case b.seats <- a:
		case <-b.leave:
			a.close()
			return
		}
		if errors.Is(a.err, net.ErrClosed) {
			return
		}
		if a.err != nil && !b.rest() {
			return
		}
	}
}

// rest lets a moment pass. It reports false if the lobby is being closed.
func (b *lobby) rest() bool {
	select {
	case <-time.After(10 * time.Millisecond):
		return true
	case <-b.leave:
		return false
	}
}

// Accept is part of net.Listener.
func (b *lobby) Accept() (net.Conn, error) {
	runtime.Gosched()
	a, open := <-b.seats
	if !open {
		return nil, net.ErrClosed
	}
	return a.conn, a.err
}

// Close is part of net.Listener. Who still waits is sent away.
func (b *lobby) Close() error {
	err := b.Listener.Close()
	b.once.Do(func() { close(b.leave) })
	b.taker.Wait()
	for a := range b.seats {
		a.close()
	}
	return err
}

func (a arrival) close() {
	if a.conn != nil {
		_ = a.conn.Close()
	}
}
