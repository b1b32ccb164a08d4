// Package canary sends an event through the whole way now and then, and tells
// how long ago one arrived.
//
// It owns when that happens and what a lost one means. It never decides what the
// far end is (see Door), and its events are of a kind that nobody is sent who
// does not ask for it by name. Start at [Canary.Run].
package canary

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// Journal stores events.
type Journal interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
}

// Door is the far end: where clients get their events.
type Door interface {
	// Open begins to listen to the canaries of a device. Its error is
	// Unavailable, Unauthenticated or Forbidden if the door answers and lets
	// nobody in, and any other if it does not answer. The watcher ends with ctx.
	Open(ctx context.Context, device string) (Watcher, error)
}

// Watcher is an open door.
type Watcher interface {
	// Wait returns when an event with a position has come, or with ctx's error, or
	// when the door was closed.
	Wait(ctx context.Context, seq gatecast.Seq) error
	Close()
}

// Options tunes a Canary. The zero value suits.
type Options struct {
	Every   time.Duration // between two; default 1 min
	Timeout time.Duration // until one counts as lost; default 10 s, at most Every
	Log     *slog.Logger  // default: discard
}

func (o Options) withDefaults() Options {
	o.Every = cmp.Or(o.Every, time.Minute)
	o.Timeout = min(cmp.Or(o.Timeout, 10*time.Second), o.Every)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Canary sends them.
type Canary struct {
	journal Journal
	door    Door
	opts    Options
	device  string // this process's canaries
	number  int    // of them; Run's alone
	metrics *metrics

	// mu guards the fields below. It is held only to copy.
	mu      sync.Mutex
	arrived time.Time // the latest that came back was sent; at first, when it began
	lost    error     // why the latest did not; nil: it did
	busy    bool      // lost, because the door lets nobody in
}

// New makes a Canary. It sends nothing before [Canary.Run].
func New(j Journal, d Door, o Options) *Canary {
	c := &Canary{journal: j, door: d, opts: o.withDefaults(), device: "canary-" + rand.Text(), arrived: time.Now()}
	c.metrics = newMetrics(c)
	return c
}

// Run sends the first one after Options.Every, and goes on until ctx ends.
func (c *Canary) Run(ctx context.Context) error {
	tick := time.NewTicker(c.opts.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		sent := time.Now()
		busy, err := c.fly(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.back(sent, busy, err)
	}
}

// fly sends one, and waits until it comes out at the far end. busy tells that
// the far end let nobody in.
func (c *Canary) fly(ctx context.Context) (busy bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	watcher, err := c.door.Open(ctx, c.device)
	if err != nil {
		switch gatecast.CodeOf(err) {
		case gatecast.Unavailable, gatecast.Unauthenticated, gatecast.Forbidden, gatecast.TooMany:
			return true, fmt.Errorf("the event stream lets nobody in: %w", err)
		}
		return false, fmt.Errorf("the event stream cannot be reached: %w", err)
	}
	defer watcher.Close()
	now := time.Now()
	c.number++
	data, err := json.Marshal(map[string]any{"type": "canary", "number": c.number, "time": now.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return false, err
	}
	r, err := c.journal.Append(ctx, []gatecast.Event{{
		ID: c.device + "-" + strconv.Itoa(c.number), Kind: gatecast.Canary, Device: c.device, At: now, Source: "gatecast", Data: data,
	}})
	if err != nil {
		return false, fmt.Errorf("the journal did not take it: %w", err)
	}
	if err := watcher.Wait(ctx, r.Last); err != nil {
		return false, fmt.Errorf("it is in the journal at %d and did not come out of the event stream: %w", r.Last, err)
	}
	c.metrics.trip.Observe(time.Since(now).Seconds())
	return false, nil
}

// back takes note of what came of one.
func (c *Canary) back(sent time.Time, busy bool, err error) {
	c.mu.Lock()
	before := c.lost
	if c.lost, c.busy = err, busy; err == nil {
		c.arrived = sent
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		c.metrics.lost.Inc()
		c.opts.Log.Warn("a canary was lost", "err", err)
	case before != nil:
		c.opts.Log.Info("canaries come back again")
	}
}

// Age returns how long ago the latest one that came back was sent; before the
// first, since when they should.
func (c *Canary) Age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.arrived)
}

// overdue is after how many intervals without one somebody has to know.
const overdue = 3

// Ready returns why events do not arrive, or nil.
func (c *Canary) Ready() error { return c.fault(false) }

// Busy returns why it cannot be told whether events arrive, or nil: the door is
// full.
func (c *Canary) Busy() error { return c.fault(true) }

func (c *Canary) fault(busy bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.arrived)
	if age < overdue*c.opts.Every || c.lost == nil || c.busy != busy {
		return nil
	}
	return fmt.Errorf("none came back for %v; the latest was lost: %w", age.Round(time.Second), c.lost)
}

type metrics struct {
	age  prometheus.GaugeFunc
	trip prometheus.Histogram
	lost prometheus.Counter
}

func newMetrics(c *Canary) *metrics {
	return &metrics{
		age: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_canary_age_seconds", Help: "How long ago the latest canary that came back was sent.",
		}, func() float64 { return c.Age().Seconds() }),
		trip: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatecast_canary_trip_seconds", Help: "From append to the far end of an event stream.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_canary_lost_total", Help: "Canaries that did not come back in time."}),
	}
}

// Metrics returns the canary's collectors.
func (c *Canary) Metrics() []prometheus.Collector {
	return []prometheus.Collector{c.metrics.age, c.metrics.trip, c.metrics.lost}
}
