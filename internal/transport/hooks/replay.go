package hooks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/gatecast/gatecast"
)

// replaying is a replay and where it stands.
type replaying struct {
	gatecast.Replay
	course *course
}

// copy returns the replay as others may see it.
func (r *replaying) copy() *gatecast.Replay {
	out := r.Replay
	out.Position = r.course.head
	return &out
}

// finished notes that everything was sent.
func (w *worker) finished() {
	if r := w.replay; r != nil && r.Ended.IsZero() && r.course.over() {
		r.Ended, w.status.dirty = time.Now(), true
		w.server.opts.Log.Info("a replay has ended", "subscription", w.id, "replay", r.ID, "sent", r.Sent)
	}
}

// StartReplay sends the events after a position up to another one to a
// subscription once more, beside those that come. Errors: NotFound; Conflict if
// one is running; Invalid if the window is empty; Unavailable on a node that
// does not deliver.
func (s *Server) StartReplay(ctx context.Context, id string, from, to gatecast.Seq) (gatecast.Replay, error) {
	if from >= to {
		e := gatecast.Errorf(gatecast.Invalid, "there is nothing after %d up to %d", from, to)
		e.Remedy = "give a window in which there are events"
		return gatecast.Replay{}, e
	}
	return s.ask(ctx, id, func(w *worker) (*replaying, error) {
		if w.replay != nil && w.replay.Ended.IsZero() {
			e := gatecast.Errorf(gatecast.Conflict, "a replay is running already")
			e.Remedy = "wait for its end, or cancel it"
			return nil, e
		}
		name := make([]byte, 6)
		rand.Read(name)
		w.replay = &replaying{
			Replay: gatecast.Replay{ID: hex.EncodeToString(name), From: from, To: to, Started: time.Now()},
			course: newCourse(w.terms.sub.Settings.Order, from, to),
		}
		w.replay.course.extra = true
		return w.replay, nil
	})
}

// CancelReplay ends a replay. What is under way is still sent. Errors: NotFound,
// also if none is running.
func (s *Server) CancelReplay(ctx context.Context, id string) (gatecast.Replay, error) {
	return s.ask(ctx, id, func(w *worker) (*replaying, error) {
		r := w.replay
		if r == nil || !r.Ended.IsZero() {
			return nil, gatecast.Errorf(gatecast.NotFound, "no replay is running")
		}
		r.Ended, r.Canceled = time.Now(), true
		return r, nil
	})
}

// ask has a subscription's worker do something about its replay.
func (s *Server) ask(ctx context.Context, id string, do func(*worker) (*replaying, error)) (gatecast.Replay, error) {
	w := s.worker(id)
	if w == nil {
		if _, there := s.Settings.Subscription(id); !there {
			return gatecast.Replay{}, noSubscription(id)
		}
	}
	answer := make(chan gatecast.Replay, 1)
	if w != nil {
		err, done := w.order(ctx, func() error {
			r, err := do(w)
			if err == nil {
				w.status.dirty = true
				answer <- *r.copy()
				w.show()
			}
			return err
		})
		if done && err == nil {
			return <-answer, nil
		}
		if done {
			return gatecast.Replay{}, err
		}
	}
	e := gatecast.Errorf(gatecast.Unavailable, "this node does not deliver the subscription at the moment")
	e.Remedy = "try again, or ask the node that does"
	return gatecast.Replay{}, e
}

// countLimit is how long a window is counted; then the rest is estimated.
const countLimit = 10 * time.Second

// Count returns how many events of a window a subscription would be sent: an
// estimate, and exact false, if there are too many to look at. Errors: NotFound,
// and what the journal says.
func (s *Server) Count(ctx context.Context, id string, from, to gatecast.Seq) (events uint64, exact bool, err error) {
	sub, there := s.Settings.Subscription(id)
	if !there {
		return 0, false, noSubscription(id)
	}
	sight := s.termsOf(sub).sight
	extent, err := s.History.Extent(ctx)
	if err != nil {
		return 0, false, err
	}
	at, end := max(from, extent.First-1), min(to, extent.Last)
	start := at
	buf := make([]*gatecast.Event, 0, 256)
	for began := time.Now(); at < end; {
		if time.Since(began) > countLimit {
			return uint64(float64(events) * float64(end-start) / float64(at-start)), false, nil
		}
		page, err := s.History.Read(ctx, at, buf)
		if err != nil || len(page) == 0 {
			return events, err == nil, err
		}
		for _, ev := range page {
			if g := (glimpse{ev: ev}); ev.Seq <= end && sight.sees(&g) {
				events++
			}
		}
		at = page[len(page)-1].Seq
	}
	return events, true, nil
}
