package bench

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/floor"
	"github.com/gatecast/gatecast/internal/bench/receiver"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// hooks is events that are posted to subscribers: how many per second, whether
// all of them arrive when the server is killed, and what dead endpoints cost
// the others.
func hooks(ctx context.Context, l *lab) error {
	for _, part := range []func(context.Context, *lab) error{hookRates, hookKills, hookDead} {
		if err := part(ctx, l); err != nil {
			return err
		}
		l.close()
	}
	return nil
}

// hookRounds is how often the server and the bare requests take turns.
const hookRounds = 3

// bareClients is how many clients the bare requests have, and how many requests
// a lone subscription has at once.
const bareClients = 64

// crowded is how many subscriptions share what can be delivered.
const crowded = 100

// hookWay is one way in which as much as possible is delivered.
type hookWay struct {
	what    string
	order   gatecast.Order
	many    int // subscriptions
	atOnce  int // requests of each; 0: as the server comes
	events  int
	backlog bool // the events are stored before the delivery begins
	want    *Bound
}

func hookRates(ctx context.Context, l *lab) error {
	many := min(crowded, cmp.Or(l.opts.Subscriptions, crowded))
	lone, each := cmp.Or(l.opts.Burst, 10_000), cmp.Or(l.opts.Burst, 100)
	for _, w := range []hookWay{
		{"one subscription, in any order", gatecast.OrderNone, 1, bareClients, lone, true, nil},
		{"one subscription, in order per device", gatecast.OrderDevice, 1, bareClients, lone, true, atLeast(5000)},
		{thousands(int64(many)) + " subscriptions as they come", gatecast.OrderDevice, many, 0, each, false, atLeast(5000)},
	} {
		if err := l.hookRate(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
		l.close()
	}
	return nil
}

// hookRate measures one way, by turns with the bare requests.
func (l *lab) hookRate(ctx context.Context, w hookWay) error {
	m, err := l.mail(ctx, w.many, w.subscription)
	if err != nil {
		return err
	}
	var ours, theirs []spent
	receiving := spent{}
	for round := range hookRounds {
		l.tell("%s, %s deliveries, round %d of %d", w.what, thousands(int64(w.events*w.many)), round+1, hookRounds)
		mine, err := m.deliver(ctx, w)
		if err != nil {
			return err
		}
		its, received, err := m.bare(ctx, w.events*w.many)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, mine), append(theirs, its)
		receiving.add(received)
	}
	if _, err := m.audit(w.order); err != nil {
		return err
	}
	mine, its := middle(ours), middle(theirs)
	l.found(Figure{What: w.what, Target: targetIf(w.want, "P7"), Value: mine.perSecond(), Unit: "deliveries/s", Want: w.want})
	l.found(Figure{
		What: w.what + ", of bare requests", Value: mine.perSecond() / its.perSecond(), Unit: "x",
		Note: fmt.Sprintf("net/http alone, %d at once: %s/s; the endpoint takes %s µs of each", bareClients, number(its.perSecond()), number(receiving.perDelivery())),
	})
	l.found(Figure{
		What: w.what + ", server CPU per delivery", Value: total(ours).perDelivery(), Unit: "µs",
		Note: fmt.Sprintf("bare requests %s µs", number(total(theirs).perDelivery())),
	})
	return nil
}

func targetIf(want *Bound, target string) string {
	if want == nil {
		return ""
	}
	return target
}

func (w hookWay) subscription(int) subject.Subscription {
	return subject.Subscription{Order: w.order, Concurrency: w.atOnce}
}

// deliver sends a round's events and returns when every inbox has all of them.
func (m *mail) deliver(ctx context.Context, w hookWay) (spent, error) {
	if w.backlog {
		return m.deliverBacklog(ctx, w.events)
	}
	return m.timed(ctx, w.events, func() error { return m.sender.send(w.events) })
}

// deliverBacklog has events stored while nothing is delivered, so that nothing
// but the delivery is measured.
func (m *mail) deliverBacklog(ctx context.Context, n int) (spent, error) {
	if err := m.server.Pause(ctx, m.ids...); err != nil {
		return spent{}, fmt.Errorf("pause: %w", err)
	}
	if err := m.sender.fill(ctx, n, func(int) {}); err != nil {
		return spent{}, err
	}
	return m.timed(ctx, n, func() error { return m.server.Resume(ctx, m.ids...) })
}

// bare posts to an endpoint of the same kind without gatecast. What this process uses meanwhile
// is what receiving takes.
func (m *mail) bare(ctx context.Context, n int) (its, received spent, err error) {
	before, err := floor.Used()
	if err != nil {
		return its, received, err
	}
	r, err := receiver.Listen("127.0.0.1:0", receiver.Options{Number: m.sender.events.NumberOf})
	if err != nil {
		return its, received, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, m.opts.Program, "bench", "bare-post", r.URL(0), strconv.Itoa(n), strconv.Itoa(bareClients))
	took, err := floor.Post(cmd, m.sender.events.Webhook(1))
	if err != nil {
		return its, received, err
	}
	after, err := floor.Used()
	return spent{took.Wall, took.CPU, n}, spent{took.Wall, after - before, n}, err
}
