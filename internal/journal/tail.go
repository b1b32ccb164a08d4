package journal

import (
	"sync"

	"github.com/gatecast/gatecast"
)

// tail is the newest stretch of what is committed: readers at the head are
// served from it without touching the disk, and it is the gate that lets no
// event out before its commit.
type tail struct {
	maxEvents, maxBytes int

	// mu guards the fields below. It is held only to copy or to slide the ring.
	mu    sync.Mutex
	last  gatecast.Seq     // newest committed
	buf   []gatecast.Event // ends at last, without a hole; the oldest go when either limit is passed
	bytes int
	moved chan struct{} // closed and replaced whenever last moves
}

func newTail(last gatecast.Seq, maxEvents, maxBytes int) *tail {
	return &tail{last: last, maxEvents: maxEvents, maxBytes: maxBytes, moved: make(chan struct{})}
}

// push makes events, in order of Seq, the newest ones. A reader that wanted
// one of those dropped here continues from the journal: late, never lost.
func (t *tail) push(events []gatecast.Event) {
	if len(events) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		if e.Seq <= t.last {
			continue // advance was faster
		}
		if e.Seq != t.last+1 {
			t.buf, t.bytes = t.buf[:0], 0
		}
		t.buf, t.last = append(t.buf, e), e.Seq
		t.bytes += len(e.Data) + overhead
	}
	drop := max(0, len(t.buf)-t.maxEvents)
	for i := range drop {
		t.bytes -= len(t.buf[i].Data) + overhead
	}
	for drop < len(t.buf) && t.bytes > t.maxBytes {
		t.bytes -= len(t.buf[drop].Data) + overhead
		drop++
	}
	clear(t.buf[:drop])
	t.buf = t.buf[drop:]
	t.wake()
}

// advance moves the end without the events themselves, which others stored.
func (t *tail) advance(last gatecast.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last <= t.last {
		return
	}
	t.last, t.bytes = last, 0
	t.buf = nil
	t.wake()
}

// wake must be called with mu held.
func (t *tail) wake() {
	close(t.moved)
	t.moved = make(chan struct{})
}

// end returns the newest committed Seq and what closes when it moves.
func (t *tail) end() (gatecast.Seq, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.moved
}

// after copies up to n events after seq; held is false if they are not in memory.
func (t *tail) after(seq gatecast.Seq, n int) (events []gatecast.Event, held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if seq >= t.last {
		return nil, seq == t.last
	}
	missing := int(t.last - seq)
	if missing > len(t.buf) {
		return nil, false
	}
	rest := t.buf[len(t.buf)-missing:]
	return append(events, rest[:min(n, len(rest))]...), true
}
