package device

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
)

// change is a new state, for the log.
type change struct {
	what, name string
	now        gatecast.Freshness
	before     gatecast.Fresh
}

// judgeAll finds out how everybody stands.
func (t *Tracker) judgeAll(now time.Time) {
	if !t.level {
		return
	}
	states := t.ask()
	var news []change
	t.mu.Lock()
	was := map[string]gatecast.Fresh{}
	for name, s := range t.sources {
		was[name] = s.State.State
	}
	suspects := t.judgeSources(now, states)
	for name, s := range t.sources {
		news = append(news, change{"source", name, s.State, was[name]})
	}
	for _, d := range t.known.devices {
		news = t.judge(d, now, news)
	}
	t.mu.Unlock()
	for name, why := range suspects {
		t.opts.Suspect(name, why)
	}
	t.tell(news)
}

// judgeHeard finds out how those stand who were heard of since the last time:
// they need not wait until everybody's turn.
func (t *Tracker) judgeHeard(now time.Time) {
	var news []change
	t.mu.Lock()
	for _, d := range t.heard {
		if t.known.devices[d.SN] == d && d.heard {
			news = t.judge(d, now, news)
		}
	}
	clear(t.heard)
	t.heard = t.heard[:0]
	t.mu.Unlock()
	t.tell(news)
}

// ask asks how the sources stand.
func (t *Tracker) ask() map[string]gatecast.SourceState {
	names := t.Sources.Names()
	t.mu.Lock()
	for _, name := range names {
		t.source(name)
	}
	t.mu.Unlock()
	states := make(map[string]gatecast.SourceState, len(t.sources))
	for name := range t.sources {
		states[name] = t.Sources.State(name)
	}
	return states
}

// judge finds out how a device stands, and adds to the news if that has changed.
func (t *Tracker) judge(d *device, now time.Time, news []change) []change {
	if d.Gone {
		return news
	}
	before := d.State
	d.State = t.opts.judge(t.evidence(d, now))
	d.heard = false
	if d.State.State != before.State {
		t.metrics.changes.WithLabelValues(string(d.State.State)).Inc()
		news = append(news, change{"device", d.SN, d.State, before.State})
	}
	return news
}

func (t *Tracker) evidence(d *device, now time.Time) *evidence {
	e := &evidence{
		now: now, seen: d.Life.Seen, watched: t.watched, learnt: d.Life.First.Add(t.opts.Learn),
		limit: d.limit(t.opts.Missed), heard: d.heard, offline: d.Life.Offline, before: d.State,
	}
	if s := t.sources[d.About.Source]; s != nil {
		e.trouble = s.trouble
		if s.Blind.After(e.watched) {
			e.watched = s.Blind
		}
	}
	e.missed = d.Rhythm.expected(t.calendar, t.since(d), now)
	return e
}

// since returns from when on the silence of a device counts. That of one that is
// to be blamed goes on while nobody looks.
func (t *Tracker) since(d *device) time.Time {
	at := d.Life.Seen
	if d.State.State.Away() && !d.heard {
		return at
	}
	if t.watched.After(at) {
		at = t.watched
	}
	if s := t.sources[d.About.Source]; s != nil && s.Blind.After(at) {
		at = s.Blind
	}
	return at
}

// tell writes to the log who is away, and who is back.
func (t *Tracker) tell(news []change) {
	for _, c := range news {
		level := slog.LevelInfo
		switch {
		case c.now.State == c.before || c.before == "":
			continue
		case c.now.State.Away():
			level = slog.LevelWarn
		case !c.before.Away():
			continue
		}
		t.opts.Log.Log(context.Background(), level, c.what+" is "+string(c.now.State), c.what, c.name, "why", c.now.Why)
	}
}
