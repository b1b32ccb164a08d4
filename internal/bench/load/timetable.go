package load

import (
	"context"
	"time"
)

// Timetable is when each event of a run is to be sent. It does not wait for
// answers: an event that is sent late, because the one before took long, still
// counts from when it was due. Otherwise a server that stops for a second would
// show one slow event instead of all that came in that second ("coordinated
// omission").
type Timetable struct {
	Start time.Time     // when event 1 is due
	Every time.Duration // between two events
}

// Due returns when an event should be sent.
func (t Timetable) Due(n uint64) time.Time {
	return t.Start.Add(time.Duration(n-1) * t.Every)
}

// Wait returns when an event is due, or at once if that is past.
func (t Timetable) Wait(ctx context.Context, n uint64) error {
	left := time.Until(t.Due(n))
	if left <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
