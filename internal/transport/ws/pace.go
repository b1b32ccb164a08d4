package ws

import "golang.org/x/time/rate"

// pace bounds how many handshakes there are in a second. Those of clients that
// prove who they are, and those of all others, are counted apart: strangers,
// however many, must not take the turns of an app's clients. What is beyond the
// pace has cost a request and two digests by then, and no upgrade.
type pace struct{ known, strangers *rate.Limiter }

// newPace returns a pace of so many handshakes a second, and as many at once;
// 0 is no limit. Strangers have a quarter of that for themselves.
func newPace(perSecond float64) pace {
	return pace{known: newLimiter(perSecond), strangers: newLimiter(perSecond / 4)}
}

func newLimiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

// allow reports whether a handshake may go on.
func (p pace) allow(proven bool) bool {
	if proven {
		return p.known.Allow()
	}
	return p.strangers.Allow()
}
