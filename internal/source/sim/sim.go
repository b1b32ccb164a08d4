// Package sim pretends to be a small SenseLink site: a dozen devices, some
// hundred invented people, and a working day squeezed into minutes.
//
// It owns who goes where and when, and writes it down as the vendor's servers
// would. It never stores or sends anything itself: what it makes goes to a
// function the caller hands to Run, by the same door as real events. Equal
// options make equal events. Start at [New].
package sim

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gatecast/gatecast"
)

// Options tunes a [Sim]. The zero value is a site that makes three events a
// second on average, from now on.
type Options struct {
	// Seed chooses the people and what happens to them. Any value is fine.
	Seed int64
	// Rate is how many events a second there are, averaged over a working
	// day; default 3. The morning rush has four times as many, a quiet hour
	// less than one.
	Rate float64
	// Start is when the first event happens; default is the time of New.
	Start time.Time
	// Log hears of events that had to be sent again; default is to discard.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if !(o.Rate > 0) {
		o.Rate = 3
	}
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Sim is a simulated site. It may be used by one goroutine at a time.
type Sim struct {
	opts   Options
	rng    *rand.Rand
	site   site
	people []person
	write  writer

	// The day under way. It is planned as a whole when it begins and holds
	// some thousand steps; the next is planned when this one has run out.
	day   []step
	next  int           // index in day
	dawn  time.Time     // when the day's first step happens
	scale float64       // real time per simulated time
	mean  time.Duration // between two events, real time
}

// New makes a site. The same Seed, Rate and Start make the same events, byte
// for byte.
func New(o Options) *Sim {
	o = o.withDefaults()
	rng := rand.New(rand.NewPCG(uint64(o.Seed), 0x67617465)) // stream constant: any fixed number
	s := &Sim{opts: o, rng: rng, site: newSite(rng)}
	s.people = newPeople(rng, o.Start)
	s.write = newWriter(rng, o.Start)
	s.mean = time.Duration(float64(time.Second) / o.Rate)
	s.begin(o.Start)
	return s
}

// Next returns the next event as the body of a vendor's push message, and when
// it happens. Times never go back.
func (s *Sim) Next() (body []byte, at time.Time) {
	if s.next == len(s.day) {
		s.begin(s.clock(s.day[len(s.day)-1]).Add(s.mean))
	}
	st := s.day[s.next]
	s.next++
	at = s.clock(st)
	if st.alarm != nil {
		return s.write.alarm(st, at), at
	}
	return s.write.record(st, at), at
}

// begin plans a day and lets its first step happen at the time dawn.
func (s *Sim) begin(dawn time.Time) {
	s.day = planDay(s.rng, &s.site, s.people)
	s.next = 0
	s.dawn = dawn
	span := s.day[len(s.day)-1].at - s.day[0].at
	s.scale = float64(s.mean) * float64(len(s.day)-1) / float64(span)
}

// clock says when a step of this day really happens.
func (s *Sim) clock(st step) time.Time {
	return s.dawn.Add(time.Duration(float64(st.at-s.day[0].at) * s.scale))
}

// pause moves the rest of the day by d: the site stood still that long.
func (s *Sim) pause(d time.Duration) { s.dawn = s.dawn.Add(d) }

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// maxLag is how far Run may fall behind before it gives the lost time up
	// instead of making it good with a burst.
	maxLag = time.Second
)

// Run hands each event to send when its time has come, until ctx ends; then it
// returns nil. An event that send refuses as Unavailable or TooMany is sent
// again with the same bytes, after at least 100 ms and at most 5 s or what the
// error asks for; the site stands still meanwhile. Any other error ends Run
// and is returned.
func (s *Sim) Run(ctx context.Context, send func(ctx context.Context, body []byte) error) error {
	for {
		body, at := s.Next()
		if late := time.Since(at); late > maxLag {
			s.pause(late)
		}
		if !sleep(ctx, time.Until(at)) {
			return nil
		}
		if err := s.deliver(ctx, send, body); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (s *Sim) deliver(ctx context.Context, send func(context.Context, []byte) error, body []byte) error {
	wait := firstRetry
	for {
		err := send(ctx, body)
		if err == nil || !passing(err) {
			return err
		}
		pause := max(wait, retryAfter(err))
		s.opts.Log.Warn("simulated event was refused, sending it again", "err", err, "in", pause)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		wait = min(2*wait, lastRetry)
	}
}

// passing reports whether the same event may be accepted later.
func passing(err error) bool {
	code := gatecast.CodeOf(err)
	return code == gatecast.Unavailable || code == gatecast.TooMany
}

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// retryAfter is how long the error asks to wait; zero if it does not say.
func retryAfter(err error) time.Duration {
	var e *gatecast.Error
	if errors.As(err, &e) {
		return e.Retry
	}
	return 0
}
