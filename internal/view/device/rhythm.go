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

// calendar knows which hour of the week an hour is. Hours are counted from 1970
// in UTC. In a zone that is half an hour off, an hour of the week begins half an
// hour late; it does so every week.
type calendar struct{ zone *time.Location }

func hourOf(t time.Time) int64 {
	s := t.Unix()
	return (s - mod(s, 3600)) / 3600
}

func mod(a, b int64) int64 { return (a%b + b) % b }

// slot returns the hour of the week, from Monday 0 o'clock.
func (c calendar) slot(hour int64) int {
	t := time.Unix(hour*3600, 0).In(c.zone)
	return (int(t.Weekday())+6)%7*24 + t.Hour()
}

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

// expected returns how many events there should be between two moments.
func (r *rhythm) expected(c calendar, from, to time.Time) float64 {
	if !from.Before(to) || r.total <= 0 {
		return 0
	}
	weeks := to.Sub(from) / (week * time.Hour)
	sum := float64(weeks) * r.total
	from = from.Add(weeks * week * time.Hour)
	for hour := hourOf(from); from.Before(to); hour++ {
		end := time.Unix((hour+1)*3600, 0)
		if end.After(to) {
			end = to
		}
		sum += float64(r.rate[c.slot(hour)]) * end.Sub(from).Hours()
		from = end
	}
	return sum
}

// usual returns after which time so many events are expected; 0 if they are not
// within the weeks that are remembered.
func (r *rhythm) usual(c calendar, from time.Time, events float64) time.Duration {
	if r.total <= 0 || events > memory*r.total {
		return 0
	}
	at := from
	if weeks := max(0, int64(events/r.total)-1); weeks > 0 {
		at, events = at.Add(time.Duration(weeks)*week*time.Hour), events-float64(weeks)*r.total
	}
	for range 3 * week {
		hour := hourOf(at)
		end := time.Unix((hour+1)*3600, 0)
		rate := float64(r.rate[c.slot(hour)])
		if here := rate * end.Sub(at).Hours(); rate > 0 && here >= events {
			return at.Add(time.Duration(events / rate * float64(time.Hour))).Sub(from)
		} else {
			events -= here
		}
		at = end
	}
	return 0
}

// public is the rhythm for others.
func (r *rhythm) public() (p gatecast.Rhythm) {
	for slot, rate := range r.rate {
		p[slot] = float64(rate)
	}
	return p
}
