//go:build unix

package floor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// writeAll is the bare loop itself. It returns the sockets whose clients have
// gone.
func writeAll(ctx context.Context, sockets []int, frame []byte) (gone []int) {
	for _, fd := range sockets {
		n, err := write(fd, frame)
		if n < len(frame) || err != nil {
			if !finish(ctx, fd, frame[max(n, 0):], err) {
				gone = append(gone, fd)
			}
		}
	}
	return gone
}

// look is how often a writer that waits for a full socket looks whether its
// context has ended.
const look = 100 * time.Millisecond

// finish writes the rest of a frame to a socket that is full. It returns false
// if the client has gone.
func finish(ctx context.Context, fd int, rest []byte, err error) bool {
	for ctx.Err() == nil {
		switch err {
		case nil, unix.EINTR:
		case unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(look.Milliseconds())) // EINTR: once more
		default:
			return false
		}
		var n int
		if n, err = write(fd, rest); err == nil {
			if rest = rest[n:]; len(rest) == 0 {
				return true
			}
		}
	}
	return true
}

// Used returns the CPU time of this process.
func Used() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read the CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// dismiss closes sockets and forgets them.
func (d *door) dismiss(fds []int) {
	if len(fds) == 0 {
		return
	}
	d.mu.Lock()
	d.sockets = slices.DeleteFunc(slices.Clone(d.sockets), func(fd int) bool { return slices.Contains(fds, fd) })
	d.mu.Unlock()
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// close hangs up on everybody.
func (d *door) close() {
	_ = d.listener.Close()
	d.guests.Wait()
	for _, fd := range d.clients() {
		_ = unix.Close(fd)
	}
}
