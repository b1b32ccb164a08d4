//go:build unix

package receiver

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Refuser holds an address at which every connection is refused.
type Refuser struct {
	address string
	fd      int
}

// Refuse takes an IPv4 address such as "127.0.0.1:0" and never listens there, so
// that nobody else does.
func Refuse(address string) (*Refuser, error) {
	want, err := netip.ParseAddrPort(address)
	if err != nil || !want.Addr().Is4() {
		return nil, fmt.Errorf("hold the address %q: it is no IPv4 address with a port", address)
	}
	syscall.ForkLock.RLock() // a child that is started meanwhile must not have it
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("hold an address: %w", err)
	}
	r := &Refuser{fd: fd}
	if r.address, err = bind(fd, want); err != nil {
		r.Close()
		return nil, fmt.Errorf("hold the address %s: %w", address, err)
	}
	return r, nil
}

// bind returns the address that the socket has then.
func bind(fd int, want netip.AddrPort) (string, error) {
	// Who has just listened there leaves connections behind, and who listens there
	// next does so before this is closed.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(want.Port()), Addr: want.Addr().As4()}); err != nil {
		return "", err
	}
	is, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	four, ok := is.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("the socket has the address %v", is)
	}
	return (&net.TCPAddr{IP: four.Addr[:], Port: four.Port}).String(), nil
}

// URL is where to post to.
func (r *Refuser) URL() string { return "http://" + r.address + "/" }

// Close gives the address free.
func (r *Refuser) Close() { _ = syscall.Close(r.fd) } // nothing is lost by its failing
