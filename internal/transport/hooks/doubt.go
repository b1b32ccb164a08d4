package hooks

import (
	"slices"
	"time"
)

const (
	// doubts is how many events may be in doubt at once. As many poisoned ones in
	// a row can be told from an endpoint that refuses everything; and so many
	// requests, and one more, such an endpoint gets after each pause.
	doubts = 8
	// freshDoubt is how long it counts that an event in doubt was refused: an
	// endpoint may have been repaired since.
	freshDoubt = 2 * time.Second
)

// round is the latest trial of all events in doubt, one after the other.
type round struct {
	tried int       // how many of them were
	last  time.Time // when the latest was refused
	vain  int       // rounds since the first came into doubt
	due   time.Time // of the next round, if nothing else comes
}

// doubtful returns the event in doubt that the endpoint is tried with next; nil
// if none is due. Right before each try with another event come all of them, the
// oldest first, so that it convicts them if it passes. By themselves they are
// tried after pauses.
func (c *course) doubtful(now time.Time) *entry {
	if len(c.doubt) == 0 {
		return nil
	}
	if stale := now.Sub(c.round.last) > freshDoubt; len(c.ready) > 0 && stale || len(c.ready) == 0 && !now.Before(c.round.due) {
		if c.round.tried >= len(c.doubt) || stale {
			c.round.tried = 0
		}
	}
	if c.round.tried >= len(c.doubt) {
		return nil
	}
	return c.doubt[c.round.tried]
}

// doubting reports whether any event is in doubt. Then requests go one by one:
// the next answer tells much.
func (w *worker) doubting() bool {
	return slices.ContainsFunc(w.courses(), func(c *course) bool { return len(c.doubt) > 0 })
}

// allowed returns how many requests may be under way at once.
func (w *worker) allowed() int {
	if w.doubting() {
		return 1
	}
	return w.endpoint.allowed(w.most())
}

// suspect brings an event into doubt. It has been refused just now, and so have
// those that are in doubt already.
func (w *worker) suspect(c *course, e *entry, now time.Time) {
	c.suspect(e)
	c.round.tried = len(c.doubt)
	w.rounded(c, now)
}

// refusedAgain is an event in doubt that was refused once more. If another has
// passed a moment ago, that is the evidence.
func (w *worker) refusedAgain(c *course, e *entry, now time.Time) {
	c.back(e, time.Time{})
	if p := w.endpoint.passed; !p.IsZero() && now.Sub(p) <= freshDoubt {
		w.setAside(c, e)
		return
	}
	c.round.tried++
	w.rounded(c, now)
}

func (w *worker) rounded(c *course, now time.Time) {
	c.round.last = now
	if c.round.tried >= len(c.doubt) {
		c.round.due = now.Add(w.endpoint.backoff(c.round.vain))
		c.round.vain++
	}
}

// convict sets aside what is in doubt: another event has passed, sent at a time,
// and they were refused right before. If that is longer ago they are tried again
// at once, for the endpoint may have been repaired between.
func (w *worker) convict(c *course, sent time.Time) {
	if sent.Sub(c.round.last) > freshDoubt || c.round.tried < len(c.doubt) {
		c.round.due, c.round.tried = time.Time{}, 0
		return
	}
	for _, e := range slices.Clone(c.doubt) {
		if !e.flying {
			w.setAside(c, e)
		}
	}
	if len(c.doubt) == 0 {
		c.round = round{}
	}
}
