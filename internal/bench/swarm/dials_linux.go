package swarm

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"time"
)

// dials is whose turn it is to connect.
type dials struct {
	limit  int   // handshakes under way at once
	under  int   // those there are
	queue  []int // clients that may begin at once
	paused pauses
}

// later has a client try again after a pause.
func (d *dials) later(i int, pause time.Duration) {
	heap.Push(&d.paused, turn{time.Now().Add(pause), i})
}

// next returns the client that is to begin now, if there is one.
func (d *dials) next() (i int, ok bool) {
	for len(d.paused) > 0 && !d.paused[0].at.After(time.Now()) {
		d.queue = append(d.queue, heap.Pop(&d.paused).(turn).client)
	}
	if len(d.queue) == 0 || d.under >= d.limit {
		return 0, false
	}
	i, d.queue = d.queue[0], d.queue[1:]
	return i, true
}

// wait returns how many milliseconds it takes until somebody may begin, should
// nothing happen before; -1: nobody waits for the time.
func (d *dials) wait() int {
	switch {
	case len(d.queue) > 0 && d.under < d.limit:
		return 0
	case len(d.paused) == 0:
		return -1
	}
	left := time.Until(d.paused[0].at)
	return int(max(0, left+time.Millisecond-1) / time.Millisecond)
}

// pause returns how long a client waits that was refused: never less than the
// server asked for, and with some chance in it, lest all come back at once.
func (o Options) pause(after time.Duration) time.Duration {
	chance := rand.Float64()
	own := time.Duration((0.5 + chance) * float64(o.Retry))
	if own >= after {
		return own
	}
	return after + time.Duration(chance*float64(o.Retry)/2)
}

// turn is when a client tries again.
type turn struct {
	at     time.Time
	client int
}

// pauses is a heap, the next turn first.
type pauses []turn

func (p pauses) Len() int           { return len(p) }
func (p pauses) Less(i, j int) bool { return cmp.Less(p[i].at.UnixNano(), p[j].at.UnixNano()) }
func (p pauses) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *pauses) Push(x any)        { *p = append(*p, x.(turn)) }
func (p *pauses) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}
