package image

import (
	"context"
	"sync"
	"time"
)

// This file decides what is asked for, and what comes of it.

// dispatch asks for what is due, the oldest first. In trouble one is asked for
// at a time.
func (w *worker) dispatch(ctx context.Context, asking *sync.WaitGroup) {
	src, now := w.source(), time.Now()
	w.expire(now)
	w.fetcher.metrics.waiting.WithLabelValues(w.name).Set(float64(len(w.list.Waiting)))
	if src.Paused != "" || now.Before(w.calm.until) {
		return
	}
	if len(w.list.Waiting) > 0 {
		if err := w.fetcher.Store.Accepting(); err != nil {
			w.trouble(err)
			return
		}
	}
	free := w.free()
	for _, it := range w.list.Waiting {
		if free <= 0 {
			return
		}
		if it.asked || now.Before(it.Next) {
			continue
		}
		it.asked = true
		free--
		p := it.photo()
		asking.Go(func() {
			if err := w.limit.Wait(ctx); err != nil {
				w.results <- result{it, answer{trouble, err}}
				return
			}
			w.results <- result{it, w.fetcher.fetch(ctx, &src.Settings, p)}
		})
	}
}

// free returns how many more may be asked for now.
func (w *worker) free() int {
	free := w.fetcher.opts.Parallel
	if w.calm.failures > 0 {
		free = 1
	}
	for _, it := range w.list.Waiting {
		if it.asked {
			free--
		}
	}
	return free
}

// expire gives up what has waited for too long.
func (w *worker) expire(now time.Time) {
	for i := 0; i < len(w.list.Waiting); {
		it := w.list.Waiting[i]
		if it.asked || now.Sub(it.Since) <= w.fetcher.opts.For {
			i++
			continue
		}
		w.final(it, "expired", nil)
	}
}

// settle takes note of what came of a question.
func (w *worker) settle(ctx context.Context, r result) {
	r.item.asked = false
	if r.outcome != fetched && ctx.Err() != nil {
		return // it was broken off from this side
	}
	w.fetcher.metrics.asked.WithLabelValues(w.name, string(r.outcome)).Inc()
	if r.outcome == trouble {
		// Others come first now: it may be this one alone that the server fails at.
		r.item.failed++
		r.item.Next = time.Now().Add(w.jitter(firstRetry << min(r.item.failed-1, 6)))
		w.trouble(r.why)
		return
	}
	w.wentWell()
	switch r.outcome {
	case fetched:
		w.list.drop(r.item)
	case missing, unusable:
		w.final(r.item, string(r.outcome), r.why)
	case refused:
		if r.item.Tries++; r.item.Tries >= mostTries {
			w.final(r.item, "refused", r.why)
			return
		}
		r.item.Next = time.Now().Add(w.jitter(firstRetry << (r.item.Tries - 1)))
		w.list.dirty = true
	case trouble:
	}
}

// wentWell ends a trouble. After a long one, what failed in it is due at once.
func (w *worker) wentWell() {
	if w.calm.failures == 0 {
		return
	}
	if w.calm.failures >= outage {
		for _, it := range w.list.Waiting {
			if it.failed > 0 {
				it.failed, it.Next = 0, time.Time{}
			}
		}
	}
	w.calm = calm{}
	w.fetcher.opts.Log.Info("the images of a source can be fetched again", "source", w.name)
}

// trouble leaves the source alone for a while. The log is told once.
func (w *worker) trouble(why error) {
	if w.calm.failures == 0 {
		w.fetcher.opts.Log.Warn("the images of a source cannot be fetched at the moment", "source", w.name, "err", why)
	}
	w.calm.until = time.Now().Add(w.jitter(min(mostCalm, firstCalm<<min(w.calm.failures, 10))))
	w.calm.failures++
}

// final gives an image up.
func (w *worker) final(it *item, why string, err error) {
	w.list.drop(it)
	w.list.giveUp(it.photo())
	w.fetcher.metrics.lost.WithLabelValues(w.name, why).Inc()
	w.told.Do(func() {
		w.fetcher.opts.Log.Warn("an image that an event of a source names is not fetched; others may follow that are only counted",
			"source", w.name, "type", int(it.Type), "id", it.ID, "why", why, "err", err)
	})
}

func (w *worker) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + w.fetcher.opts.Rand()))
}

// rest waits until something has come or is due.
func (w *worker) rest(ctx context.Context, moved <-chan struct{}, saved time.Time) {
	timer := time.NewTimer(time.Until(w.next(saved)))
	defer timer.Stop()
	if len(w.list.Waiting) >= mostWaiting {
		moved = nil // there is no room for more
	}
	select {
	case <-ctx.Done():
	case r := <-w.results:
		w.settle(ctx, r)
	case <-moved:
	case <-timer.C:
	case <-w.nudge:
		w.calm.until = time.Time{} // the trouble may have been the settings
	}
}

// next returns when there is something to do by itself.
func (w *worker) next(saved time.Time) time.Time {
	next := time.Now().Add(glance)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if w.list.dirty {
		sooner(saved.Add(w.fetcher.opts.SaveEvery))
	}
	if w.source().Paused == "" && w.free() > 0 {
		for _, it := range w.list.Waiting {
			due := it.Next
			if it.asked {
				continue
			}
			if due.Before(w.calm.until) {
				due = w.calm.until
			}
			sooner(due)
		}
	}
	return next
}
