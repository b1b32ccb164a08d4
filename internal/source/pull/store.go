package pull

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	// farewell is how long the journal has, at the end of it all, for what was
	// received before.
	farewell = 5 * time.Second

	firstRetry = 100 * time.Millisecond // of the journal
	mostRetry  = 5 * time.Second
)

// store stores what is received, until the inbox has ended and is empty. Events
// wait for nothing but the journal: while it writes some, the next gather.
func (w *worker) store(ctx context.Context) {
	ctx, cancel := outlive(ctx, farewell)
	defer cancel()
	for {
		events := w.inbox.take()
		if len(events) == 0 {
			return
		}
		w.keep(ctx, events)
	}
}

// outlive returns a context that ends d after ctx does.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return later, func() { stop(); cancel() }
}

// keep stores events, again and again with the same IDs while the journal is
// not available. What it will never take goes to the quarantine.
func (w *worker) keep(ctx context.Context, events []gatecast.Event) {
	for tries := 0; ; tries++ {
		err := w.append(ctx, events)
		if err == nil {
			w.held(tries, nil)
			return
		}
		if hopeless(err) {
			w.held(tries, nil)
			w.sort(ctx, events, err)
			return
		}
		if ctx.Err() != nil {
			w.follower.metrics.unstored.WithLabelValues(w.name).Add(float64(len(events)))
			w.follower.opts.Log.Error("events were received and could not be stored; only asking the source brings them back",
				"source", w.name, "events", len(events), "err", err)
			return
		}
		w.held(tries, err)
		sleep(ctx, min(mostRetry, firstRetry<<min(tries, 10)))
	}
}

func (w *worker) append(ctx context.Context, events []gatecast.Event) error {
	if err := w.follower.Journal.Accepting(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.follower.opts.StoreTimeout)
	defer cancel()
	receipt, err := w.follower.Journal.Append(ctx, events)
	if err == nil {
		w.stored(events, receipt)
	}
	return err
}

// hopeless reports whether the journal will never take these events.
func hopeless(err error) bool {
	switch gatecast.CodeOf(err) {
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge:
		return true
	case gatecast.Internal, gatecast.Unauthenticated, gatecast.Forbidden, gatecast.NotFound, gatecast.Conflict,
		gatecast.Gap, gatecast.TooMany, gatecast.Unavailable:
	}
	return false
}

// sort stores events one by one, so that the one that is hopeless keeps none of
// the others out.
func (w *worker) sort(ctx context.Context, events []gatecast.Event, err error) {
	if len(events) == 1 {
		w.setAside("the journal does not take it: "+err.Error(), senselink.AppendPush(nil, &events[0]))
		return
	}
	for i := range events {
		w.keep(ctx, events[i:i+1])
	}
}

// held tells the log once when the journal holds a source up, and once when it
// no longer does.
func (w *worker) held(tries int, err error) {
	switch log := w.follower.opts.Log; {
	case err != nil && tries == 0:
		log.Warn("the journal takes no events; a source is held up", "source", w.name, "err", err)
	case err == nil && tries > 0:
		log.Info("the journal takes events again", "source", w.name, "tries", tries)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
