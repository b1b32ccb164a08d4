package hub

import (
	"context"
	"slices"

	"github.com/gatecast/gatecast"
)

// prefillPage is how many positions are read at a time, backwards from the
// end. It bounds what is read and then does not fit: one page.
const prefillPage = 64

// prefill puts the newest events into the ring, as many as it may hold, so that
// after a restart those who come back are served from memory. The ring
// stands at the journal's newest event in any case: a journal that cannot be
// read now leaves less in it, or nothing, and readers try for themselves.
func (h *Hub) prefill(ctx context.Context, x gatecast.Extent) {
	pages, floor, err := h.newest(ctx, x)
	// Behind a Gap retention was faster: there is nothing more to be had.
	if err != nil && gatecast.CodeOf(err) != gatecast.Gap {
		h.opts.Log.Warn("reading the newest events failed; those who come back read the journal", "up to", floor, "err", err)
	}
	h.ring.fill(floor, x.Last, pages)
}

// newest reads pages from the end until the ring is full, and returns them,
// the newest first, with the position after which they are complete.
func (h *Hub) newest(ctx context.Context, x gatecast.Extent) (pages [][]gatecast.Event, floor gatecast.Seq, err error) {
	floor = x.Last
	events, bytes := 0, 0
	for floor >= x.First && events < h.opts.Ring && bytes < h.opts.RingBytes {
		from := max(x.First-1, floor-min(floor, prefillPage))
		page, err := h.page(ctx, from, floor)
		if err != nil {
			return pages, floor, err
		}
		pages, floor = append(pages, page), from
		if len(page) == 0 {
			break // a hole, and who knows how wide
		}
		events += len(page)
		for i := range page {
			bytes += len(page[i].Data)
		}
	}
	return pages, floor, nil
}

// page reads the events after a position up to another one.
func (h *Hub) page(ctx context.Context, after, upTo gatecast.Seq) ([]gatecast.Event, error) {
	var page []gatecast.Event
	for after < upTo {
		events, err := h.journal.Read(ctx, after, int(upTo-after))
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			break // only holes are left
		}
		after = events[len(events)-1].Seq
		page = append(page, events...)
	}
	// Across a hole a read goes beyond the page.
	return slices.DeleteFunc(page, func(e gatecast.Event) bool { return e.Seq > upTo }), nil
}
