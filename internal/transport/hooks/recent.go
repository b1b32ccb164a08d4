package hooks

import (
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// remembered is how many attempts a success rate is made of.
const remembered = 256

// recent is the latest attempts. It grows to remembered and then overwrites the
// oldest.
type recent struct {
	took []time.Duration // negative for one that failed
	next int
}

func (r *recent) add(took time.Duration, ok bool) {
	if !ok {
		took = -1 - took
	}
	if len(r.took) < remembered {
		r.took = append(r.took, took)
		return
	}
	r.took[r.next] = took
	r.next = (r.next + 1) % remembered
}

func (r *recent) summary() gatecast.Recent {
	s := gatecast.Recent{Attempts: len(r.took)}
	all := make([]time.Duration, len(r.took))
	for i, took := range r.took {
		if all[i] = took; took < 0 {
			all[i] = -1 - took
		} else {
			s.Succeeded++
		}
	}
	if len(all) > 0 {
		slices.Sort(all)
		s.P50, s.P99 = all[len(all)/2], all[(len(all)-1)*99/100]
	}
	return s
}

func (w *worker) noteRecent(x *gatecast.Exchange) {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.recent.add(x.Took, x.Outcome == gatecast.Delivered)
}
