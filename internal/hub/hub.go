// Package hub keeps the newest events in memory for everybody who reads live.
//
// It owns one ring and the news that it has moved. It keeps no queue per
// reader: a reader is a position, and whoever falls off the ring reads the
// journal until it is back on it. The hub never stores events (see journal)
// and never learns a wire format (see transport). Start at [Hub.Listen] and [Hub.Window].
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// Journal is the part of the durable log that the hub needs.
type Journal interface {
	// Extent tells what the journal holds now.
	Extent(ctx context.Context) (gatecast.Extent, error)
	// Since returns the position after which everything was stored at t or later.
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
	// Read returns up to max events after a position without blocking, or a
	// Gap error if some of them are gone.
	Read(ctx context.Context, after gatecast.Seq, max int) ([]gatecast.Event, error)
	// Follow yields every event after a position, in order, as it is stored.
	Follow(ctx context.Context, after gatecast.Seq) gatecast.Stream
}

// Options tunes a Hub. The zero value suits a site of any usual size.
type Options struct {
	// Ring is how many of the newest events stay in memory; default 8192.
	// A reader further behind than that reads the journal: late, never lost.
	Ring int
	// RingBytes is how much data the events in the ring may have together;
	// default 128 MiB. When it is reached the ring holds fewer events than Ring,
	// but always the newest.
	RingBytes int
	// Retry is the pause before the journal is asked again after it failed;
	// default 250 ms.
	Retry time.Duration
	Log   *slog.Logger // default: discard
}

func (o Options) withDefaults() Options {
	o.Ring = cmp.Or(o.Ring, 8192)
	o.RingBytes = cmp.Or(o.RingBytes, 128<<20)
	o.Retry = cmp.Or(o.Retry, 250*time.Millisecond)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Hub is the one reader of the journal on this node.
type Hub struct {
	journal Journal
	opts    Options
	ring    *ring
	bell    bell
	broken  atomic.Pointer[error] // why the journal cannot be followed; nil while it can
}

// New makes a Hub that stands at the journal's newest event, with those before
// it in memory as far as the ring holds them and the journal can be read now.
func New(ctx context.Context, j Journal, o Options) (*Hub, error) {
	o = o.withDefaults()
	extent, err := j.Extent(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the journal's newest event: %w", err)
	}
	h := &Hub{journal: j, opts: o, ring: newRing(o.Ring, extent.Last)}
	h.ring.maxBytes = o.RingBytes
	h.prefill(ctx, extent)
	return h, nil
}

// Run follows the journal until ctx ends. A journal that fails is asked again
// and again from where the ring ends, so that no reader notices more than the
// delay.
func (h *Hub) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := h.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		h.broken.Store(&err)
		h.opts.Log.Error("following the journal failed, trying again", "after", h.Head(), "err", err)
		if gatecast.CodeOf(err) == gatecast.Gap {
			if err := h.jump(ctx); err != nil {
				h.opts.Log.Error("reading the journal's extent failed", "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(h.opts.Retry):
		}
	}
	return ctx.Err()
}

// follow moves the ring along until the journal's stream ends. After a failure
// it asks whether the journal can be read before it waits for the next event:
// nobody sends one to a server that does not call itself healthy.
func (h *Hub) follow(ctx context.Context) error {
	if h.broken.Load() != nil {
		if _, err := h.journal.Read(ctx, h.ring.head(), 1); err != nil {
			return err
		}
		h.broken.Store(nil)
	}
	for ev, err := range h.journal.Follow(ctx, h.ring.head()) {
		if err != nil {
			return err
		}
		h.ring.push(&ev)
		h.bell.ring()
	}
	return errors.New("the journal's stream ended")
}

// jump moves the ring to what the journal still holds when the events after
// its end are gone, as after a retention that overtook a long outage. Readers
// that stood before them get the Gap from the journal.
func (h *Hub) jump(ctx context.Context) error {
	extent, err := h.journal.Extent(ctx)
	if err != nil {
		return err
	}
	h.ring.reset(extent.First - 1)
	h.bell.ring()
	return nil
}

// Healthy returns why events do not flow from the journal, or nil.
func (h *Hub) Healthy() error {
	if err := h.broken.Load(); err != nil {
		return fmt.Errorf("follow the journal: %w", *err)
	}
	return nil
}

// Head returns the newest event's position.
func (h *Hub) Head() gatecast.Seq { return h.ring.head() }

// Metrics returns the hub's collectors.
func (h *Hub) Metrics() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_hub_head_seq",
			Help: "Position of the newest event that readers can see.",
		}, func() float64 { return float64(h.Head()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_hub_listeners",
			Help: "Listeners that are woken by new events.",
		}, func() float64 { return float64(h.bell.count()) }),
	}
}
