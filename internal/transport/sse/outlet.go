package sse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// piece is how many bytes are written under one deadline: who takes this many
// in Options.Stall is slow, who does not counts as stalled.
const piece = 16 << 10

// outlet writes to one reader, and gives up on one that takes nothing.
type outlet struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	bytes   atomic.Uint64 // written
	since   atomic.Int64  // when the write under way began, in Unix nanoseconds; 0 if there is none
}

// newOutlet lifts the server's limit on the time of an answer, which a stream
// is meant to outlive. The error says that w cannot do that. The limit on the
// time of a request is over when a GET is here: net/http lifts it itself.
func newOutlet(w http.ResponseWriter, stall time.Duration) (*outlet, error) {
	o := &outlet{w: w, control: http.NewResponseController(w), stall: stall}
	return o, o.control.SetWriteDeadline(time.Time{})
}

// write writes b and sends it on its way. It returns the cause of ctx's end,
// cutStalled, or an error of a reader that is gone.
func (o *outlet) write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		part := b[:min(len(b), piece)]
		err := o.timed(ctx, func() error {
			n, err := o.w.Write(part)
			o.bytes.Add(uint64(n))
			return err
		})
		if err != nil {
			return err
		}
		b = b[len(part):]
	}
	return o.timed(ctx, o.control.Flush)
}

// timed does something that the reader may block, for as long as it may.
func (o *outlet) timed(ctx context.Context, do func() error) error {
	began := time.Now()
	err := o.control.SetWriteDeadline(began.Add(o.stall))
	if ctx.Err() != nil { // looked at after the deadline is set: abort cancels first, and sets its own second
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("set the deadline of a write: %w", err)
	}
	o.since.Store(began.UnixNano())
	err = do()
	o.since.Store(0)
	// HTTP/2 resets a stream when its deadline passes, whether or not there is
	// something to write. That of an abort may be lifted here as well: ctx has
	// ended then, and nothing is written any more.
	_ = o.control.SetWriteDeadline(time.Time{})
	switch {
	case err == nil:
		return nil
	case errors.As(context.Cause(ctx), new(cut)):
		return context.Cause(ctx)
	case time.Since(began) >= o.stall: // before the next: net/http ends the context when a write fails
		return cutStalled
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("write to the reader: %w", err)
}

// past is a deadline that makes a write fail which is under way.
func past() time.Time { return time.Unix(1, 0) }

// abortWith makes a write that is under way fail when ctx ends. The function
// it returns ends that, and limits what net/http itself writes behind a stream
// that has ended. It must be called before the handler returns, because after
// that nobody may touch a ResponseWriter, and before ctx is canceled for good.
func (o *outlet) abortWith(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = o.control.SetWriteDeadline(past()) // fails only where there is no connection any more
	})
	return func() {
		if !cancel() {
			<-done
		}
		end := time.Now().Add(o.stall)
		if ctx.Err() != nil {
			end = past()
		}
		_ = o.control.SetWriteDeadline(end)
	}
}
