package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// hookKillings is how often the server is killed.
const hookKillings = 3

// hookKills kills the server while it delivers, again and again: every event
// that was accepted has to come to every inbox, in the order that was promised.
func hookKills(ctx context.Context, l *lab) error {
	if l.attached() {
		l.tell("a server that was not started here is not killed")
		return nil
	}
	orders := []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone}
	m, err := l.mail(ctx, len(orders), func(i int) subject.Subscription { return subject.Subscription{Order: orders[i]} })
	if err != nil {
		return err
	}
	events := max(10, cmp.Or(l.opts.Burst, 3000))
	var ready time.Duration
	for round := range hookKillings {
		l.tell("kill -9 %d of %d, with %s deliveries under way", round+1, hookKillings, thousands(int64(events*len(orders))))
		took, err := m.killAmid(ctx, events)
		if err != nil {
			return err
		}
		ready = max(ready, took)
	}
	if err := m.await(ctx, m.accepted); err != nil {
		return err
	}
	repeated, err := m.audit(orders...)
	if err != nil {
		return err
	}
	l.found(Figure{
		What: fmt.Sprintf("deliveries accounted for across %d x kill -9", hookKillings), Target: "P7", Want: atLeast(1), Unit: "of accepted",
		Value: float64(m.delivered()) / float64(int(m.sender.last)*len(orders)), Note: "per device, strict and in any order; " + thousands(m.delivered()) + " in all",
	})
	l.found(Figure{What: "events that were delivered again", Value: float64(repeated), Note: fmt.Sprintf("of %s", thousands(m.delivered()))})
	l.found(Figure{What: "the server is ready again, at most", Value: ready.Seconds(), Unit: "s"})
	return nil
}

// killAmid sends events, kills the server when a part of them is delivered, and
// returns how long it took to be ready again.
func (m *mail) killAmid(ctx context.Context, events int) (time.Duration, error) {
	before := m.delivered()
	if err := m.sender.fill(ctx, events, func(int) {}); err != nil {
		return 0, err
	}
	m.accepted += int64(events * len(m.ids))
	if err := m.await(ctx, before+int64(events/3)); err != nil {
		return 0, err
	}
	if err := m.server.Kill(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := m.server.Restart(ctx); err != nil {
		return 0, err
	}
	took := time.Since(start)
	again, err := m.lab.sender(ctx, m.server, m.sender.events)
	if err != nil {
		return 0, err
	}
	again.last = m.sender.last
	m.sender = again
	return took, nil
}
