package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/receiver"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// mail is a server with subscriptions, their endpoint, and somebody who sends
// events. The subscription at index i has inbox i.
type mail struct {
	*lab
	server   *subject.Server
	receiver *receiver.Receiver
	sender   *sender
	ids      []string // of the subscriptions
	accepted int64    // deliveries that are behind us
}

// hookDevices is from how many devices the events come.
const hookDevices = 1000

// mail makes subscriptions that all get every event.
func (l *lab) mail(ctx context.Context, n int, what func(i int) subject.Subscription) (*mail, error) {
	events := load.NewEvents(l.opts.Size).Devices(hookDevices)
	r, err := receiver.Listen("127.0.0.1:0", receiver.Options{Inboxes: n, Number: events.NumberOf})
	if err != nil {
		return nil, err
	}
	l.later(r.Close)
	server, err := l.server(ctx, subject.Own{Settings: []string{"--hooks.allow=127.0.0.0/8"}})
	if err != nil {
		return nil, err
	}
	m := &mail{lab: l, server: server, receiver: r}
	if m.sender, err = l.sender(ctx, server, events); err != nil {
		return nil, err
	}
	var wanted []subject.Subscription
	for i := range n {
		s := what(i)
		s.URL, s.Description = r.URL(i), "gatecast bench"
		wanted = append(wanted, s)
	}
	l.tell("making %s subscriptions", thousands(int64(n)))
	m.ids, err = m.subscribe(ctx, wanted)
	return m, err
}

func (m *mail) subscribe(ctx context.Context, wanted []subject.Subscription) ([]string, error) {
	ids, err := m.server.Subscribe(ctx, wanted)
	if gatecast.CodeOf(err) == gatecast.Forbidden || gatecast.CodeOf(err) == gatecast.Invalid {
		return ids, fmt.Errorf("subscribe (a server that runs has to be on this machine, with --hooks.allow=127.0.0.0/8): %w", err)
	}
	if err != nil {
		return ids, fmt.Errorf("subscribe: %w", err)
	}
	return ids, nil
}

// timed begins something and returns when n events more have come to every
// inbox.
func (m *mail) timed(ctx context.Context, n int, begin func() error) (spent, error) {
	before, err := m.server.Usage(ctx)
	if err != nil {
		return spent{}, err
	}
	start := time.Now()
	if err := begin(); err != nil {
		return spent{}, err
	}
	if err := m.arrive(ctx, n); err != nil {
		return spent{}, err
	}
	wall := time.Since(start)
	after, err := m.server.Usage(ctx)
	return spent{wall, after.CPU - before.CPU, n * len(m.ids)}, err
}

// arrive returns when n events more have come to every inbox.
func (m *mail) arrive(ctx context.Context, n int) error {
	m.accepted += int64(n * len(m.ids))
	return m.await(ctx, m.accepted)
}

// await returns when so many deliveries have been accepted.
func (m *mail) await(ctx context.Context, goal int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for m.delivered() < goal {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if ctx.Err() != context.DeadlineExceeded {
				return ctx.Err()
			}
			e := gatecast.Errorf(gatecast.Unavailable, "after %v only %s of %s deliveries have arrived",
				patience, thousands(m.delivered()), thousands(goal))
			e.Remedy = "measure with fewer --subscriptions, or look at the server's log"
			return e
		}
	}
	return nil
}

// delivered is how many events all subscriptions have, each counted once.
func (m *mail) delivered() int64 { return m.receiver.Events() }

// audit looks whether every inbox has every event, as it was the first time, and
// in the order that was promised. It returns how many were delivered again.
func (m *mail) audit(orders ...gatecast.Order) (repeated int, err error) {
	for i := range m.ids {
		k := m.receiver.Inbox(i).Books()
		if k.Faulty > 0 {
			return 0, fmt.Errorf("inbox %d has %d faults, such as: %s", i, k.Faulty, k.Faults[0])
		}
		again, err := m.audited(&k)
		if err != nil {
			return 0, fmt.Errorf("inbox %d: %w", i, err)
		}
		repeated += again
		if err := k.Disorder(m.line(orders[i%len(orders)])); err != nil {
			return 0, fmt.Errorf("inbox %d: %w", i, err)
		}
	}
	return repeated, nil
}

func (m *mail) audited(k *receiver.Books) (repeated int, err error) {
	for n := uint64(1); n <= m.sender.last; n++ {
		if n >= uint64(len(k.Entries)) || k.Entries[n].Accepted == 0 {
			return 0, fmt.Errorf("event %d of %d has never come: a server that loses events has no figures", n, m.sender.last)
		}
		repeated += k.Entries[n].Accepted - 1
	}
	return repeated, nil
}

// line is where events stand in an order. They are stored in the order of their
// numbers.
func (m *mail) line(o gatecast.Order) func(uint64) (string, uint64, bool) {
	switch o {
	case gatecast.OrderStrict:
		return func(n uint64) (string, uint64, bool) { return "", n, true }
	case gatecast.OrderDevice:
		return func(n uint64) (string, uint64, bool) {
			return strconv.FormatUint(m.sender.events.Device(n), 10), n, true
		}
	}
	return func(uint64) (string, uint64, bool) { return "", 0, false }
}

// middleOf is the median, of a list that is not empty.
func middleOf(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
