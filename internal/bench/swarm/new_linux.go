package swarm

import "sync"

// New makes a swarm without clients. It fails where there is no epoll, and if
// the system has no descriptors left.
func New(h Handler, o Options) (*Swarm, error) {
	o = o.withDefaults()
	s := &Swarm{closed: make(chan struct{})}
	if o.TLS != nil {
		s.crew = newGuard(h, o)
	} else {
		c, err := newCrowd(h, o)
		if err != nil {
			return nil, err
		}
		s.crew = c
	}
	s.close = sync.OnceFunc(func() {
		close(s.closed)
		s.crew.close()
	})
	return s, nil
}
