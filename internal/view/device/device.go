// Package device knows the devices that events come from, and what it means
// when one of them is silent.
//
// It owns the list of devices, the rhythm of each, and the states live, quiet,
// stale, dead and unknown. It is a reader of the hub like any other and never
// asks a device or a server anything; it never stores an event (see
// source/absence for the alarm that a device is offline). Start at
// [Tracker.Run], then read learn.go for what an event teaches, judge.go for what
// a silence means, and source.go for silences that are not the device's fault.
package device

import (
	"cmp"
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Hub reads the journal.
type Hub interface {
	Head() gatecast.Seq
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
	Listen() (moved <-chan struct{}, stop func())
	Extent(ctx context.Context) (gatecast.Extent, error)
}

// Journal stores events.
type Journal interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk; those whose ID it has are dropped.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
}

// Sources tells how the servers stand that events are taken from.
type Sources interface {
	// State returns how a source stands; its Status is empty for any other door.
	State(name string) gatecast.SourceState
	// Names returns the sources there are.
	Names() []string
}

// Parts is what a Tracker works with.
type Parts struct {
	Hub     Hub
	Journal Journal // for what is to be forgotten
	Sources Sources
}

// Options tunes a Tracker. The zero value suits, but for File.
type Options struct {
	File string         // what is known is kept in it; if it is lost, the journal is read again
	Zone *time.Location // of the site's weeks; default UTC
	Max  int            // devices that are known at once; for one more, that which was silent longest is forgotten; default 20,000

	Learn      time.Duration // how long a device is only listened to; default 7 days
	QuietAfter time.Duration // after such a silence a device is no longer live; default 1 h
	StaleAfter time.Duration // silences shorter than that mean nothing; default 10 min
	DeadAfter  time.Duration // a device that has been stale for so long is dead; default 24 h
	Missed     float64       // a device is stale when its silence happens by chance once in exp(Missed) weeks; default 6

	Every     time.Duration // between two judgements; default 5 s
	SaveEvery time.Duration // between two writes of File; default 5 min

	// Suspect is called when a source is connected and all its devices are silent
	// that should not be. It must not block. Default: nothing.
	Suspect func(name, why string)
	Log     *slog.Logger // default: discard
}

func (o Options) withDefaults() Options {
	o.Zone = cmp.Or(o.Zone, time.UTC)
	o.Max = cmp.Or(o.Max, 20_000)
	o.Learn = cmp.Or(o.Learn, week*time.Hour)
	o.QuietAfter = cmp.Or(o.QuietAfter, time.Hour)
	o.StaleAfter = cmp.Or(o.StaleAfter, 10*time.Minute)
	o.DeadAfter = cmp.Or(o.DeadAfter, 24*time.Hour)
	o.Missed = cmp.Or(o.Missed, 6)
	o.Every = cmp.Or(o.Every, 5*time.Second)
	o.SaveEvery = cmp.Or(o.SaveEvery, 5*time.Minute)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Suspect == nil {
		o.Suspect = func(string, string) {}
	}
	return o
}

// Tracker knows the devices.
type Tracker struct {
	Parts
	opts     Options
	calendar calendar
	metrics  *metrics
	changed  chan struct{} // closed and replaced when something was read; see await

	// mu guards the fields below. Only the goroutine of Run changes them, so that
	// one reads them without it. It is held only for work in memory.
	mu    sync.Mutex
	known known
	reading
	heard   []*device // of them, since the last judgement; cleared once everything there is has been read
	sources map[string]*source
	watched time.Time // since when silences are watched without a break
}

// reading is how far the journal has been read.
type reading struct {
	seq    gatecast.Seq // everything up to here has been taken in
	newest gatecast.Seq // of the records and alarms among it
	epoch  string       // of the journal that seq is a place in
	level  bool         // everything has been read that there was at the start
}

// known is the devices there are.
type known struct {
	devices map[string]*device
	order   *list.List // of *device, the latest heard of first
}

func newKnown() known { return known{devices: map[string]*device{}, order: list.New()} }

// New makes a Tracker. It knows nothing before [Tracker.Run].
func New(p Parts, o Options) *Tracker {
	o = o.withDefaults()
	t := &Tracker{
		Parts: p, opts: o, calendar: calendar{o.Zone}, changed: make(chan struct{}),
		known: newKnown(), sources: map[string]*source{},
	}
	t.metrics = newMetrics(t)
	return t
}
