package hooks

import (
	"time"
)

const (
	// strikes is how many attempts must fail with none succeeding between before
	// an endpoint counts as failed.
	strikes = 3
	// degradedAfter is how many times a failed endpoint is tried in vain before
	// that is told: one that restarts is back sooner.
	degradedAfter = 3
	// patience bounds what a Retry-After may ask for.
	patience = time.Hour
)

// breaker is what is known of an endpoint. While it is open one request at a
// time is sent, and a pause lies before each.
type breaker struct {
	min, max time.Duration
	rand     func() float64

	open    bool
	row     int       // failures without a success between
	refused int       // refusals of different events without a success between
	vain    int       // pauses since it opened
	until   time.Time // no request before
	proved  bool      // it has taken something since it was last reset
	passed  time.Time // when it last took something
	window  float64   // requests at once: grows by success, from one
	why     string    // the latest failure
}

func (b *breaker) success(now time.Time) (closed bool) {
	closed = b.open
	b.open, b.row, b.refused, b.vain, b.until = false, 0, 0, 0, time.Time{}
	b.proved, b.passed = true, now
	b.window++
	return closed
}

// failure reports whether the endpoint has failed by this one. The answer may
// say when to come back; zero if it does not.
func (b *breaker) failure(now time.Time, why string, retryAfter time.Duration) (opened bool) {
	b.why = why
	b.row++
	b.window = max(1, b.window/2)
	if !b.open && b.row < strikes && retryAfter == 0 {
		return false
	}
	opened = !b.open
	b.pause(now, retryAfter)
	return opened
}

// pause opens the breaker, or leaves it open, for a while.
func (b *breaker) pause(now time.Time, retryAfter time.Duration) {
	b.open, b.window = true, 1
	b.until = now.Add(max(b.backoff(b.vain), min(retryAfter, patience)))
	b.vain++
}

// backoff returns how long to wait after n waits: twice as long each time, less
// up to a half at random, so that those who failed together do not come back
// together.
func (b *breaker) backoff(n int) time.Duration {
	d := b.max
	if n < 32 && b.min<<n > 0 {
		d = min(b.max, b.min<<n)
	}
	return d - time.Duration(b.rand()*float64(d)/2)
}

// reset forgets what is known, as when the endpoint is another one.
func (b *breaker) reset() {
	*b = breaker{min: b.min, max: b.max, rand: b.rand}
}

// allowed returns how many requests may be under way at once.
func (b *breaker) allowed(most int) int {
	if b.open {
		return 1
	}
	return max(1, min(most, int(b.window)))
}

// degraded reports whether it has been tried in vain so often that somebody
// should know.
func (b *breaker) degraded() bool { return b.open && b.vain > degradedAfter }
