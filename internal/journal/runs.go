package journal

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	// maxRuns is how many stand in the stream at once. Beyond it reading goes by
	// direct gets: no reader's run is taken away for another's.
	maxRuns = 8
	// runIdle is how long a run waits for its reader to come back. What was read
	// ahead for it waits in the pipe, and the server would take us for stuck later.
	runIdle = 2 * time.Second
	// runWorth is how many events must lie ahead, and runPage how many of them
	// must be wanted at once, for a run to be begun.
	runWorth, runPage = 1024, 64
)

// runs are the places where readers of the embedded journal stand. A reader
// that comes back for what follows goes on from its run; any other position
// begins a new one, if there is room and enough to read. nil, as for a cluster,
// has none.
type runs struct {
	dial func() (net.Conn, error)
	log  *slog.Logger

	// mu guards the fields below; a run is only used outside of it.
	mu     sync.Mutex
	idle   []*run
	count  int // idle or in use
	closed bool
}

func newRuns(dial func() (net.Conn, error), log *slog.Logger) *runs {
	return &runs{dial: dial, log: log}
}

// page returns up to n events that follow from without a break, none beyond
// last. None says nothing about the journal: the caller has to look elsewhere.
func (p *runs) page(ctx context.Context, from, last gatecast.Seq, n int) []gatecast.Event {
	if p == nil {
		return nil
	}
	r, isNew := p.take(from, last, n)
	if r == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout/2)
	defer cancel()
	events, err := r.again(from, n), error(nil)
	if isNew {
		err = r.begin(bounded, from)
	}
	if err == nil && len(events) == 0 {
		events, err = r.page(bounded, last, n)
	}
	if err != nil && !errors.Is(err, errBreak) && !errors.Is(err, errDamaged) && ctx.Err() == nil {
		p.log.Warn("a reader goes on by single requests", "after", r.at, "err", err)
	}
	p.put(r, err == nil && r.wire.conn != nil)
	return events
}

// take returns the run that stands at a position, or a new one, or nil.
func (p *runs) take(from, last gatecast.Seq, n int) (r *run, isNew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.idle, func(r *run) bool { return r.covers(from) }); i >= 0 {
		r = p.idle[i]
		p.idle = slices.Delete(p.idle, i, i+1)
		return r, false
	}
	if p.closed || p.count == maxRuns || n < runPage || last-from < runWorth {
		return nil, false
	}
	p.count++
	return &run{wire: newWire(p.dial)}, true
}

// put keeps a run for its reader's next page, or ends it.
func (p *runs) put(r *run, sound bool) {
	p.mu.Lock()
	keep := sound && !p.closed
	if keep {
		r.used = time.Now()
		p.idle = append(p.idle, r)
	}
	p.mu.Unlock()
	if !keep {
		p.end(r)
	}
}

func (p *runs) end(gone ...*run) {
	for _, r := range gone {
		r.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count -= len(gone)
}

// close ends the idle runs and lets no new one begin; those in use are ended by
// their readers.
func (p *runs) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	gone := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	p.end(gone...)
}

// tidy ends, until ctx does, the runs whose reader has not come back.
func (p *runs) tidy(ctx context.Context) {
	tick := time.NewTicker(runIdle / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.end(p.abandoned(now.Add(-runIdle))...)
		}
	}
}

// abandoned takes out the runs not used since.
func (p *runs) abandoned(since time.Time) (gone []*run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(r *run) bool {
		if r.used.After(since) {
			return false
		}
		gone = append(gone, r)
		return true
	})
	return gone
}
