//go:build !linux

package swarm

import "github.com/gatecast/gatecast"

// New makes a swarm without clients. It fails where there is no epoll.
func New(Handler, Options) (*Swarm, error) {
	e := gatecast.Errorf(gatecast.Unavailable, "there is no epoll on this system")
	e.Remedy = "gatecast bench runs on Linux only"
	return nil, e
}
