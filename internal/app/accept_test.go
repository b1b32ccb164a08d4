package app

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// line is a listener whose connections a test makes.
type line struct {
	come   chan arrival
	closed chan struct{}
	asked  atomic.Int64 // calls of Accept
}

func newLine() *line { return &line{come: make(chan arrival), closed: make(chan struct{})} }

func (l *line) Accept() (net.Conn, error) {
	l.asked.Add(1)
	select {
	case a := <-l.come:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *line) Close() error   { close(l.closed); return nil }
func (l *line) Addr() net.Addr { return &net.TCPAddr{} }

// arrive has a client connect and returns its side.
func (l *line) arrive() net.Conn {
	client, server := net.Pipe()
	l.come <- arrival{conn: server}
	return client
}

func TestNewConnectionsAreTakenInAtOnceAndServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		b := newLobby(l)
		defer b.Close()
		var clients []net.Conn
		for range 3 * 4096 { // more than fit in the system's line
			clients = append(clients, l.arrive())
		}
		for i, client := range clients {
			served, err := b.Accept()
			if err != nil {
				t.Fatal(err)
			}
			go served.Write([]byte{byte(i)})
			var got [1]byte
			if _, err := client.Read(got[:]); err != nil || got[0] != byte(i) {
				t.Fatalf("connection %d was served out of turn: %v, %v", i, got, err)
			}
		}
	})
}

func TestALobbyThatClosesSendsAwayWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		b := newLobby(l)
		clients := []net.Conn{l.arrive(), l.arrive()}
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		for i, c := range clients {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("client %d got %v, want the end of its connection", i, err)
			}
		}
		if _, err := b.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
	})
}

func TestAFullLobbyLeavesTheRestToTheSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		b := newLobby(l)
		for range lobbySeats + 1 { // one more is in the taker's hand
			l.arrive()
		}
		synctest.Wait()
		if n := l.asked.Load(); n != lobbySeats+1 {
			t.Errorf("the listener was asked %d times, want %d", n, lobbySeats+1)
		}
		_ = b.Close() // does not wait for a seat
	})
}

func TestALobbyOutlivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		b := newLobby(l)
		defer b.Close()
		began, fault := time.Now(), errors.New("too many open files")
		var got []error
		for range 3 {
			l.come <- arrival{err: fault}
			_, err := b.Accept()
			got = append(got, err)
		}
		l.arrive()
		if _, err := b.Accept(); err != nil || slices.ContainsFunc(got, func(e error) bool { return e != fault }) {
			t.Errorf("Accept returned %v, then %v", got, err)
		}
		if time.Since(began) == 0 {
			t.Error("it tried again at once, each time")
		}
	})
}

// TestAShortageOfFilesIsOverWhenItIsOver fails Accept as the kernel does while
// there are no descriptors. A server rests longer and longer on each error that it
// is handed: clients must not wait behind a line of them.
func TestAShortageOfFilesIsOverWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		b := newLobby(l)
		defer b.Close()
		for start := time.Now(); time.Since(start) < 30*time.Second; {
			l.come <- arrival{err: &net.OpError{Op: "accept", Err: syscall.EMFILE}}
		}
		client := l.arrive()
		defer func() { _ = client.Close() }()
		errs := 0
		for {
			conn, err := b.Accept()
			if err == nil {
				_ = conn.Close()
				break
			}
			errs++
		}
		if errs > 1 {
			t.Errorf("a client waits behind %d errors", errs)
		}
	})
}
