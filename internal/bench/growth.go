package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// growth compares what a delivery costs the server in small and in large
// crowds. What an event costs without any client, to be received and stored,
// is taken off: it is the same for all, and its share of a delivery is not.
func growth(ctx context.Context, l *lab) error {
	largest := cmp.Or(l.opts.Clients, 10_000)
	smallest := min(largest, fewest)
	sizes := slices.Compact([]int{max(smallest, largest/100), max(smallest, largest/10), largest})
	if err := l.files(largest); err != nil {
		return err
	}
	var costs []float64
	for _, n := range sizes {
		cost, err := l.measurable(ctx, n, sampled*largest/n)
		if err != nil {
			return err
		}
		l.found(Figure{What: fmt.Sprintf("server CPU per delivery, %s clients", thousands(int64(n))), Value: cost, Unit: "µs"})
		costs = append(costs, cost)
	}
	l.found(Figure{What: "the dearest delivery, of the cheapest", Target: "P9", Value: slices.Max(costs) / slices.Min(costs), Unit: "x", Want: atMost(1.15), Doubtful: l.attached(), Note: l.sharedNote("its CPU time comes in steps of 10 ms, with that of others")})
	return nil
}

// fewest is the smallest crowd: the deliveries to fewer clients are lost in what
// the event itself costs.
const fewest = 20

// sampled is how many events are measured for the largest crowd. Smaller ones
// get as many more as make for the same number of deliveries.
const sampled = 30

// measurable is marginal with more events, and once more, while others on the
// machine hide what a delivery costs.
func (l *lab) measurable(ctx context.Context, n, events int) (float64, error) {
	for try := range 3 {
		cost, err := l.marginal(ctx, n, events<<try)
		if err != nil || cost > 0 {
			return cost, err
		}
		l.tell("%s clients: too few events to tell, measuring more", thousands(int64(n)))
	}
	return 0, gatecast.Errorf(gatecast.Unavailable, "with %d clients an event costs no more than without any: the machine is too busy to tell", n)
}

// marginal returns the CPU time in µs of one delivery to n clients, events one
// by one; not above zero if that is too little to be seen.
func (l *lab) marginal(ctx context.Context, n, events int) (float64, error) {
	defer l.close()
	server, err := l.server(ctx, subject.Own{})
	if err != nil {
		return 0, err
	}
	empty, err := l.withoutClients(ctx, server, events)
	if err != nil {
		return 0, err
	}
	s, err := l.fillStage(ctx, server, n, wish{})
	if err != nil {
		return 0, err
	}
	var sum spent
	for i := range events {
		if i%max(1, events/5) == 0 {
			l.tell("%s clients, event %d of %d", thousands(int64(n)), i+1, events)
		}
		one, err := s.deliver(ctx, 1)
		if err != nil {
			return 0, err
		}
		sum.add(one)
	}
	return sum.perDelivery() - empty/float64(n), nil
}

// withoutClients returns the CPU time in µs of one event that nobody gets.
func (l *lab) withoutClients(ctx context.Context, server *subject.Server, events int) (float64, error) {
	send, err := l.sender(ctx, server, load.NewEvents(l.opts.Size))
	if err != nil {
		return 0, err
	}
	before, err := server.Usage(ctx)
	if err != nil {
		return 0, err
	}
	for range events {
		if err := send.send(1); err != nil {
			return 0, err
		}
	}
	after, err := server.Usage(ctx)
	return float64((after.CPU - before.CPU).Nanoseconds()) / float64(events) / 1000, err
}
