package device

import (
	"fmt"
	"math"
	"time"

	"github.com/gatecast/gatecast"
)

// How much more than the largest silence that was none makes a device stale,
// and how far that may go.
const (
	doubtful = 1.5
	mostOdd  = 4
)

// limit returns how many events a device must have missed to be stale. Each
// event begins another silence, and of many some are long by chance: one with n
// events a week is blamed by chance once in exp(missed) weeks. One whose people
// come in crowds is given more.
func (d *device) limit(missed float64) float64 {
	least := byChance(missed, d.Rhythm.total)
	return min(max(least, doubtful*d.Noise), mostOdd*least)
}

func byChance(missed, weekly float64) float64 { return missed + math.Log(max(1, weekly)) }

func (d *device) fade(hours int64) {
	d.Noise *= math.Exp2(-float64(hours) / fadeHours)
}

// evidence is what is known of a device's silence at a moment.
type evidence struct {
	now     time.Time
	seen    time.Time // when it was last heard of
	watched time.Time // since when a silence would have been noticed
	learnt  time.Time // when enough is known of it
	missed  float64   // events since both seen and watched, by its rhythm
	limit   float64
	heard   bool      // since the last verdict
	offline time.Time // when its server said that it is away; zero: it did not
	before  gatecast.Freshness
	trouble *trouble // of its source; nil: there is none
}

// judge says what a silence means. It is a function of its arguments alone.
func (o *Options) judge(e *evidence) gatecast.Freshness {
	silent := e.now.Sub(e.seen)
	if !e.offline.IsZero() {
		return gatecast.Freshness{State: gatecast.FreshDead, Since: e.offline, Why: "its server says that it is offline"}
	}
	if e.before.State.Away() && !e.heard {
		return o.stillAway(e)
	}
	next := gatecast.Freshness{State: gatecast.FreshQuiet, Since: e.now}
	odd := o.improbable(e)
	switch {
	case e.trouble != nil && (odd || silent > o.QuietAfter || e.before.State == gatecast.FreshUnknown && !e.heard):
		next.State, next.Why = gatecast.FreshUnknown, e.trouble.why
	case odd:
		next.State, next.Why = gatecast.FreshStale, e.silence(silent)
	case silent <= o.QuietAfter:
		next.State, next.Why = gatecast.FreshLive, "heard of "+ago(silent)
	case e.now.Before(e.learnt):
		next.Why = fmt.Sprintf("silent for %s; its rhythm is being learnt", span(silent))
	default:
		next.Why = e.silence(silent)
	}
	if next.State == e.before.State {
		next.Since = e.before.Since
	}
	return next
}

func (e *evidence) silence(d time.Duration) string {
	return fmt.Sprintf("silent for %s; %s were to be expected", span(d), events(e.missed))
}

// improbable reports whether the device should have been heard of.
func (o *Options) improbable(e *evidence) bool {
	from := e.seen
	if from.Before(e.watched) {
		from = e.watched
	}
	return e.missed >= e.limit && e.now.Sub(from) >= o.StaleAfter && !e.now.Before(e.learnt)
}

// stillAway goes on with a verdict that nothing has changed about, unless it
// turns out that nobody is heard of whom its source should tell of.
func (o *Options) stillAway(e *evidence) gatecast.Freshness {
	next := e.before
	silent := span(e.now.Sub(e.seen))
	switch {
	case e.trouble != nil && !e.before.Since.Before(e.trouble.since):
		return gatecast.Freshness{State: gatecast.FreshUnknown, Since: e.now, Why: e.trouble.why}
	case e.before.State == gatecast.FreshStale && e.now.Sub(e.before.Since) >= o.DeadAfter:
		return gatecast.Freshness{State: gatecast.FreshDead, Since: e.now, Why: fmt.Sprintf("silent for %s, and stale for %s of that", silent, span(e.now.Sub(e.before.Since)))}
	case e.seen.IsZero():
	case e.before.State == gatecast.FreshStale:
		next.Why = e.silence(e.now.Sub(e.seen))
	default:
		next.Why = "silent for " + silent
	}
	return next
}

// events is a number of events for people.
func events(n float64) string {
	switch {
	case n < 0.05:
		return "no events"
	case n < 10:
		return fmt.Sprintf("%.1f events", n)
	}
	return fmt.Sprintf("%.0f events", n)
}

func ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration for people: "3d4h", "2h5m", "40s".
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d)/time.Second)
}
