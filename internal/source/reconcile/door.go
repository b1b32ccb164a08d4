package reconcile

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// This file is what others than its own goroutine may do with a worker.

func (w *worker) statement() gatecast.Statement {
	w.shared.mu.Lock()
	n, src := w.shared.note, w.shared.source
	w.shared.mu.Unlock()
	return n.statement(w.print(src))
}

// adopt takes up changed settings, and wants a look by them. One under way that
// goes by others is broken off.
func (w *worker) adopt(src *gatecast.Source) {
	w.shared.mu.Lock()
	before, leave := w.shared.source, w.shared.leave
	same := before.Settings.REST == src.Settings.REST && before.Settings.AppKey == src.Settings.AppKey &&
		before.Settings.AppSecret == src.Settings.AppSecret && before.Settings.Company == src.Settings.Company
	w.shared.source = src
	w.shared.wanted = w.shared.wanted || !same || before.Paused != src.Paused
	w.shared.mu.Unlock()
	if (!same || src.Paused != "") && leave != nil {
		leave(errChanged)
	}
	w.wake()
}

// connected is [Reconciler.Connected].
func (w *worker) connected() {
	w.shared.mu.Lock()
	w.shared.since, w.shared.wanted = time.Now(), true
	w.shared.mu.Unlock()
	w.wake()
}

func (w *worker) connectedSince() time.Time {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	return w.shared.since
}

// demand waits for a look that begins from now on.
func (w *worker) demand(ctx context.Context) error {
	t := &ticket{done: make(chan struct{})}
	w.shared.mu.Lock()
	w.shared.tickets = append(w.shared.tickets, t)
	w.shared.mu.Unlock()
	w.wake()
	select {
	case <-t.done:
		return t.err
	case <-w.ended:
		return gatecast.Errorf(gatecast.Unavailable, "the source is not looked at any more")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dismiss answers those whose look will not come.
func (w *worker) dismiss() {
	w.shared.mu.Lock()
	tickets := w.shared.tickets
	w.shared.tickets = nil
	w.shared.mu.Unlock()
	settle(tickets, gatecast.Errorf(gatecast.Unavailable, "the source is not looked at any more"))
}

func settle(tickets []*ticket, err error) {
	for _, t := range tickets {
		t.err = err
		close(t.done)
	}
}

func (w *worker) wake() {
	select {
	case w.nudge <- struct{}{}:
	default: // it has yet to look anyway
	}
}
