package mqtt

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// budget bounds the bytes of all messages at work, and of those of one user, so
// that nobody can shut the door to all others. Connections that have not signed
// in are one user, "". When it is spent, take fails at once.
type budget struct {
	max  int64
	each int64 // of one user; enough for a message

	// mu guards the fields below. It is held for the arithmetic only.
	mu   sync.Mutex
	used int64
	by   map[string]int64 // user
}

func (b *budget) take(user string, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+int64(n) > b.max || b.by[user]+int64(n) > b.each {
		return false
	}
	if b.by == nil {
		b.by = make(map[string]int64)
	}
	b.used += int64(n)
	b.by[user] += int64(n)
	return true
}

func (b *budget) give(user string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= int64(n)
	if b.by[user] -= int64(n); b.by[user] == 0 {
		delete(b.by, user)
	}
}

func (b *budget) spent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// pillory holds up those who were refused too often: a device with a wrong
// password tries again and again. Only refusals wait, so that a neighbour
// behind the same address gets in meanwhile.
type pillory struct {
	perMinute int

	// mu guards the fields below. It is held only for map work.
	mu    sync.Mutex
	rates map[netip.Prefix]*list.Element
	order list.List // of *refused, the one that was refused last in front
}

type refused struct {
	address netip.Prefix
	rate    *rate.Limiter
}

const (
	// maxPillory is how many addresses are remembered. For one more that which was
	// refused longest ago is forgotten.
	maxPillory = 4096
	// longestWait is how long a refusal is put off at most; who would wait longer
	// is not answered.
	longestWait = 5 * time.Second
)

func newPillory(perMinute int) *pillory {
	return &pillory{perMinute: perMinute, rates: make(map[netip.Prefix]*list.Element)}
}

// wait returns how long a refusal must wait, and false if that is too long.
func (p *pillory) wait(addr net.Addr, now time.Time) (time.Duration, bool) {
	limiter := p.limiter(networkOf(addr))
	r := limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > longestWait {
		r.CancelAt(now)
		return 0, false
	}
	return wait, true
}

func (p *pillory) limiter(address netip.Prefix) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, there := p.rates[address]; there {
		p.order.MoveToFront(e)
		return e.Value.(*refused).rate
	}
	if p.order.Len() >= maxPillory {
		oldest := p.order.Remove(p.order.Back()).(*refused)
		delete(p.rates, oldest.address)
	}
	r := &refused{address, rate.NewLimiter(rate.Limit(float64(p.perMinute)/60), p.perMinute)}
	p.rates[address] = p.order.PushFront(r)
	return r.rate
}

// networkOf returns what one party can be taken to have: an address of IPv4, 64
// bits of IPv6.
func networkOf(addr net.Addr) netip.Prefix {
	port, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := port.Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, _ := ip.WithZone("").Prefix(bits) // there are as many bits
	return prefix
}

// seldom lets one message a second into the log.
type seldom struct {
	// mu guards the fields below. It is held for the arithmetic only.
	mu     sync.Mutex
	last   time.Time
	missed int
}

// due reports whether a message may be logged at now, and how many were not
// since the last one.
func (s *seldom) due(now time.Time) (missed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := now.Sub(s.last); since >= 0 && since < time.Second {
		s.missed++
		return 0, false
	}
	missed, s.missed, s.last = s.missed, 0, now
	return missed, true
}
