package device

import (
	"math"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	week   = 7 * 24 // hours
	memory = 5      // weeks; an hour of the week is an average of about so many
	oldest = 8      // weeks; what happened before teaches nothing any more
)

// calendar counts time as the clocks on the site's walls show it, so that an
// hour of the week is the same all year. When they are set an hour comes twice,
// or not at all; that is of no account.
type calendar struct{ zone *time.Location }

// wall returns the seconds since 1970 by the clocks on the walls.
func (c calendar) wall(t time.Time) int64 {
	_, offset := t.In(c.zone).Zone()
	return t.Unix() + int64(offset)
}

// hour returns the hour that a moment is in, counted from 1970.
func (c calendar) hour(t time.Time) int64 {
	wall := c.wall(t)
	return (wall - mod(wall, 3600)) / 3600
}

func mod(a, b int64) int64 { return (a%b + b) % b }

// slot returns the hour of the week, from Monday 0 o'clock; 1970 began on a
// Thursday.
func slot(hour int64) int { return int(mod(hour+3*24, week)) }

// rhythm is how many events each hour of the week has.
type rhythm struct {
	rate  [week]float32
	weeks [week]uint8 // how many weeks are in a rate, at most memory
	total float64     // of all rates
}

// fold takes in that an hour which is over had so many events.
func (r *rhythm) fold(slot int, count float32) {
	n := min(r.weeks[slot]+1, memory)
	r.add(slot, (count-r.rate[slot])/float32(n))
	r.weeks[slot] = n
}

// late takes in an event of an hour that was folded so many weeks ago.
func (r *rhythm) late(slot int, weeksAgo int64) {
	if r.weeks[slot] == 0 {
		r.fold(slot, 1)
		return
	}
	share := 1 / float64(r.weeks[slot])
	r.add(slot, float32(share*math.Pow(1-1/float64(memory), float64(weeksAgo))))
}

func (r *rhythm) add(slot int, more float32) {
	r.total += float64(more)
	r.rate[slot] += more
}

// expected returns how many events there should be between two moments, at the
// least: people who come an hour later than usual, or go an hour sooner, are
// nothing to wonder about. It does not matter then that nobody knows where within
// its hour the day begins.
func (r *rhythm) expected(c calendar, from, to time.Time) float64 {
	if !from.Before(to) || r.total <= 0 {
		return 0
	}
	a, b := c.wall(from), c.wall(to)
	return min(r.between(a, b), r.between(a-3600, b-3600), r.between(a+3600, b+3600))
}

// between is how many events there are between two moments by the clock on the
// wall. It is called for every device every few seconds.
func (r *rhythm) between(from, to int64) float64 {
	weeks := max(0, to-from) / (week * 3600)
	from += weeks * week * 3600
	into := mod(from, 3600) // seconds of the first hour that do not count
	i := slot((from - into) / 3600)
	sum := float64(weeks)*r.total - float64(r.rate[i])*float64(into)/3600
	for left := to - from + into; left > 0; left -= 3600 {
		if left < 3600 {
			return sum + float64(r.rate[i])*float64(left)/3600
		}
		sum += float64(r.rate[i])
		if i++; i == week {
			i = 0
		}
	}
	return sum
}

// at returns the rate at a moment and when it ends.
func (r *rhythm) at(wall int64) (rate float64, end int64) {
	start := wall - mod(wall, 3600)
	return float64(r.rate[slot(start/3600)]), start + 3600
}

// usual returns after which time so many events are expected; 0 if they are not
// within the weeks that are remembered.
func (r *rhythm) usual(c calendar, from time.Time, events float64) time.Duration {
	if r.total <= 0 || events > memory*r.total {
		return 0
	}
	longest := int64(0)
	for _, shift := range []int64{0, -3600, 3600} {
		longest = max(longest, r.reach(c.wall(from)+shift, events))
	}
	return time.Duration(longest) * time.Second
}

// reach returns the seconds after which so many events are expected.
func (r *rhythm) reach(from int64, events float64) int64 {
	weeks := int64(events / r.total)
	at := from + weeks*week*3600
	events -= float64(weeks) * r.total
	for range week + 2 {
		rate, end := r.at(at)
		here := rate * float64(end-at) / 3600
		if rate > 0 && here >= events {
			return at + int64(math.Ceil(events/rate*3600)) - from
		}
		events -= here
		at = end
	}
	return at - from
}

// public is the rhythm for others.
func (r *rhythm) public() (p gatecast.Rhythm) {
	for slot, rate := range r.rate {
		p[slot] = float64(rate)
	}
	return p
}
