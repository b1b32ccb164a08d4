package hooks

import (
	"context"
	"sync"
)

// permits bounds the requests under way, in all and for each host. Who finds
// none free waits in the order in which it came.
type permits struct {
	all     chan struct{} // holds a token for each request
	perHost int

	// mu guards hosts. It is held only for map work.
	mu    sync.Mutex
	hosts map[string]*host // those with somebody who holds or wants a permit
}

type host struct {
	slots chan struct{} // holds a token for each request
	users int
}

func newPermits(all, perHost int) *permits {
	return &permits{all: make(chan struct{}, all), perHost: perHost, hosts: map[string]*host{}}
}

// get waits for a permit. The host's comes first: whoever waits for a busy host
// must not hold what others could use. It reports false if ctx ended before.
func (p *permits) get(ctx context.Context, name string) bool {
	h := p.use(name)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		p.leave(name, h)
		return false
	}
	select {
	case p.all <- struct{}{}:
		return true
	case <-ctx.Done():
		<-h.slots
		p.leave(name, h)
		return false
	}
}

func (p *permits) put(name string) {
	<-p.all
	p.mu.Lock()
	h := p.hosts[name]
	p.mu.Unlock()
	<-h.slots
	p.leave(name, h)
}

func (p *permits) use(name string) *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		h = &host{slots: make(chan struct{}, p.perHost)}
		p.hosts[name] = h
	}
	h.users++
	return h
}

func (p *permits) leave(name string, h *host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(p.hosts, name)
	}
}
