package hub

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// Listen returns a channel that yields a token when the ring has moved, and a
// function that ends it. One token may stand for many events: the listener
// reads until it finds nothing more.
func (h *Hub) Listen() (moved <-chan struct{}, stop func()) {
	c := h.bell.listen()
	return c, func() { h.bell.leave(c) }
}

// Window appends to buf, up to its capacity, the events after a position. It
// never blocks and allocates nothing. It reports false if the ring no longer
// holds all of them: then [Hub.Read] goes on from the journal.
func (h *Hub) Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	return h.ring.window(after, buf)
}

// Floor returns the position after which the ring holds every event.
func (h *Hub) Floor() gatecast.Seq { return h.ring.base() }

// Read appends to buf, up to its capacity, the events after a position, from
// the ring if it holds them and else from the journal. It does not wait for
// events to come. A Gap error says that the next ones are lost.
func (h *Hub) Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	if buf, ok := h.ring.window(after, buf); ok {
		return buf, nil
	}
	events, err := h.journal.Read(ctx, after, cap(buf)-len(buf))
	if err != nil {
		return buf, err
	}
	for i := range events {
		buf = append(buf, &events[i])
	}
	return buf, nil
}

// Extent tells what the journal holds now.
func (h *Hub) Extent(ctx context.Context) (gatecast.Extent, error) { return h.journal.Extent(ctx) }

// Since returns the position after which everything was stored at t or later,
// as the journal has it.
func (h *Hub) Since(ctx context.Context, t time.Time) (gatecast.Seq, error) {
	return h.journal.Since(ctx, t)
}
