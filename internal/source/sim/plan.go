package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// step is one thing that happens on a day: a person before a device, or an
// alarm reaching its next state.
type step struct {
	at  time.Duration // since midnight of the simulated day
	dev *device

	who      *person // nil for a stranger
	mode     int     // entry mode
	abnormal int     // abnormal type; 0 for an ordinary record

	alarm  *alarm // nil for a record
	status int    // the state the alarm reaches
}

// Abnormal types of a record.
const (
	cardMismatch  = 10002
	visitorTooOld = 20001
	outsideHours  = 20002
	invalidCard   = 30002
	invalidQR     = 30003
	fever         = 40001
	noMask        = 50001
)

// planDay decides everything that happens on one working day, in order.
func planDay(rng *rand.Rand, s *site, people []person) []step {
	p := planner{rng: rng, site: s}
	for i := range people {
		who := &people[i]
		switch {
		case who.denied:
			p.deniedDay(who)
		case who.kind == visitor:
			p.visitorDay(who)
		default:
			p.employeeDay(who)
		}
	}
	for range 10 + rng.IntN(6) {
		at := p.between(8*time.Hour, 20*time.Hour)
		p.steps = append(p.steps, step{at: at, dev: one(rng, s.gatesIn), mode: byFace})
	}
	p.alarms()
	slices.SortStableFunc(p.steps, func(a, b step) int { return int(a.at - b.at) })
	return p.steps
}

// planner collects the steps of one day.
type planner struct {
	rng   *rand.Rand
	site  *site
	steps []step
}

func (p *planner) between(from, to time.Duration) time.Duration {
	return from + time.Duration(p.rng.Int64N(int64(to-from)))
}

// about is a time near the middle: most within one spread, all within three.
func (p *planner) about(middle, spread time.Duration) time.Duration {
	z := min(max(p.rng.NormFloat64(), -3), 3)
	return middle + time.Duration(z*float64(spread))
}

func (p *planner) chance(percent int) bool { return p.rng.IntN(100) < percent }

func one[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// pass puts who before dev at the time at.
func (p *planner) pass(who *person, dev *device, at time.Duration) {
	p.steps = append(p.steps, step{at: at, dev: dev, who: who, mode: p.mode(who, dev)})
}

// mode is how who identifies at dev: nobody shows a card who has none.
func (p *planner) mode(who *person, dev *device) int {
	mode := one(p.rng, dev.modes)
	if mode == byCard && who.card == "" {
		return byFace
	}
	return mode
}

// try is pass, but now and then the first attempt fails some time before.
func (p *planner) try(who *person, dev *device, at time.Duration) {
	if p.chance(5) {
		p.steps = append(p.steps, p.failure(who, dev, at-p.between(time.Minute, 4*time.Minute)))
	}
	p.pass(who, dev, at)
}

// failure is an attempt that this device can refuse for a reason of its own.
func (p *planner) failure(who *person, dev *device, at time.Duration) step {
	st := step{at: at, dev: dev, who: who, mode: p.mode(who, dev)}
	switch {
	case st.mode == byQR:
		st.abnormal = invalidQR
	case st.mode == byFaceAndCard:
		st.abnormal = cardMismatch
	case st.mode == byCard:
		st.abnormal = invalidCard
	case dev.thermal && p.chance(70):
		st.abnormal = noMask
	case dev.thermal:
		st.abnormal = fever
	default:
		st.abnormal = outsideHours
	}
	return st
}

func (p *planner) employeeDay(who *person) {
	if p.chance(8) {
		return // on holiday
	}
	door := p.site.offices[who.office]
	arrive := p.about(8*time.Hour+50*time.Minute, 16*time.Minute)
	if who.drives {
		p.pass(who, p.site.parkIn, arrive-6*time.Minute)
	}
	p.try(who, one(p.rng, p.site.gatesIn), arrive)
	p.pass(who, door, arrive+p.between(time.Minute, 4*time.Minute))
	if p.chance(60) {
		p.pass(who, door, p.between(10*time.Hour, 11*time.Hour+45*time.Minute))
	}
	p.lunch(who, door)
	if who.admin && p.chance(60) {
		enter := p.between(14*time.Hour, 15*time.Hour)
		p.try(who, p.site.vaultIn, enter)
		p.pass(who, p.site.vaultOut, enter+p.between(5*time.Minute, 55*time.Minute))
	}
	p.pass(who, door, p.between(13*time.Hour+30*time.Minute, 14*time.Hour))
	if p.chance(60) {
		p.pass(who, door, p.between(15*time.Hour+55*time.Minute, 16*time.Hour+30*time.Minute))
	}
	leave := p.about(18*time.Hour+10*time.Minute, 25*time.Minute)
	p.pass(who, one(p.rng, p.site.gatesOut), leave)
	if who.drives {
		p.pass(who, p.site.parkOut, leave+p.between(3*time.Minute, 8*time.Minute))
	}
}

// lunch takes who out by a gate and in again, or to the canteen.
func (p *planner) lunch(who *person, door *device) {
	at := p.between(12*time.Hour, 12*time.Hour+20*time.Minute)
	back := at + p.between(30*time.Minute, 50*time.Minute)
	if p.chance(45) {
		p.pass(who, one(p.rng, p.site.gatesOut), at)
		p.try(who, one(p.rng, p.site.gatesIn), back)
	} else {
		p.pass(who, p.site.canteen, at)
	}
	p.pass(who, door, back+p.between(time.Minute, 3*time.Minute))
}

func (p *planner) visitorDay(who *person) {
	if !p.chance(55) {
		return
	}
	arrive := p.between(10*time.Hour, 16*time.Hour)
	p.try(who, p.site.desk, arrive)
	enter := arrive + p.between(5*time.Minute, 9*time.Minute) // later than a failed first try after the desk
	p.try(who, one(p.rng, p.site.gatesIn), enter)
	p.pass(who, one(p.rng, p.site.gatesOut), enter+p.between(25*time.Minute, 100*time.Minute))
}

// deniedDay lets somebody from the deny list try the gates, in vain.
func (p *planner) deniedDay(who *person) {
	if !p.chance(60) {
		return
	}
	at := p.between(9*time.Hour, 17*time.Hour)
	for range 1 + p.rng.IntN(2) {
		p.steps = append(p.steps, step{
			at: at, dev: one(p.rng, p.site.gatesIn), who: who, mode: byFace, abnormal: visitorTooOld,
		})
		at += p.between(time.Minute, 5*time.Minute)
	}
}
