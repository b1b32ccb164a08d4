package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	page       = 256             // events read at a time
	mostSpans  = 1 << 20         // of one set, 16 MiB; beyond it the lowest numbers are forgotten
	mostSets   = 16              // states of alarms that are kept; the vendor has 3
	mostRecent = 16              // records
	slack      = 5 * time.Second // around the making of a source, for clocks that do not agree
	glance     = time.Second     // how long news of the journal may stay away before it is looked at anyway
)

// audit is what the journal has of a source, by the vendor's numbers. It is a
// reader of the journal like any other, but counts only what was stored since
// the source was made: one of the same name before may have been another server.
//
// What was stored and removed again by retention still counts: it was here. If
// Options and traffic are such that a set has more than mostSpans spans, its
// lowest numbers are forgotten; should the source still list them, they are
// stored once more, for too often is better than never.
//
// It belongs to one goroutine.
type audit struct {
	hub     Hub
	source  string
	created time.Time
	epoch   string
	seq     gatecast.Seq   // complete up to here
	sets    map[set]*spans // at most mostSets
	recent  []sighting     // the newest records that have a time, at most mostRecent
	dirty   bool           // something is not in the file
	log     func(msg string, args ...any)
}

// set names one row of numbers: records, or one state of alarms.
type set struct {
	kind   gatecast.Kind
	status int64
}

// has reports whether an event is in the journal.
func (a *audit) has(k key) bool {
	s := a.sets[set{k.Kind, k.Status}]
	return s != nil && s.has(k.ID)
}

// note takes in an event of the journal.
func (a *audit) note(ev *gatecast.Event) {
	if ev.Source != a.source {
		return
	}
	k, ok := keyOf(a.source, ev.ID)
	if !ok {
		return
	}
	name := set{k.Kind, k.Status}
	if a.sets[name] == nil {
		if len(a.sets) >= mostSets {
			return
		}
		a.sets[name] = &spans{most: mostSpans}
	}
	a.sets[name].add(k.ID)
	if k.Kind == gatecast.Record && !ev.At.IsZero() {
		if len(a.recent) >= mostRecent {
			a.recent = slices.Delete(a.recent, 0, 1)
		}
		a.recent = append(a.recent, sighting{k.ID, ev.At})
	}
}

// level waits until everything that is in the journal now has been read.
func (a *audit) level(ctx context.Context) error {
	extent, err := a.hub.Extent(ctx)
	if err != nil {
		return fmt.Errorf("ask the journal for its newest event: %w", err)
	}
	moved, stop := a.hub.Listen()
	defer stop()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		if err := a.advance(ctx); err != nil || a.seq >= extent.Last {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		case <-tick.C:
		}
	}
}

// advance reads what the hub has.
func (a *audit) advance(ctx context.Context) error {
	buf := make([]*gatecast.Event, 0, page)
	for {
		head := a.hub.Head()
		events, err := a.hub.Read(ctx, a.seq, buf)
		if gatecast.CodeOf(err) == gatecast.Gap {
			if err = a.leap(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("read the journal after %d: %w", a.seq, err)
		}
		before := a.seq
		for _, ev := range events {
			a.note(ev)
			a.seq = ev.Seq
		}
		if len(events) == 0 {
			a.seq = max(a.seq, head) // between them there are only holes
		}
		a.dirty = a.dirty || a.seq != before
		if len(events) == 0 {
			return nil
		}
	}
}

// leap goes on with the oldest event there is when retention has removed the
// next ones.
func (a *audit) leap(ctx context.Context) error {
	extent, err := a.hub.Extent(ctx)
	if err != nil {
		return err
	}
	if extent.First <= a.seq+1 {
		return gatecast.Errorf(gatecast.Unavailable, "events are missing behind %d", a.seq)
	}
	a.log("retention has removed events before it was known which they were; what the source still has of them comes once more",
		"source", a.source, "after", a.seq, "up_to", extent.First-1)
	a.seq, a.dirty = extent.First-1, true
	return nil
}
