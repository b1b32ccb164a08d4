package swarm

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast"
)

// open makes a socket and begins to connect it, from an address if that is
// valid. How connecting ended is said by the first write.
func open(to netip.AddrPort, from netip.Addr, receiveBuffer int) (fd int, err error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, explain(err)
	}
	err = connect(fd, to, from, receiveBuffer)
	if err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, explain(err)
	}
	return fd, nil
}

func connect(fd int, to netip.AddrPort, from netip.Addr, receiveBuffer int) error {
	// A Pong must not wait for the acknowledgement of the one before.
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && receiveBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err == nil && from.IsValid() {
		// The port is to be free towards this target only, and so chosen by connect.
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err == nil {
			err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0)))
		}
	}
	if err != nil {
		return err
	}
	return unix.Connect(fd, sockaddr(to))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// explain adds what to do about a machine that has no more of something.
func explain(err error) error {
	var e *gatecast.Error
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		e = gatecast.Errorf(gatecast.Unavailable, "no more sockets can be opened")
		e.Remedy = "raise the limit of open files (ulimit -n), or use fewer clients"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		e = gatecast.Errorf(gatecast.Unavailable, "no port is free for another connection")
		e.Remedy = "widen net.ipv4.ip_local_port_range, wait a minute, or use fewer clients"
	default:
		return fmt.Errorf("connect: %w", err)
	}
	e.Cause = err
	return e
}

// reset closes a socket without a goodbye, so that its port is free at once.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}

// receive reads what has come. The socket never blocks, so that the scheduler
// need not hear of the call; and recvfrom(2) is a little cheaper than read(2).
func receive(fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// send writes what the socket takes.
func send(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Write(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}
