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

// Begin returns where a reader begins that asks for since; Unsaid counts as
// Latest. A position that means nothing in this journal (another epoch, or
// beyond its end) gives everything there is: what of it the reader has seen
// cannot be known, and twice is better than never.
func Begin(ctx context.Context, h History, since Since) (Start, error) {
	extent, err := h.Extent(ctx)
	if err != nil {
		return Start{}, fmt.Errorf("find what the journal holds: %w", err)
	}
	oldest := extent.First - 1
	switch since.Kind {
	case Earliest:
		return Start{After: oldest}, nil
	case AtTime:
		after, err := h.Since(ctx, since.Time)
		if err != nil {
			return Start{}, fmt.Errorf("find the events since %s: %w", since.Time.Format(time.RFC3339), err)
		}
		if after <= oldest && oldest > 0 {
			// What was removed may have been of that time as well.
			return Start{After: oldest, Gap: &gatecast.GapNotice{To: oldest, Reason: gatecast.GapRetention}}, nil
		}
		return Start{After: after}, nil
	case AfterSeq:
		return after(since, extent), nil
	case Unsaid, Latest:
	}
	return Start{After: extent.Last}, nil
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

// Return returns where a consumer begins that comes back with a cursor, if
// nothing stored before edge is to be sent to it; a zero edge is no bound.
func Return(ctx context.Context, h History, c gatecast.Cursor, edge time.Time) (Start, error) {
	start, err := Begin(ctx, h, Since{Kind: AfterSeq, Seq: c.Seq, Epoch: c.Epoch})
	if err != nil || edge.IsZero() {
		return start, err
	}
	bound, err := h.Since(ctx, edge)
	if err != nil {
		return Start{}, fmt.Errorf("find the events since %s: %w", edge.Format(time.RFC3339), err)
	}
	if bound <= start.After {
		return start, nil
	}
	if start.Gap == nil {
		start.Gap = &gatecast.GapNotice{From: c.Seq, Reason: gatecast.GapWindow}
	}
	start.After, start.Gap.To = bound, bound
	return start, nil
}
