package device

import "time"

const (
	steady = 2 * time.Minute  // by which the distance between two clocks may vary
	proved = 30 * time.Minute // for which it has to stay the same
)

// clock learns how far a device's clock is off. An event that comes hours after
// it happened was kept back somewhere, or has a wrong clock: the distance of
// what was kept back changes, for it comes faster than it happened; that of a
// clock stays the same.
type clock struct {
	Behind  time.Duration // certain; the server's clock minus the device's
	Seems   time.Duration // what the latest events say
	Seeming time.Time     // since when, by the server's clock
}

// time returns when something happened by the server's clock, never after it
// was stored.
func (c *clock) time(at, stored time.Time) time.Time {
	if at.IsZero() {
		return stored
	}
	c.learn(stored.Sub(at), stored)
	at = at.Add(c.Behind)
	if at.After(stored) {
		return stored
	}
	return at
}

func (c *clock) learn(distance time.Duration, stored time.Time) {
	if c.Seeming.IsZero() || (distance-c.Seems).Abs() > steady {
		c.Seems, c.Seeming = distance, stored
		return
	}
	if stored.Sub(c.Seeming) < proved {
		return
	}
	c.Behind = c.Seems
	if c.Behind.Abs() <= steady { // it is right, and what is on the way takes a moment
		c.Behind = 0
	}
}
