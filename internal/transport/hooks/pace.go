package hooks

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/gatecast/gatecast"
)

// pace is how fast a subscription may be sent something. A limiter lets one
// tenth of a second's worth go at once.
type pace struct {
	all  *rate.Limiter // nil: no limit
	late *rate.Limiter // nil: no limit
}

func newPace(s gatecast.SubscriptionSettings) pace {
	limiter := func(perSecond int) *rate.Limiter {
		if perSecond == 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/10))
	}
	return pace{all: limiter(s.Rate), late: limiter(s.CatchUpRate)}
}

// wait returns how long a request must wait; it counts only if that is zero.
func (p *pace) wait(now time.Time, late bool) time.Duration {
	var taken []*rate.Reservation
	for _, l := range []*rate.Limiter{p.all, p.late} {
		if l == nil || l == p.late && !late {
			continue
		}
		r := l.ReserveN(now, 1)
		taken = append(taken, r)
		if d := r.DelayFrom(now); d > 0 {
			for _, r := range taken {
				r.CancelAt(now)
			}
			return d
		}
	}
	return 0
}
