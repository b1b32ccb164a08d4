package hub

import (
	"slices"
	"sort"
	"sync"

	"github.com/gatecast/gatecast"
)

// ring is the newest stretch of the journal, shared by all readers. Positions
// in it ascend but need not be dense: retention and repair leave holes.
type ring struct {
	// mu guards the fields below. It is held only to copy pointers or to slide
	// the window, never while filtering, encoding or waiting.
	mu    sync.RWMutex
	buf   []*gatecast.Event // oldest is overwritten first
	start int               // index of the oldest
	n     int               // how many there are
	floor gatecast.Seq      // every event after floor, up to the newest, is here
	last  gatecast.Seq      // the newest
	bytes int               // data of those that are here

	maxBytes int // the oldest go beyond it; never changes; 0 means no limit
}

func newRing(size int, last gatecast.Seq) *ring {
	return &ring{buf: make([]*gatecast.Event, size), floor: last, last: last}
}

// push makes ev the newest event. A reader that still wanted the overwritten
// one continues from the journal: late, never lost.
func (r *ring) push(ev *gatecast.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += len(ev.Data)
	for r.n == len(r.buf) || r.n > 0 && r.maxBytes > 0 && r.bytes > r.maxBytes {
		oldest := r.buf[r.start]
		r.buf[r.start] = nil
		r.floor = oldest.Seq
		r.start = (r.start + 1) % len(r.buf)
		r.bytes -= len(oldest.Data)
		r.n--
	}
	r.buf[(r.start+r.n)%len(r.buf)] = ev
	r.n++
	r.last = ev.Seq
}

// fill puts pages of events, the newest first, into an empty ring: everything
// after floor up to last. The newest event may be before last, if that is lost.
func (r *ring) fill(floor, last gatecast.Seq, pages [][]gatecast.Event) {
	r.reset(floor)
	for _, page := range slices.Backward(pages) {
		for i := range page {
			r.push(&page[i])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = last
}

// reset empties the ring, so that it goes on after last.
func (r *ring) reset(last gatecast.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.buf)
	r.start, r.n, r.bytes = 0, 0, 0
	r.floor, r.last = last, last
}

func (r *ring) head() gatecast.Seq {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.last
}

func (r *ring) base() gatecast.Seq {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.floor
}

// window appends to buf, up to its capacity, the events after a position. It
// reports false if some of them are no longer here.
func (r *ring) window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if after < r.floor {
		return buf, false
	}
	if after >= r.last {
		return buf, true
	}
	i := sort.Search(r.n, func(i int) bool { return r.at(i).Seq > after })
	for ; i < r.n && len(buf) < cap(buf); i++ {
		buf = append(buf, r.at(i))
	}
	return buf, true
}

// at returns the i-th oldest event. The caller holds mu.
func (r *ring) at(i int) *gatecast.Event { return r.buf[(r.start+i)%len(r.buf)] }
