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

	// Nap is how the last moment before an event is slept through; nil means by a
	// system call, see nap.
	Nap func(time.Duration)
}

// Due returns when an event should be sent.
func (t Timetable) Due(n uint64) time.Time {
	return t.Start.Add(time.Duration(n-1) * t.Every)
}

// coarse is how exact the runtime's timers are, and a little more: it waits in
// epoll_wait(2), which counts in milliseconds. That would be a good part of the
// latencies that are measured here.
const coarse = 2 * time.Millisecond

// Wait returns when an event is due, or at once if that is past.
func (t Timetable) Wait(ctx context.Context, n uint64) error {
	due := t.Due(n)
	if left := time.Until(due) - coarse; left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	sleep := t.Nap
	if sleep == nil {
		sleep = nap
	}
	for left := time.Until(due); left > 0; left = time.Until(due) {
		sleep(left)
	}
	return ctx.Err()
}
