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

func newPace() pace { return pace{single: 300 * time.Microsecond, batch: 5 * time.Millisecond} }

// alone reports whether n events are sooner on disk one by one.
func (p *pace) alone(n int) bool {
	return time.Duration(n)*p.single < p.batch+time.Duration(n)*perEvent
}

// learn takes in what n events took. Both costs drift by an eighth per
// commit, and the one that was not used drifts along: a slow disk is slow for both.
func (p *pace) learn(single bool, n int, took time.Duration) {
	used, other, seen := &p.batch, &p.single, took-time.Duration(n)*perEvent
	if single {
		used, other, seen = &p.single, &p.batch, took/time.Duration(n)
	}
	before := *used
	*used = max(20*time.Microsecond, before+(seen-before)/8)
	ratio := float64(*used) / float64(before)
	*other = max(20*time.Microsecond, time.Duration(float64(*other)*(1+(ratio-1)/2)))
}
