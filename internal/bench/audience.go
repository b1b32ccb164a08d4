package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
)

// audience is what the clients of one measurement make of the frames they get:
// each has to get every event once and in order. It is told by the swarm's one
// worker, and asked by the scenario.
type audience struct {
	events  *load.Events
	inflate inflater // the worker's
	next    []uint64 // number of the event that each client waits for; the worker's

	mayRepeat bool // after a crash: what was not confirmed comes again

	goal    atomic.Uint64 // event that everybody is to get
	reached atomic.Int64  // clients that have it
	level   chan struct{} // gets a token when all have it

	open, lost, repeated atomic.Int64
	first                atomic.Int64           // when the first event of all came, Unix ns; 0: none yet
	timed                atomic.Pointer[timing] // nil: no latencies are taken
}

// timing is a stretch of events that are sent by a timetable, over several
// connections: they may come in any order, but each comes once.
type timing struct {
	table load.Timetable
	first uint64                  // number of its first event
	left  []int                   // events that each client still waits for; the worker's
	seen  [][]bool                // which of them each client has; the worker's
	took  *hdrhistogram.Histogram // µs; the worker's
}

// newAudience expects so many clients, each of them beginning after an event.
func newAudience(e *load.Events, clients int, after uint64) *audience {
	a := &audience{events: e, next: make([]uint64, clients), level: make(chan struct{}, 1)}
	for i := range a.next {
		a.next[i] = after + 1
	}
	return a
}

// Open, Frame and Closed are what the swarm calls.
func (a *audience) Open(int) { a.open.Add(1) }

func (a *audience) Closed(int, error) { a.open.Add(-1) }

func (a *audience) Frame(client int, head []byte, _ int) {
	n, ours := a.events.Number(a.inflate.headOf(head))
	if !ours {
		return
	}
	if a.first.Load() == 0 {
		a.first.Store(time.Now().UnixNano())
	}
	if t := a.timed.Load(); t != nil {
		a.clock(t, client, n)
		return
	}
	want := a.next[client]
	if n < want {
		a.repeated.Add(1)
		return
	}
	a.lost.Add(int64(n - want))
	a.next[client] = n + 1
	if goal := a.goal.Load(); want <= goal && n >= goal {
		a.arrived()
	}
}

// clock takes the latency of an event that belongs to a timetable.
func (a *audience) clock(t *timing, client int, n uint64) {
	late := time.Since(t.table.Due(n))
	if n < t.first || n-t.first >= uint64(len(t.seen[client])) {
		return // sent before
	}
	if t.seen[client][n-t.first] {
		a.repeated.Add(1)
		return
	}
	t.seen[client][n-t.first] = true
	_ = t.took.RecordValue(min(max(1, late.Microseconds()), t.took.HighestTrackableValue()))
	a.next[client] = max(a.next[client], n+1)
	if t.left[client]--; t.left[client] == 0 {
		a.arrived()
	}
}

func (a *audience) arrived() {
	if a.reached.Add(1) < int64(len(a.next)) {
		return
	}
	select {
	case a.level <- struct{}{}:
	default:
	}
}

// time has every client wait for so many events of a timetable, from first on,
// and returns where their latencies will be once they have come.
func (a *audience) time(table load.Timetable, first uint64, events int) *hdrhistogram.Histogram {
	t := &timing{table: table, first: first, left: make([]int, len(a.next)), seen: make([][]bool, len(a.next))}
	t.took = hdrhistogram.New(1, int64(patience/time.Microsecond), 3)
	for i := range t.left {
		t.left[i], t.seen[i] = events, make([]bool, events)
	}
	a.reached.Store(0)
	a.timed.Store(t)
	return t.took
}

// expect sets the event that everybody is to get next. Nobody may have got it
// already.
func (a *audience) expect(n uint64) {
	a.timed.Store(nil)
	a.reached.Store(0)
	a.goal.Store(n)
}

// await returns when everybody has what was expected.
func (a *audience) await(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-a.level:
		return a.complete()
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		e := gatecast.Errorf(gatecast.Unavailable, "after %v only %d of %d clients have event %d (%d are connected)",
			patience, a.reached.Load(), len(a.next), a.goal.Load(), a.open.Load())
		e.Remedy = "measure with fewer clients, or look at the server's log"
		return e
	}
}

// complete returns an error if any client has missed an event: figures of a
// server that loses are worth nothing.
func (a *audience) complete() error {
	if lost := a.lost.Load(); lost > 0 {
		return fmt.Errorf("the clients have missed %d events", lost)
	}
	if repeated := a.repeated.Load(); repeated > 0 && !a.mayRepeat {
		return fmt.Errorf("the clients were sent %d events again", repeated)
	}
	return nil
}
