package pull

import "time"

const (
	firstPause = 100 * time.Millisecond // at most, after the first failure
	// steady is how long a connection must have lasted for the next failure to
	// be the first: a server that lets us in and cuts us is no better than one
	// that does not.
	steady = 10 * time.Second

	quickest = time.Minute // between two logins of one who is refused
	slowest  = 5 * time.Minute
)

// pace spaces the attempts to connect to one server. It is not safe for
// concurrent use.
type pace struct {
	rand      func() float64
	perMinute int
	most      time.Duration // between two attempts after failures

	failures int         // in a row
	refusals int         // in a row
	logins   []time.Time // the latest, up to perMinute, oldest first
}

// login takes note of a handshake. An attempt that did not get that far costs
// the server nothing.
func (p *pace) login(now time.Time) {
	if len(p.logins) == p.perMinute {
		p.logins = append(p.logins[:0], p.logins[1:]...)
	}
	p.logins = append(p.logins, now)
}

// untilLogin is how long the next handshake must wait for there to be no more
// than perMinute in any minute.
func (p *pace) untilLogin(now time.Time) time.Duration {
	if len(p.logins) < p.perMinute {
		return 0
	}
	return p.logins[0].Add(time.Minute).Sub(now)
}

// failed returns the pause after a failure: evenly chosen between nothing and a
// limit that doubles ("full jitter"), for others may have lost the same server.
func (p *pace) failed() time.Duration {
	limit := p.most
	if p.failures < 16 {
		limit = min(limit, firstPause<<p.failures)
	}
	p.failures++
	return time.Duration(p.rand() * float64(limit))
}

// refused returns the pause after a refusal. It may have been for something
// that passes, such as a limit or a clock; asking often does not help with any.
func (p *pace) refused() time.Duration {
	limit := slowest
	if p.refusals < 3 {
		limit = min(limit, quickest<<p.refusals)
	}
	p.refusals++
	return quickest + time.Duration(p.rand()*float64(limit-quickest))
}

// lasted takes note of how long a connection was good.
func (p *pace) lasted(d time.Duration) {
	p.refusals = 0
	if d >= steady {
		p.failures = 0
	}
}

// forget begins anew, but for the logins: the server counts those.
func (p *pace) forget() { p.failures, p.refusals = 0, 0 }
