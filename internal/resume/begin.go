package resume

import (
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// History is the part of the journal that decides where a reader can begin.
type History interface {
	// Extent tells what the journal holds now.
	Extent(ctx context.Context) (gatecast.Extent, error)
	// Since returns the position after which everything was stored at t or
	// later.
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
}

// Start is where a reader begins: after a position, with a notice if that is
// not where it wanted to.
type Start struct {
	After gatecast.Seq
	Gap   *gatecast.GapNotice // nil if nothing is lost
}

// Begin returns where a reader begins that asks for since, if nothing stored
// before edge is for it; a zero edge is no bound. Unsaid counts as Latest. A
// position that means nothing in this journal (another epoch, or beyond its
// end) gives everything there is: what of it the reader has seen cannot be
// known, and twice is better than never.
func Begin(ctx context.Context, h History, since Since, edge time.Time) (Start, error) {
	extent, err := h.Extent(ctx)
	if err != nil {
		return Start{}, fmt.Errorf("find what the journal holds: %w", err)
	}
	var start Start
	switch since.Kind {
	case Unsaid, Latest:
		return Start{After: extent.Last}, nil
	case Earliest:
		start.After = extent.First - 1
	case AtTime:
		start, err = at(ctx, h, since.Time, extent)
	case AfterSeq:
		start = after(since, extent)
	}
	if err != nil || edge.IsZero() {
		return start, err
	}
	return bound(ctx, h, start, since, edge)
}

// at returns the start of who asks for a time. Events that were removed may
// have been of that time as well.
func at(ctx context.Context, h History, t time.Time, extent gatecast.Extent) (Start, error) {
	after, err := h.Since(ctx, t)
	if err != nil {
		return Start{}, fmt.Errorf("find the events since %s: %w", t.Format(time.RFC3339), err)
	}
	oldest := extent.First - 1
	if after <= oldest && oldest > 0 {
		return Start{After: oldest, Gap: &gatecast.GapNotice{To: oldest, Reason: gatecast.GapRetention}}, nil
	}
	return Start{After: after}, nil
}

func after(since Since, extent gatecast.Extent) Start {
	oldest := extent.First - 1
	gap := func(reason gatecast.Reason) Start {
		return Start{After: oldest, Gap: &gatecast.GapNotice{From: since.Seq, To: oldest, Reason: reason}}
	}
	switch {
	case since.Epoch != "" && since.Epoch != extent.Epoch:
		return gap(gatecast.GapEpoch)
	case since.Seq > extent.Last:
		return gap(gatecast.GapAhead)
	case since.Seq < oldest:
		return gap(gatecast.GapRetention)
	}
	return Start{After: since.Seq}
}

// bound moves a start forward to an edge. Who asks for the earliest event gets
// the earliest that is for it, and loses nothing.
func bound(ctx context.Context, h History, start Start, since Since, edge time.Time) (Start, error) {
	first, err := h.Since(ctx, edge)
	if err != nil {
		return Start{}, fmt.Errorf("find the events since %s: %w", edge.Format(time.RFC3339), err)
	}
	if first <= start.After {
		return start, nil
	}
	if start.Gap == nil && since.Kind != Earliest {
		start.Gap = &gatecast.GapNotice{From: start.After, Reason: gatecast.GapWindow}
	}
	if start.After = first; start.Gap != nil {
		start.Gap.To = first
	}
	return start, nil
}
