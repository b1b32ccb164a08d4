package journal

import "time"

// pace learns what a single publish and an atomic batch cost on this disk, and
// so when a batch pays: it needs several flushes, a single needs one each. It
// is owned by the committer.
type pace struct {
	single time.Duration // per event
	batch  time.Duration // per batch, beyond perEvent for each of its events
}

// perEvent is what an event in a batch costs without any flush.
const perEvent = 30 * time.Microsecond

// A batch flushes some seven times. An estimate outside of these bounds is one
// that a disturbed disk or an idle time has led astray, and that nothing would
// correct, because what looks dear is never tried again.
const (
	minFlushes = 3
	maxFlushes = 12
)

func newPace() pace { return pace{single: 300 * time.Microsecond, batch: 2 * time.Millisecond} }

// alone reports whether n events are sooner on disk one by one.
func (p *pace) alone(n int) bool {
	return time.Duration(n)*p.single < p.batch+time.Duration(n)*perEvent
}

// learn takes in what n events took: an eighth of it per commit. The cost that
// was not seen is kept within its bounds: a slow disk is slow for both.
func (p *pace) learn(single bool, n int, took time.Duration) {
	if single {
		p.single = drift(p.single, took/time.Duration(n))
		p.batch = min(max(p.batch, minFlushes*p.single), maxFlushes*p.single)
		return
	}
	p.batch = drift(p.batch, took-time.Duration(n)*perEvent)
	p.single = min(max(p.single, p.batch/maxFlushes), p.batch/minFlushes)
}

func drift(cost, seen time.Duration) time.Duration {
	return max(20*time.Microsecond, cost+(seen-cost)/8)
}
