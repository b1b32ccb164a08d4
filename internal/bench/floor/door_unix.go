//go:build unix

package floor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// door is where the clients of the bare loop come in.
type door struct {
	listener net.Listener
	guests   sync.WaitGroup // the goroutine that lets them in

	mu      sync.Mutex // guards sockets, which are written to outside
	sockets []int      // of clients that have been answered; not blocking, and not the runtime's
}

// manners is how long a client may take for its request. The next one waits.
const manners = 2 * time.Second

// accepted is the answer to every request. Its Sec-WebSocket-Accept belongs to
// the key of RFC 6455, section 1.3.
const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

func open() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the bare loop: %w", err)
	}
	d := &door{listener: l}
	d.guests.Go(d.receive)
	return d, nil
}

func (d *door) addr() string { return d.listener.Addr().String() }

// receive lets clients in until the listener is closed.
func (d *door) receive() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		if fd, err := greet(c); err == nil {
			d.mu.Lock()
			d.sockets = append(d.sockets, fd)
			d.mu.Unlock()
		}
		_ = c.Close() // fd is a second one of the same socket
	}
}

// greet answers a request, and returns a descriptor that the runtime's poller
// does not watch: what comes from a client must not cost the loop anything.
func greet(c net.Conn) (fd int, err error) {
	_ = c.SetDeadline(time.Now().Add(manners)) // fails on a closed connection, as the next line does
	var request []byte
	part := make([]byte, 4096)
	for !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
		n, err := c.Read(part)
		if err != nil {
			return -1, err
		}
		if request = append(request, part[:n]...); len(request) > 64<<10 {
			return -1, errors.New("a request without end")
		}
	}
	if _, err := c.Write([]byte(accepted)); err != nil {
		return -1, err
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if failed != nil {
		return -1, failed
	}
	return fd, err
}

// clients returns the sockets.
func (d *door) clients() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sockets[:len(d.sockets):len(d.sockets)]
}

// write writes a frame to all clients.
func (d *door) write(ctx context.Context, frame []byte, writers int) (Spent, error) {
	sockets := d.clients()
	before, err := Used()
	if err != nil {
		return Spent{}, err
	}
	start := time.Now()
	var working sync.WaitGroup
	gone := make([][]int, writers)
	for w := range writers {
		share := sockets[len(sockets)*w/writers : len(sockets)*(w+1)/writers]
		work := func() { gone[w] = writeAll(ctx, share, frame) }
		if w == writers-1 {
			work() // one of them is here already
		} else {
			working.Go(work)
		}
	}
	working.Wait()
	wall := time.Since(start)
	after, err := Used()
	for _, fds := range gone {
		d.dismiss(fds)
	}
	if err == nil {
		err = ctx.Err()
	}
	return Spent{Wall: wall, CPU: after - before}, err
}
