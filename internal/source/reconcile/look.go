package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	overlap   = 2 * time.Minute    // of two looks, for what a source lists a little late
	margin    = 5 * time.Second    // between the newest that is listed and what is said to be complete
	deepMost  = 24 * time.Hour     // how far back a deep look goes
	alarmAge  = 7 * 24 * time.Hour // how long after it began an alarm's states are looked for
	day       = 24 * time.Hour
	mostFound = 2048 // missing events in memory; beyond it they are stored, and the look goes on
)

// look is one time that a source is asked for everything it has of a stretch
// of time. It belongs to the worker's goroutine.
type look struct {
	w       *worker
	source  *gatecast.Source
	zone    *time.Location
	decoder *senselink.Decoder
	start   time.Time
	from    time.Time // what happened before is not looked for
	deep    bool

	found  []missing       // not in the journal, as far as is known; at most mostFound and an answer more
	inside map[string]bool // IDs of found
	count  tally
}

// missing is an event that the source has and the journal has not.
type missing struct {
	key   key
	event gatecast.Event
}

// tally is what came of a look.
type tally struct {
	records  int // rows of records
	astray   int // of them, far outside the stretch that was asked for
	nameless int // rows that could not be understood
	filled   int
	lost     int       // states of alarms that are gone
	oldest   time.Time // of filled
	newest   time.Time // of filled
	doubtful int       // of filled: they happened while we were connected
}

// newLook makes a look. A demanded one goes back as far as there is to go.
func newLook(w *worker, src *gatecast.Source, start time.Time, demanded bool) *look {
	l := &look{w: w, source: src, zone: w.zone(src), start: start, inside: make(map[string]bool)}
	o := w.rec.opts.Decode
	o.Zone, o.Source, o.Unknown = l.zone, src.Name, nil // a row comes again and again
	o.MaxBody = max(o.MaxBody, mostAnswer)
	l.decoder = senselink.NewDecoder(o)
	back := src.Settings.REST.Lookback
	n := &w.note
	switch {
	case n.Through.IsZero(), demanded:
		l.from, l.deep = start.Add(-back), true
	case !start.Before(w.plan.deep):
		l.from, l.deep = start.Add(-min(back, deepMost)), true
		if l.from.Before(n.Since) {
			l.from = n.Since
		}
	default:
		l.from = start.Add(-overlap)
	}
	if due := n.Through.Add(-overlap); !n.Through.IsZero() && due.Before(l.from) {
		l.from = due
	}
	if n.Owed != nil && n.Owed.From.Before(l.from) {
		l.from = n.Owed.From
	}
	return l
}

// zone is that of the times in the source's questions and answers.
func (w *worker) zone(src *gatecast.Source) *time.Location {
	name := src.Settings.REST.Zone
	if name == "" {
		return w.rec.opts.Decode.Zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		w.rec.opts.Log.Error("a source's time zone is not known here", "source", w.name, "zone", name, "err", err)
		return w.rec.opts.Decode.Zone
	}
	return zone
}

// take looks, stores what is missing, and makes the statement. Its error is why
// nothing new can be stated.
func (l *look) take(ctx context.Context) error {
	err := l.compare(ctx)
	if err == nil {
		err = l.plausible()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.count.filled > 0 {
		l.tell()
	}
	if saved := l.state(ctx, err); saved != nil {
		return errors.Join(err, saved)
	}
	return err
}

// compare goes through the lists, and leaves nothing of them missing.
func (l *look) compare(ctx context.Context) error {
	if err := l.w.audit.level(ctx); err != nil {
		return err
	}
	u := &upstream{
		settings: l.source.Settings, zone: l.zone, size: l.w.rec.opts.Size,
		timeout: l.w.rec.opts.Timeout, client: l.w.rec.client, limit: l.w.limit,
	}
	if err := l.alarms(ctx, u); err != nil {
		return err
	}
	if err := l.records(ctx, u); err != nil {
		return err
	}
	return l.store(ctx)
}

func (l *look) records(ctx context.Context, u *upstream) error {
	k := &walk{unit: time.Second, size: u.size, ask: u.records, take: l.taker(gatecast.Record)}
	from, to := l.from.Truncate(time.Second), l.start.Truncate(time.Second).Add(time.Second)
	if around := 3 * time.Hour; shifts(l.zone, from.Add(-around), to.Add(around)) {
		// Clocks are changed: an hour of these happens twice, or never, and what
		// the server makes of a time in it is anybody's guess.
		return k.leaf(ctx, from.Add(-around), to.Add(around))
	}
	return k.run(ctx, from, to)
}

// shifts reports whether a zone's clocks are changed between two times.
func shifts(zone *time.Location, from, to time.Time) bool {
	for t := from; t.Before(to); t = t.Add(day) {
		_, a := t.In(zone).Zone()
		next := t.Add(day)
		if next.After(to) {
			next = to
		}
		if _, b := next.In(zone).Zone(); a != b {
			return true
		}
	}
	return false
}

func (l *look) alarms(ctx context.Context, u *upstream) error {
	k := &walk{unit: day, size: u.size, ask: u.alarms, take: l.taker(gatecast.Alarm)}
	// A day more, for servers that take it for its first moment; and noon, which
	// is on its day whatever is done to clocks.
	return k.run(ctx, noon(l.alarmsFrom().In(l.zone)), noon(l.start.In(l.zone)).Add(day))
}

// alarmsFrom is when the oldest alarms that are looked for began.
func (l *look) alarmsFrom() time.Time {
	since := l.w.note.Since
	if since.IsZero() || l.from.Before(since) {
		since = l.from
	}
	if from := l.from.Add(-alarmAge); from.After(since) {
		return from
	}
	return since
}

func noon(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, t.Location())
}

// plausible returns why a list cannot be what it seems to be. A list that was
// asked for by times of the wrong zone looks as if nothing were missing.
func (l *look) plausible() error {
	const remedy = "check rest.zone of the source, and the server's clock"
	c := &l.count
	if c.records > 0 && c.astray == c.records {
		e := gatecast.Errorf(gatecast.Unavailable, "the server lists %d records, all of other times than it was asked for", c.records)
		e.Remedy = remedy
		return e
	}
	if c.records > 0 {
		return nil
	}
	for _, at := range l.w.audit.times {
		if at.After(l.from.Add(astray)) && at.Before(l.start.Add(-2*margin)) {
			e := gatecast.Errorf(gatecast.Unavailable, "the server lists no records at all, and has pushed one of %s", at.In(l.zone).Format(time.DateTime))
			e.Remedy = remedy
			return e
		}
	}
	return nil
}

// state makes the statement, writes it, and shows it when it is written. A
// statement that failed changes nothing but why.
func (l *look) state(ctx context.Context, failed error) error {
	w := l.w
	n := w.note
	n.Looked = l.start.Round(0).UTC()
	n.Filled += uint64(l.count.filled)
	n.Lost += uint64(l.count.lost)
	if n.First.IsZero() {
		n.First = n.Looked
	}
	if failed != nil {
		n.Error = explain(failed)
		n.Owed = l.owed()
	} else {
		n.Error = ""
		if c := l.count.nameless; c > 0 {
			n.Error = fmt.Sprintf("%d rows could not be understood; they are in the quarantine", c)
		}
		if n.Since.IsZero() || l.from.Before(n.Since) {
			n.Since = l.from.Round(0).UTC()
		}
		if through := l.start.Add(-margin).Round(0).UTC(); through.After(n.Through) {
			n.Through = through
		}
		n.Lost += l.gone()
		n.Owed = nil
	}
	lost := n.Lost - w.note.Lost
	if err := n.write(ctx, w.rec.opts.Notes, w.name); err != nil {
		// What was counted is true all the same.
		w.note.Filled, w.note.Lost, w.note.Looked, w.note.Error = n.Filled, n.Lost, n.Looked, explain(err)
		if gatecast.CodeOf(err) == gatecast.Conflict {
			w.retake(ctx)
		}
		w.publish()
		return err
	}
	w.note = n
	w.publish()
	w.rec.metrics.lost.WithLabelValues(w.name).Add(float64(lost))
	return nil
}

// explain puts an error into words for a statement.
func explain(err error) string {
	const most = 500
	text := err.Error()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

// owed is what was found and is not stored, with what was so before.
func (l *look) owed() *debt {
	d := &debt{From: l.from.Round(0).UTC()}
	if before := l.w.note.Owed; before != nil {
		d.Keys = append(d.Keys, before.Keys...)
		if before.From.Before(d.From) {
			d.From = before.From
		}
	}
	for i := range l.found {
		if k := l.found[i].key; k.Kind == gatecast.Record && len(d.Keys) < mostFound {
			d.Keys = append(d.Keys, k)
		}
	}
	if len(d.Keys) == 0 {
		return nil
	}
	return d
}

// gone counts what was owed and is listed no more.
func (l *look) gone() uint64 {
	if l.w.note.Owed == nil {
		return 0
	}
	n, counted := uint64(0), make(map[key]bool)
	for _, k := range l.w.note.Owed.Keys {
		if !counted[k] && !l.w.audit.has(k) {
			n++
		}
		counted[k] = true
	}
	return n
}

// tell says what was filled in, and that the source should have pushed it.
func (l *look) tell() {
	c := &l.count
	l.w.rec.opts.Log.Info("events that were not pushed have been filled in", "source", l.w.name,
		"events", c.filled, "oldest", c.oldest, "newest", c.newest)
	if c.doubtful > 0 {
		l.w.rec.opts.Suspect(l.w.name, fmt.Sprintf("%d events of the time since it was connected were not pushed", c.doubtful))
	}
}
