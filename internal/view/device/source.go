package device

import (
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	hiccup = time.Minute // a connection that is away for less is nobody's trouble
	others = 3.0         // events that devices must have missed besides the one that missed most
)

// source is what is known of a door that events come in by. Its exported fields
// are in the file.
type source struct {
	Stored time.Time // when its latest event was stored
	Blind  time.Time // until when its devices could not be heard of, the last time that was so
	State  gatecast.Freshness

	trouble *trouble // nil: there is none
	guess   *trouble // what the silence of all its devices means; nil: there is no such silence
}

// trouble is why no device of a source can be heard of.
type trouble struct {
	since time.Time
	why   string
}

func (t *Tracker) source(name string) *source {
	s := t.sources[name]
	if s == nil {
		s = &source{}
		t.sources[name] = s
	}
	return s
}

// hear takes note that an event of the source was stored.
func (s *source) hear(stored time.Time) {
	if stored.After(s.Stored) {
		s.Stored = stored
	}
}

// told returns the trouble that a source is known to have.
func told(name string, st *gatecast.SourceState, now time.Time) *trouble {
	switch st.Status {
	case gatecast.SourceConnecting, gatecast.SourceRefused, gatecast.SourceStalled, gatecast.SourcePaused:
	case gatecast.SourceWaiting:
		if st.LastSign.IsZero() { // nothing was posted yet, and nothing was refused
			return nil
		}
	default:
		return nil
	}
	if now.Sub(st.Since) < hiccup && st.Status != gatecast.SourcePaused {
		return nil
	}
	why := fmt.Sprintf("source %s is %s for %s", name, st.Status, span(now.Sub(st.Since)))
	if st.Reason != "" {
		why += ": " + st.Reason
	}
	return &trouble{since: st.Since, why: why}
}

// voices is what the silent devices of a source say together.
type voices struct {
	devices int     // that should have been heard of
	missed  float64 // events
	loudest float64 // of them, by one device
	weekly  float64 // events of all its devices
}

// enough reports whether so many devices cannot be silent by chance, and not
// because one of them is dead.
func (v *voices) enough(missed float64) bool {
	return v.devices >= 2 && v.missed >= byChance(missed, v.weekly) && v.missed-v.loudest >= others
}

func (v *voices) add(missed, weekly float64) {
	v.weekly += weekly
	v.missed += missed
	v.loudest = max(v.loudest, missed)
	if missed >= 1 {
		v.devices++
	}
}

// silent finds the sources from which nothing came for a while, and what their
// devices should have sent in it.
func (t *Tracker) silent(now time.Time) map[string]*voices {
	all := map[string]*voices{}
	for name, s := range t.sources {
		if now.Sub(t.listened(s)) >= t.opts.StaleAfter {
			all[name] = &voices{}
		}
	}
	if len(all) == 0 {
		return all
	}
	for _, d := range t.known.devices {
		v := all[d.About.Source]
		if v == nil || d.Gone || now.Sub(d.Life.First) < t.opts.Learn {
			continue
		}
		s := t.sources[d.About.Source]
		if d.State.State.Away() && d.State.Since.Before(s.Stored) {
			continue // it is away for itself
		}
		v.add(d.Rhythm.expected(t.calendar, t.listened(s), now), d.Rhythm.total)
	}
	return all
}

// listened returns since when a source has been listened to, and was silent.
func (t *Tracker) listened(s *source) time.Time {
	at := t.watched
	for _, other := range []time.Time{s.Stored, s.Blind} {
		if other.After(at) {
			at = other
		}
	}
	return at
}

// judgeSources finds which sources are in trouble. Whoever is to be suspected is
// returned with the reason.
func (t *Tracker) judgeSources(now time.Time, states map[string]gatecast.SourceState) (suspects map[string]string) {
	suspects = map[string]string{}
	silent := t.silent(now)
	for name, s := range t.sources {
		st := states[name]
		if s.guess != nil && s.Stored.After(s.guess.since) {
			s.guess = nil
		}
		if v := silent[name]; s.guess == nil && v != nil && v.enough(t.opts.Missed) {
			s.guess = &trouble{since: t.listened(s)}
			if st.Status == gatecast.SourceLive && !asked(&st, s.guess.since) {
				suspects[name] = fmt.Sprintf("%d devices that should have sent something are silent", v.devices)
			}
		}
		s.become(name, &st, now)
		s.State = t.sourceFreshness(s, &st, now)
	}
	return suspects
}

// become sets the trouble that a source is in. Until its end nobody was heard.
func (s *source) become(name string, st *gatecast.SourceState, now time.Time) {
	before := s.trouble
	s.trouble = told(name, st, now)
	if s.trouble != nil || before != nil && s.guess == nil {
		s.Blind = now
	}
	switch {
	case s.guess == nil:
	case s.trouble == nil:
		s.trouble = &trouble{since: s.guess.since, why: guessed(name, st, s.guess.since, now)}
	case s.guess.since.Before(s.trouble.since):
		s.trouble.since = s.guess.since
	}
}

// asked reports whether a source was asked what it has since a moment, and had
// nothing that is not here.
func asked(st *gatecast.SourceState, since time.Time) bool {
	return st.Statement.Error == "" && st.Statement.Looked.After(since)
}

// guessed is why all devices of a source are silent, as far as that is known.
func guessed(name string, st *gatecast.SourceState, since, now time.Time) string {
	what := fmt.Sprintf("all devices of %s that should be heard of are silent for %s", name, span(now.Sub(since)))
	switch {
	case st.Status == "":
		return what + ": the site is closed, or nothing comes through"
	case asked(st, since):
		return what + ", and the server has nothing either: the site is closed, or cut off from its server"
	case st.LastSign.After(since):
		return what + ", though the server gives signs of life: it does not push, or the site is closed"
	}
	return what + ": the server does not push, or the site is closed"
}

// sourceFreshness says how a source stands in the words for devices.
func (t *Tracker) sourceFreshness(s *source, st *gatecast.SourceState, now time.Time) gatecast.Freshness {
	f := gatecast.Freshness{State: gatecast.FreshQuiet, Since: now, Why: "nothing came yet"}
	away := st.Status == gatecast.SourceConnecting || st.Status == gatecast.SourceRefused
	switch silent := now.Sub(s.Stored); {
	case st.Status == gatecast.SourcePaused:
		f.Why = "paused: " + st.Reason
	case s.trouble != nil && away && now.Sub(st.Since) >= t.opts.StaleAfter:
		f.State, f.Why = gatecast.FreshDead, s.trouble.why
	case s.trouble != nil:
		f.State, f.Why = gatecast.FreshStale, s.trouble.why
	case s.Stored.IsZero():
	case silent <= t.opts.QuietAfter:
		f.State, f.Why = gatecast.FreshLive, "an event came "+ago(silent)
	default:
		f.Why = fmt.Sprintf("no event for %s, and none of its devices was to be expected", span(silent))
	}
	if f.State == s.State.State {
		f.Since = s.State.Since
	}
	return f
}
