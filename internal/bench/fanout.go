package bench

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/gatecast/gatecast/internal/bench/floor"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
	"github.com/gatecast/gatecast/internal/bench/swarm"
)

// rounds is how often the server and the bare loop take turns, so that what
// else goes on on the machine meets both.
const rounds = 5

// isolated is how many events one round of events one by one has.
const isolated = 20

// fanout pushes to thousands of clients, with a bare loop of write(2) over as
// many sockets beside it.
func fanout(ctx context.Context, l *lab) error {
	n := cmp.Or(l.opts.Clients, 5000)
	if err := l.files(2 * n); err != nil {
		return err
	}
	bare, err := l.bareLoop(ctx, n)
	if err != nil {
		return err
	}
	stage, err := l.stage(ctx, subject.Own{}, n, wish{})
	if err != nil {
		return err
	}
	if err := l.oneByOne(ctx, bare, stage); err != nil {
		return err
	}
	if err := l.bursts(ctx, bare, stage); err != nil {
		return err
	}
	return l.paced(ctx, stage)
}

// stage is a server with its crowd and somebody who sends events.
type stage struct {
	server *subject.Server
	crowd  *crowd
	sender *sender
}

// stage sets up a server with n clients of one app.
func (l *lab) stage(ctx context.Context, o subject.Own, n int, w wish) (*stage, error) {
	server, err := l.server(ctx, o)
	if err != nil {
		return nil, err
	}
	return l.fillStage(ctx, server, n, w)
}

func (l *lab) fillStage(ctx context.Context, server *subject.Server, n int, w wish) (*stage, error) {
	events := load.NewEvents(l.opts.Size)
	send, err := l.sender(ctx, server, events)
	if err != nil {
		return nil, err
	}
	if w.apps, err = createApps(ctx, server, 1, n); err != nil {
		return nil, err
	}
	c, err := l.gather(ctx, server, newAudience(events, n, 0), w)
	if err != nil {
		return nil, err
	}
	s := &stage{server, c, send}
	_, err = s.deliver(ctx, 1) // all are level, and what is made once is made
	return s, err
}

// spent is what some deliveries took.
type spent struct {
	wall       time.Duration
	cpu        time.Duration // of the one process that delivers
	deliveries int
}

func (s spent) perDelivery() float64 {
	return float64(s.cpu.Nanoseconds()) / float64(s.deliveries) / 1000
} // µs

func (s spent) perSecond() float64 { return float64(s.deliveries) / s.wall.Seconds() }

func (s *spent) add(t spent) {
	s.wall += t.wall
	s.cpu += t.cpu
	s.deliveries += t.deliveries
}

// deliver posts n events and returns when every client has all of them.
func (s *stage) deliver(ctx context.Context, n int) (spent, error) {
	s.crowd.expect(s.sender.last + uint64(n))
	bodies := s.sender.bodies(n)
	before, err := s.server.Usage(ctx)
	if err != nil {
		return spent{}, err
	}
	start := time.Now()
	for _, body := range bodies {
		if err := s.sender.post.Post(body); err != nil {
			return spent{}, err
		}
	}
	if err := s.crowd.await(ctx, patience); err != nil {
		return spent{}, err
	}
	wall := time.Since(start)
	after, err := s.server.Usage(ctx)
	return spent{wall, after.CPU - before.CPU, n * len(s.crowd.next)}, err
}

// bare is the loop of write(2), with its crowd.
type bare struct {
	loop   *floor.Loop
	crowd  *crowd
	number uint64
}

// bareLoop starts the bare loop in a process of its own, as the server is.
func (l *lab) bareLoop(ctx context.Context, n int) (*bare, error) {
	loop, err := floor.Start(exec.Command(l.opts.Program, "bench", "bare-loop"))
	if err != nil {
		return nil, err
	}
	l.later(func() { _ = loop.Close() }) // it ends with this process at the latest
	events := load.NewEvents(l.opts.Size)
	a := newAudience(events, n, 0)
	c, err := l.connect(ctx, loop.Addr(), a, swarm.Options{Head: load.HeadSize}, func(int) []byte {
		return []byte("GET / HTTP/1.1\r\n\r\n")
	})
	if err != nil {
		return nil, fmt.Errorf("bare loop: %w", err)
	}
	return &bare{loop: loop, crowd: c}, counted(ctx, loop, n)
}

// counted waits until the loop has counted all its clients: it does so just
// after it has let one in.
func counted(ctx context.Context, loop *floor.Loop, n int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		there, err := loop.Clients()
		if err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
		if there == n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver has the bare loop write the next n events, and returns when every
// client has them.
func (b *bare) deliver(ctx context.Context, n, writers int) (spent, error) {
	b.crowd.expect(b.number + uint64(n))
	start := time.Now()
	var cpu time.Duration
	for range n {
		b.number++
		took, err := b.loop.Write(b.crowd.events.Push(b.number), writers)
		if err != nil {
			return spent{}, fmt.Errorf("bare loop: %w", err)
		}
		cpu += took.CPU
	}
	if err := b.crowd.await(ctx, patience); err != nil {
		return spent{}, fmt.Errorf("bare loop: %w", err)
	}
	return spent{time.Since(start), cpu, n * len(b.crowd.next)}, nil
}

// oneByOne is the worst case: nothing can be put together, and each delivery is
// a system call of its own. The bare loop does nothing but that call.
func (l *lab) oneByOne(ctx context.Context, b *bare, s *stage) error {
	n := len(s.crowd.next)
	var ours []spent
	theirs := make([][]spent, runtime.GOMAXPROCS(0)) // by the number of writers, less one
	for round := range rounds {
		l.tell("events one by one to %s clients, round %d of %d", thousands(int64(n)), round+1, rounds)
		for w := range theirs {
			one, err := isolate(func() (spent, error) { return b.deliver(ctx, 1, w+1) })
			if err != nil {
				return err
			}
			theirs[w] = append(theirs[w], one)
		}
		one, err := isolate(func() (spent, error) { return s.deliver(ctx, 1) })
		if err != nil {
			return err
		}
		ours = append(ours, one)
	}
	best, writers := middle(theirs[0]), 1
	for w := range theirs {
		if m := middle(theirs[w]); m.wall < best.wall {
			best, writers = m, w+1
		}
	}
	mine := middle(ours)
	l.found(Figure{
		What: fmt.Sprintf("bare write(2) loop, one event to %s sockets", thousands(int64(n))), Value: best.perSecond(), Unit: "deliveries/s",
		Note: fmt.Sprintf("the best of 1 to %d writers: %d", len(theirs), writers),
	})
	l.found(Figure{What: fmt.Sprintf("one event to %s clients, stored first", thousands(int64(n))), Value: mine.perSecond(), Unit: "deliveries/s"})
	l.found(Figure{What: fmt.Sprintf("one event to %s clients, of the bare loop", thousands(int64(n))), Target: "P1", Value: best.wall.Seconds() / mine.wall.Seconds(), Unit: "x", Want: atLeast(0.9)})
	l.found(Figure{
		What: "server CPU per delivery, one by one", Value: total(ours).perDelivery(), Unit: "µs",
		Note: fmt.Sprintf("bare loop %s µs", number(total(theirs[writers-1]).perDelivery())),
	})
	return nil
}

// isolate sends the events of a round, each when everybody has the one before.
// All that a server does beside the delivery, such as asking who has what,
// falls into its own rounds and counts.
func isolate(deliver func() (spent, error)) (sum spent, err error) {
	for range isolated {
		one, err := deliver()
		if err != nil {
			return sum, err
		}
		sum.add(one)
	}
	return sum, nil
}

// burst is how many events come back to back, if nothing else is asked for.
const burst = 200

// bareBurst is how many the bare loop gets: it makes as many system calls as
// ever, and takes its time.
const bareBurst = 20

// bursts is the best case: what has come meanwhile leaves in one writev.
func (l *lab) bursts(ctx context.Context, b *bare, s *stage) error {
	events := cmp.Or(l.opts.Burst, burst)
	n := len(s.crowd.next)
	var ours, theirs []spent
	for round := range rounds {
		l.tell("bursts of %d events to %s clients, round %d of %d", events, thousands(int64(n)), round+1, rounds)
		mine, err := s.deliver(ctx, events)
		if err != nil {
			return err
		}
		ours = append(ours, mine)
		best := spent{}
		for w := range runtime.GOMAXPROCS(0) {
			its, err := b.deliver(ctx, bareBurst, w+1)
			if err != nil {
				return err
			}
			if best.deliveries == 0 || its.wall < best.wall {
				best = its
			}
		}
		theirs = append(theirs, best)
	}
	mine, its := middle(ours), middle(theirs)
	l.found(Figure{What: "bare write(2) loop, back to back", Value: its.perSecond(), Unit: "deliveries/s"})
	l.found(Figure{What: fmt.Sprintf("burst of %d events to %s clients", events, thousands(int64(n))), Value: mine.perSecond(), Unit: "deliveries/s"})
	l.found(Figure{What: fmt.Sprintf("burst of %d events, of the bare loop", events), Target: "P2", Value: mine.perSecond() / its.perSecond(), Unit: "x", Want: atLeast(5)})
	l.found(Figure{What: "server CPU per delivery, burst", Value: total(ours).perDelivery(), Unit: "µs"})
	return l.memory(ctx, s, "server memory after the bursts")
}

func (l *lab) memory(ctx context.Context, s *stage, what string) error {
	u, err := s.server.Usage(ctx)
	if err == nil {
		l.found(Figure{What: what, Value: float64(u.Resident) / (1 << 20), Unit: "MiB"})
	}
	return err
}

// paced is a usual day: events by a timetable, whatever becomes of those before.
func (l *lab) paced(ctx context.Context, s *stage) error {
	rate, length := cmp.Or(l.opts.Rate, 5), cmp.Or(l.opts.For, 5*time.Second)
	events := max(1, int(rate*length.Seconds()))
	n := len(s.crowd.next)
	l.tell("%s events/s to %s clients for %v", number(rate), thousands(int64(n)), length)
	before, err := s.server.Usage(ctx)
	if err != nil {
		return err
	}
	took, err := l.follow(ctx, s, rate, events)
	if err != nil {
		return err
	}
	after, err := s.server.Usage(ctx)
	if err != nil {
		return err
	}
	l.latencies(took, fmt.Sprintf("%s events/s to %s clients", number(rate), thousands(int64(n))), "", 0, 0)
	l.found(Figure{What: "server CPU per delivery, paced", Value: spent{cpu: after.CPU - before.CPU, deliveries: events * n}.perDelivery(), Unit: "µs"})
	return nil
}

// middle returns the one with the median time: the first round after
// something else, or a neighbour on the machine, must not decide.
func middle(all []spent) spent {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b spent) int { return cmp.Compare(a.wall, b.wall) })
	return sorted[len(sorted)/2]
}

func total(all []spent) (sum spent) {
	for _, s := range all {
		sum.add(s)
	}
	return sum
}
