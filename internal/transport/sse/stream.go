package sse

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
)

const (
	batch = 64        // events that go out in one write at most
	fill  = 64 << 10  // bytes after which no further event is added to a write
	spare = 256 << 10 // a buffer that has grown beyond this by one large event is not kept
)

// homecoming is the time over which the readers come back that a stopping
// server has sent away.
const homecoming = 5 * time.Second

// stream is one reader: a position, and a little of what comes after it. It
// lives in its handler's goroutine. Others look at state and at what does not
// change once the stream is listed.
type stream struct {
	server  *Server
	caller  caller
	wanted  gatecast.Filter // what it asked for, within what its caller may see
	out     *outlet
	start   resume.Start
	extent  gatecast.Extent // of the journal, when the stream began
	cancel  context.CancelCauseFunc
	state   state
	beat    *time.Ticker
	backlog backlog
	told    gatecast.Seq // what the reader has as its Last-Event-ID
	buf     []byte       // what is written next; see fill
}

// caller is who reads.
type caller struct {
	app       string // key; empty for a token's
	remote    string // IP address and port
	connected time.Time
	mayRead   func() bool     // asks for a token again; nil for an app
	view      gatecast.Filter // what it may see now
}

// state is what others may see of a stream at work.
type state struct {
	pos    atomic.Uint64 // newest event sent, or passed over by a filter
	stored atomic.Int64  // when that was accepted, in Unix milliseconds; 0 before the first
	events atomic.Uint64 // sent
	far    atomic.Bool   // it reads the journal, being off the ring
}

func (st *stream) pos() gatecast.Seq { return gatecast.Seq(st.state.pos.Load()) }

// serve lives a stream's life. It returns nil after a gentle end, a cut, or the
// error of a reader that is gone.
func (st *stream) serve(ctx context.Context) error {
	defer st.out.abortWith(ctx)()
	st.beat = time.NewTicker(st.server.opts.Heartbeat)
	defer st.beat.Stop()
	if err := st.greet(ctx); err != nil {
		return err
	}
	return st.run(ctx)
}

// greet tells the reader where it begins.
func (st *stream) greet(ctx context.Context) error {
	b := append(appendRetry(st.buf[:0], reconnect), '\n')
	if st.start.Gap != nil {
		b = appendGap(b, st.start.Gap, st.extent.Last, st.extent.Epoch)
	} else {
		b = appendResumed(b, st.start.After, st.extent.Last, st.extent.Epoch)
	}
	st.buf, st.told = b, st.start.After
	return st.out.write(ctx, b)
}

// run sends what there is and waits for more, by turns.
func (st *stream) run(ctx context.Context) error {
	now := make(chan struct{})
	close(now)
	for {
		moved := st.server.bell.listen()
		if err := st.heed(); err != nil {
			return err
		}
		more, err := st.round(ctx)
		switch {
		case err != nil:
			return err
		case st.mayPart(more):
			return st.part(ctx)
		case more:
			moved = now
		}
		if err := await(ctx, st, moved); err != nil {
			return err
		}
	}
}

// await waits for c, and keeps the stream alive meanwhile.
func await[T any](ctx context.Context, st *stream, c <-chan T) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c:
			return nil
		case <-st.beat.C:
			if err := st.keepAlive(ctx); err != nil {
				return err
			}
		}
	}
}

// heed holds the stream to what its app may see now. It asks before each
// write, so that what an app loses it is sent no longer.
func (st *stream) heed() error {
	if st.caller.app == "" {
		return nil
	}
	app, ok := st.server.apps.App(st.caller.app)
	if !ok || !app.Enabled {
		return cutApp
	}
	st.caller.view = app.Filter()
	return nil
}

// keepAlive sends a comment. What the filters have hidden since the last event
// moves the reader's Last-Event-ID, so that it need not be looked through
// again when the reader comes back.
func (st *stream) keepAlive(ctx context.Context) error {
	if err := st.heed(); err != nil {
		return err
	}
	if st.caller.mayRead != nil && !st.caller.mayRead() {
		return cutToken
	}
	b := st.buf[:0]
	if pos := st.pos(); pos != st.told {
		b = appendPosition(b, pos)
		st.told = pos
	}
	st.buf = append(b, heartbeat...)
	return st.out.write(ctx, st.buf)
}

// round sends the next events. It reports whether there may be more.
func (st *stream) round(ctx context.Context) (more bool, err error) {
	if len(st.backlog.events) == 0 {
		more, err := st.fetch(ctx)
		if err != nil || len(st.backlog.events) == 0 {
			return more, err
		}
	}
	return true, st.send(ctx)
}

// send writes as many fetched events as go into one write.
func (st *stream) send(ctx context.Context) error {
	events := st.backlog.events
	b, n, sent := st.buf[:0], 0, 0
	for n < len(events) && n < batch && len(b) < fill {
		e := events[n]
		n++
		if st.caller.view.Match(e) && st.wanted.Match(e) {
			b = appendEvent(b, e, st.extent.Epoch, e.Seq <= st.extent.Last)
			st.told = e.Seq
			sent++
		}
	}
	last := events[n-1]
	pos, stored := last.Seq, last.Stored
	st.backlog.sent(n)
	if st.buf = b; cap(b) > spare {
		st.buf = nil
	}
	if sent > 0 {
		if err := st.out.write(ctx, b); err != nil {
			return err
		}
	}
	st.state.pos.Store(uint64(pos))
	st.state.stored.Store(stored.UnixMilli())
	st.state.events.Add(uint64(sent))
	st.server.metrics.events.Add(float64(sent))
	return nil
}

// mayPart reports whether the server stops and the stream has had everything
// that there was when it began to.
func (st *stream) mayPart(more bool) bool {
	goal := st.server.goal.Load()
	return goal != nil && (!more || st.pos() >= *goal)
}

// part ends a stream gently: the reader knows where it is, and when to ask
// again.
func (st *stream) part(ctx context.Context) error {
	b := appendRetry(st.buf[:0], reconnect+rand.N(homecoming))
	st.buf = appendPosition(b, st.pos())
	return st.out.write(ctx, st.buf)
}
