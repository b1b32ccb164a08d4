package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/receiver"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// deadTurns is how often it is measured without and with dead endpoints, by
// turns.
const deadTurns = 5

// deadOf: one endpoint of so many is dead.
const deadOf = 20

// hookDead is what the subscribers whose endpoints work notice of others whose
// endpoints do not: half of those refuse connections, half never answer.
func hookDead(ctx context.Context, l *lab) error {
	n := cmp.Or(l.opts.Subscriptions, 1000)
	dead := max(1, n/deadOf)
	if err := l.files(4 * n); err != nil {
		return err
	}
	m, err := l.mail(ctx, n-dead, func(int) subject.Subscription { return subject.Subscription{} })
	if err != nil {
		return err
	}
	graves, err := m.bury(ctx, dead)
	if err != nil {
		return err
	}
	t := &turns{mail: m, graves: graves, rate: cmp.Or(l.opts.Rate, 3), length: cmp.Or(l.opts.For, 3*time.Second)}
	t.without, t.with = newLateness(), newLateness()
	warm := newLateness()
	if err := t.follow(ctx, time.Second, &warm); err != nil { // all connections are open then
		return err
	}
	for turn := range deadTurns {
		l.tell("%s events/s to %s subscriptions, without and with %s dead, turn %d of %d", number(t.rate), thousands(int64(n-dead)), thousands(int64(dead)), turn+1, deadTurns)
		if err := t.turn(ctx, turn); err != nil {
			return err
		}
	}
	return t.report(ctx, n, dead)
}

// bury makes subscriptions with dead endpoints. They are paused.
func (m *mail) bury(ctx context.Context, n int) (ids []string, err error) {
	refuses, err := receiver.Refuse("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.later(refuses.Close)
	silent, err := receiver.Silent()
	if err != nil {
		return nil, err
	}
	m.later(silent.Close)
	urls := []string{silent.URL(), refuses.URL()}
	var wanted []subject.Subscription
	for i := range n {
		wanted = append(wanted, subject.Subscription{URL: urls[i%len(urls)] + fmt.Sprint(i), Description: "gatecast bench, dead"})
	}
	if ids, err = m.subscribe(ctx, wanted); err != nil {
		return nil, err
	}
	return ids, m.server.Pause(ctx, ids...)
}

// turns measures by turns without and with dead endpoints.
type turns struct {
	*mail
	graves []string // subscriptions with dead endpoints
	rate   float64
	length time.Duration

	without, with lateness
	memory        int64 // bytes, at most
	files         int   // at most
}

// lateness is how long events took from when they were due, in µs for all
// deliveries together, and in ms until 99 % of the subscriptions had an event.
type lateness struct {
	all  *hdrhistogram.Histogram
	each []float64 // one for each event
}

func newLateness() lateness { return lateness{all: newHistogram()} }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(patience/time.Microsecond), 3)
}

func (l *lateness) add(event *hdrhistogram.Histogram) {
	l.all.Merge(event)
	l.each = append(l.each, ms(event, 99))
}

// turn measures both, in turn one or the other first: what grows or settles
// meanwhile meets both.
func (t *turns) turn(ctx context.Context, number int) error {
	if number%2 == 0 {
		if err := t.follow(ctx, t.length, &t.without); err != nil {
			return err
		}
		return t.followBesideDead(ctx)
	}
	if err := t.followBesideDead(ctx); err != nil {
		return err
	}
	return t.follow(ctx, t.length, &t.without)
}

func (t *turns) followBesideDead(ctx context.Context) error {
	if err := t.server.Resume(ctx, t.graves...); err != nil {
		return fmt.Errorf("resume those with dead endpoints: %w", err)
	}
	if err := t.follow(ctx, t.length, &t.with); err != nil {
		return err
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	return t.server.Pause(ctx, t.graves...)
}

func (t *turns) look(ctx context.Context) error {
	u, err := t.server.Usage(ctx)
	if err != nil {
		return err
	}
	files, err := t.server.OpenFiles(ctx)
	t.memory, t.files = max(t.memory, u.Resident), max(t.files, files)
	return err
}

// follow sends events by a timetable for a time, and returns when they have come
// to all inboxes.
func (t *turns) follow(ctx context.Context, length time.Duration, took *lateness) error {
	var conns []*load.Poster
	for range 4 {
		p, err := load.Dial(ctx, target(t.server))
		if err != nil {
			return err
		}
		defer p.Close()
		conns = append(conns, p)
	}
	events, first := max(1, int(t.rate*length.Seconds())), t.sender.last+1
	every := time.Duration(float64(time.Second) / t.rate)
	table := load.Timetable{Start: time.Now().Add(100*time.Millisecond - time.Duration(first-1)*every), Every: every}
	if err := sendByTable(ctx, conns, t.sender.events, table, first, events); err != nil {
		return err
	}
	t.sender.last += uint64(events)
	if err := t.arrive(ctx, events); err != nil {
		return err
	}
	for n := first; n < first+uint64(events); n++ {
		took.add(t.latenessOf(n, table.Due(n)))
	}
	return nil
}

// latenessOf returns how long an event took to each inbox, in µs.
func (t *turns) latenessOf(n uint64, due time.Time) *hdrhistogram.Histogram {
	h := newHistogram()
	for i := range t.ids {
		late := t.receiver.Started().Add(t.receiver.Inbox(i).Entry(n).First).Sub(due)
		_ = h.RecordValue(min(max(1, late.Microseconds()), h.HighestTrackableValue()))
	}
	return h
}

func (t *turns) report(ctx context.Context, n, dead int) error {
	if _, err := t.audit(gatecast.OrderNone); err != nil {
		return err
	}
	t.tellOf(fmt.Sprintf("%s events/s to %s subscriptions", number(t.rate), thousands(int64(n-dead))), &t.without, "each event goes to all at once")
	what := fmt.Sprintf("the same beside %s dead endpoints", thousands(int64(dead)))
	t.tellOf(what, &t.with, "half of them refuse, half never answer")
	t.found(Figure{What: what + ", the latter of that without", Target: "P7", Value: middleOf(t.with.each) / middleOf(t.without.each), Unit: "x", Want: atMost(1.1)})
	t.found(Figure{What: fmt.Sprintf("server memory with %s subscriptions, at most", thousands(int64(n))), Value: float64(t.memory) / (1 << 20), Unit: "MiB"})
	t.found(Figure{What: fmt.Sprintf("open files of the server with %s subscriptions, at most", thousands(int64(n))), Value: float64(t.files)})
	return ctx.Err()
}

func (t *turns) tellOf(what string, l *lateness, note string) {
	t.latencies(l.all, what, "", 0, 0)
	t.found(Figure{What: what + ", until 99 % have the event", Value: middleOf(l.each), Unit: "ms", Note: fmt.Sprintf("the median of %d events; %s", len(l.each), note)})
}
