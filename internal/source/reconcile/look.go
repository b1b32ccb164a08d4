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
	doubts
}

// doubts is what a look knows of the worth of what it is answered.
type doubts struct {
	unproven bool              // nothing has been stated by these settings yet
	rubbish  map[[32]byte]bool // rows that could not be understood; at most mostAside, beyond it they are counted with each pass
	clock    clock             // of the source
	seen     seen
	proven   sighting // listed when it was asked for just its time; zero: none was
	reason   string   // why nothing is stated though all went well; empty: it is
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
	l.rubbish = make(map[[32]byte]bool)
	l.unproven = w.note.Proof.Settings != w.print(src)
	o := w.rec.opts.Decode
	o.Zone, o.Source, o.Unknown = l.zone, src.Name, nil // a row comes again and again
	o.MaxBody = max(o.MaxBody, mostAnswer)
	l.decoder = senselink.NewDecoder(o)
	back := src.Settings.REST.Lookback
	n := &w.note
	switch {
	case l.unproven, demanded:
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

// print is that of a source's settings.
func (w *worker) print(src *gatecast.Source) string {
	return settingsPrint(&src.Settings, w.zone(src))
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
	u := l.upstream()
	err := l.compare(ctx, u)
	if err == nil {
		l.reason, err = l.prove(ctx, u)
	}
	if ctx.Err() != nil {
		l.brokenOff(ctx)
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

func (l *look) upstream() *upstream {
	o := &l.w.rec.opts
	return &upstream{
		settings: l.source.Settings, zone: l.zone, size: o.Size,
		timeout: o.Timeout, client: l.w.rec.client, limit: l.w.limit, clock: &l.clock,
	}
}

// compare goes through the lists, and leaves nothing of them missing.
func (l *look) compare(ctx context.Context, u *upstream) error {
	if err := l.w.audit.level(ctx); err != nil {
		return err
	}
	l.know()
	if err := l.alarms(ctx, u); err != nil {
		return err
	}
	if err := l.records(ctx, u); err != nil {
		return err
	}
	if err := l.store(ctx); err != nil || l.deep || !l.gapped() {
		return err
	}
	l.deep = true
	if from := l.start.Add(-min(l.source.Settings.REST.Lookback, deepMost)); from.Before(l.from) {
		l.from = from
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
		if err := k.leaf(ctx, from.Add(-around), to.Add(around)); err != nil {
			return err
		}
	} else if err := k.run(ctx, from, to); err != nil {
		return err
	}
	// What is listed there is of a device or a server whose clock is ahead. Of a
	// server that takes the question to be of another zone it is what was missed
	// before.
	return k.run(ctx, to, to.Add(widest))
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

// state makes the statement, writes it, and shows it when it is written. A look
// that failed, or that proved nothing, changes nothing but why.
func (l *look) state(ctx context.Context, failed error) error {
	w := l.w
	n := w.note
	n.Looked = l.start.Round(0).UTC()
	n.Filled += uint64(l.count.filled)
	n.Lost += uint64(l.count.lost)
	if n.First.IsZero() {
		n.First = n.Looked
	}
	n.Error, n.Proof.Lacking, n.Aside = "", "", uint64(l.count.nameless)
	switch {
	case failed != nil:
		n.Error, n.Owed = explain(failed), l.owed()
	case l.reason != "":
		n.Proof.Lacking = l.reason
		l.asked(&n)
	default:
		l.complete(&n)
	}
	lost := n.Lost - w.note.Lost
	if err := n.write(ctx, w.rec.opts.Notes, w.name); err != nil {
		// What was counted is true all the same.
		w.note.counts, w.note.Looked, w.note.Error = n.counts, n.Looked, explain(err)
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

// brokenOff takes note of what a look has found that is not taken to its end:
// what it stored is stored, and what it owes may be gone when it is asked for
// again.
func (l *look) brokenOff(ctx context.Context) {
	const most = time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	n := l.w.note
	n.Filled += uint64(l.count.filled)
	n.Lost += uint64(l.count.lost)
	n.Owed = l.owed()
	if err := n.write(ctx, l.w.rec.opts.Notes, l.w.name); err != nil {
		l.w.rec.opts.Log.Warn("what a look had found is not on disk", "source", l.w.name, "err", err)
		return
	}
	l.w.note = n
}

// complete states that nothing is missing.
func (l *look) complete(n *note) {
	if l.unproven && n.Proof.Settings != "" {
		n.Through, n.Since = time.Time{}, time.Time{} // they are of another server, as far as is known
	}
	l.asked(n)
	// If the source's clock was set back, what comes is older than what was
	// said to be complete.
	back := l.clock.told && l.clock.latest(l.start).Before(n.Through)
	if through := l.clock.earliest(l.start).Add(-l.w.rec.opts.Margin).Round(0).UTC(); through.After(n.Through) || back {
		n.Through = through
	}
	n.Proof = proof{Settings: l.w.print(l.source), Record: l.proven}
	if l.proven.ID == 0 {
		n.Proof.Record = l.w.note.Proof.Record
	}
	gone := l.gone()
	n.Owed, n.Lost, n.Gone = nil, n.Lost+gone, n.Gone+gone
	l.gaps(n)
}

// asked takes note of how far back the look went.
func (l *look) asked(n *note) {
	if n.Since.IsZero() || l.from.Before(n.Since) {
		n.Since = l.from.Round(0).UTC()
	}
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
