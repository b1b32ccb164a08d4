package sse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	page  = 256                    // events asked of the journal at a time
	held  = 1 << 20                // bytes of fetched events that a stream holds; the rest is fetched again
	guess = 128 << 10              // bytes of a page, before there was one
	pause = 250 * time.Millisecond // before a journal that failed is asked again
)

// backlog is what a stream has fetched and not written yet: at most a page,
// and hardly more than held, however large events are and however long the
// reader takes.
type backlog struct {
	events []*gatecast.Event
	page   []*gatecast.Event // what they are fetched into
	price  int               // bytes expected of the next page
	debt   int               // bytes of earlier pages beyond what was expected
	failed bool              // the journal could not be read the last time
}

// fetched takes events in that were fetched into the page.
func (b *backlog) fetched(events []*gatecast.Event) {
	n, bytes := 0, 0
	for n < len(events) && bytes < held {
		bytes += len(events[n].Data)
		n++
	}
	clear(events[n:])
	b.events = events[:n]
}

// sent forgets the first n events.
func (b *backlog) sent(n int) {
	clear(b.events[:n])
	b.events = b.events[n:]
}

// paid keeps account of a page that was read.
func (b *backlog) paid(bytes int) {
	b.debt = bytes - b.price
	b.price = bytes
}

// fetch gets the next events, from the ring if it has them. It reports whether
// there may be more, even if it got none.
func (st *stream) fetch(ctx context.Context) (more bool, err error) {
	b := &st.backlog
	events, ok := st.server.ring.Window(st.pos(), b.page[:0:batch])
	st.state.far.Store(!ok)
	if ok {
		b.fetched(events)
		return len(events) > 0, nil
	}
	turn, err := st.awaitTurn(ctx)
	if err != nil {
		return false, err
	}
	events, err = st.server.library.read(ctx, turn, st.pos(), b.page[:0])
	if gatecast.CodeOf(err) == gatecast.Gap {
		var extent gatecast.Extent
		if extent, err = st.overtaken(ctx); err == nil {
			return true, st.skip(ctx, extent)
		}
	}
	if err == nil && len(events) == 0 {
		err = errNothing
	}
	if err != nil {
		return true, st.fail(ctx, err)
	}
	b.paid(sizeOf(events))
	b.fetched(events)
	b.failed = false
	return true, nil
}

// errNothing is a journal that has no more events where the ring, which is fed
// by it, says that there are some.
var errNothing = errors.New("the journal has nothing after a position that the ring has left behind")

// awaitTurn pays for a page and waits in the queue of the journal's readers.
func (st *stream) awaitTurn(ctx context.Context) (*ticket, error) {
	if wait := st.server.library.pay(st.backlog.price + st.backlog.debt); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		if err := await(ctx, st, timer.C); err != nil {
			return nil, err
		}
	}
	queue := st.server.library.readers
	for t := queue.enter(); ; {
		select {
		case <-t.turn:
			return t, nil
		case <-ctx.Done():
			queue.leave(t)
			return nil, context.Cause(ctx)
		case <-st.beat.C:
			if !queue.away(t) {
				return t, nil // a page comes instead of this heartbeat
			}
			if err := st.keepAlive(ctx); err != nil {
				queue.leave(t)
				return nil, err
			}
			queue.back(t)
		}
	}
}

// overtaken returns what the journal holds when that is no longer what comes
// after the stream's position.
func (st *stream) overtaken(ctx context.Context) (gatecast.Extent, error) {
	extent, err := st.server.library.history.Extent(ctx)
	if err != nil {
		return extent, fmt.Errorf("find what the journal holds: %w", err)
	}
	if extent.First <= st.pos()+1 {
		return extent, fmt.Errorf("the journal refuses to read after %d, and holds %d to %d", st.pos(), extent.First, extent.Last)
	}
	return extent, nil
}

// skip goes on with the oldest event that is left, and tells the reader so.
func (st *stream) skip(ctx context.Context, extent gatecast.Extent) error {
	gap := &gatecast.GapNotice{From: st.pos(), To: extent.First - 1, Reason: gatecast.GapRetention}
	st.server.metrics.gap(gap)
	st.server.opts.Log.Warn("a slow event stream lost events to retention",
		"app", st.caller.app, "from", st.caller.remote, "after", gap.From, "up_to", gap.To)
	st.state.pos.Store(uint64(gap.To))
	st.told = gap.To
	st.buf = appendGap(st.buf[:0], gap, extent.Last, st.extent.Epoch)
	return st.out.write(ctx, st.buf)
}

// fail waits a little before the journal is asked again. The first failure of
// a row is logged.
func (st *stream) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !st.backlog.failed {
		st.server.opts.Log.Error("reading the journal for an event stream failed, trying again",
			"app", st.caller.app, "after", st.pos(), "err", err)
	}
	st.backlog.failed = true
	timer := time.NewTimer(pause)
	defer timer.Stop()
	return await(ctx, st, timer.C)
}
