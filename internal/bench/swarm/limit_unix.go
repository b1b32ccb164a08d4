//go:build unix

package swarm

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast"
)

// Limit makes sure that this process may have so many files and sockets open: it
// raises the soft limit (RLIMIT_NOFILE) to the hard one, and returns an
// Unavailable error with its remedy if that is less.
func Limit(need int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Cur < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return fmt.Errorf("raise the limit of open files to %d: %w", l.Max, err)
		}
	}
	if uint64(max(need, 0)) <= uint64(l.Max) {
		return nil
	}
	e := gatecast.Errorf(gatecast.Unavailable, "this process may have %d files open (RLIMIT_NOFILE), and needs %d", l.Max, need)
	e.Remedy = fmt.Sprintf("raise the hard limit: ulimit -n %d as root, or LimitNOFILE=%d in a systemd unit", need, need)
	return e
}
