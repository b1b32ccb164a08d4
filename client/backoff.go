package client

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/gatecast/gatecast"
)

// Backoff spaces attempts. The n-th failure in a row is followed by a wait
// chosen evenly between nothing and Min·2ⁿ⁻¹, at most Max ("full jitter"):
// many clients that lost the same server come back spread out.
type Backoff struct {
	Min     time.Duration  // default 100 ms
	Max     time.Duration  // default 30 s
	Healthy time.Duration  // a connection that lasted so long makes the next failure the first; default 10 s
	Rand    func() float64 // from [0,1); default math/rand/v2
}

func (b Backoff) withDefaults() Backoff {
	b.Min = cmp.Or(b.Min, 100*time.Millisecond)
	b.Max = cmp.Or(b.Max, 30*time.Second)
	b.Healthy = cmp.Or(b.Healthy, 10*time.Second)
	if b.Rand == nil {
		b.Rand = rand.Float64
	}
	return b
}

// wait is the time to wait after the failures-th failure in a row. A server
// that says when to come back is obeyed, with the jitter on top.
func (b Backoff) wait(failures int, after time.Duration) time.Duration {
	limit := b.Max
	if shift := failures - 1; shift < 32 && b.Min<<max(shift, 0) < limit {
		limit = b.Min << max(shift, 0)
	}
	return after + time.Duration(b.Rand()*float64(limit))
}

// sleep waits for d and reports whether ctx is still alive then.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// passing reports whether an error may go away by itself.
func passing(err error) bool {
	switch gatecast.CodeOf(err) {
	case gatecast.Unavailable, gatecast.TooMany, gatecast.Internal:
		return true
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge, gatecast.Unauthenticated, gatecast.Forbidden,
		gatecast.NotFound, gatecast.Conflict, gatecast.Gap:
	}
	return false
}
