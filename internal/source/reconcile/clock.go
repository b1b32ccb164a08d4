package reconcile

import (
	"net/http"
	"time"
)

// clock is how far a source's clock is ahead of ours, as the dates of its
// answers tell. They are whole seconds, and each was written at some moment
// between question and answer, so that there are two bounds of it. A source
// without dates is taken to have our time.
type clock struct {
	told  bool
	least time.Duration // less than nothing: it is behind
	most  time.Duration
}

// hear takes in the date of an answer.
func (c *clock) hear(h http.Header, asked, answered time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	least, most := date.Sub(answered), date.Add(time.Second).Sub(asked)
	if !c.told {
		c.told, c.least, c.most = true, least, most
		return
	}
	// It may be set while it is looked at, or have others beside it.
	c.least, c.most = min(c.least, least), max(c.most, most)
}

// earliest returns what it may have shown at a moment of ours at least, and ours
// if that was less: devices go by either.
func (c *clock) earliest(at time.Time) time.Time { return at.Add(min(0, c.least)) }

// latest returns what it may have shown at most.
func (c *clock) latest(at time.Time) time.Time { return at.Add(c.most) }

// ours returns when it was by our clock that the source's showed a time. A
// difference that may be none is none.
func (c *clock) ours(at time.Time) time.Time {
	switch {
	case c.told && c.least > 0:
		return at.Add(-c.least)
	case c.told && c.most < 0:
		return at.Add(-c.most)
	}
	return at
}
