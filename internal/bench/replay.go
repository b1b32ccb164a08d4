package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatecast/gatecast/internal/bench/subject"
)

// few and starts: how many events the journal holds when the start of a replay
// is measured first, and how often it is.
const (
	few    = 10_000
	starts = 9
)

// near is how many events before the end the measured starts begin: too far for
// the ring, which holds 8,192 by default.
const near = 9_000

// replay is a client that was away and catches up.
func replay(ctx context.Context, l *lab) error {
	total := max(cmp.Or(l.opts.Events, 300_000), 2*few)
	send, err := l.open(ctx, subject.Own{})
	if err != nil {
		return err
	}
	server := send.server
	apps, err := createApps(ctx, server, 1, 0)
	if err != nil {
		return err
	}
	r := &rerun{lab: l, server: server, sender: send, apps: apps}
	if err := r.fill(ctx, few); err != nil {
		return err
	}
	early, err := r.startNearEnd(ctx)
	if err != nil {
		return err
	}
	before, err := server.Usage(ctx)
	if err != nil {
		return err
	}
	if err := r.fill(ctx, total); err != nil {
		return err
	}
	after, err := server.Usage(ctx)
	if err != nil {
		return err
	}
	late, err := r.startNearEnd(ctx)
	if err != nil {
		return err
	}
	if err := r.whole(ctx); err != nil {
		return err
	}
	l.found(Figure{What: fmt.Sprintf("first event near the end of %s", thousands(few)), Value: early.Seconds() * 1000, Unit: "ms"})
	l.found(Figure{
		What: fmt.Sprintf("first event near the end of %s", thousands(int64(total))), Target: "P6", Value: late.Seconds() * 1000, Unit: "ms",
		Want: atMost(max(20, 2*early.Seconds()*1000)),
	})
	note := "the IDs of the last hour are remembered, to drop duplicates"
	l.found(Figure{What: fmt.Sprintf("server memory with %s events stored", thousands(few)), Value: float64(before.Resident) / (1 << 20), Unit: "MiB"})
	l.found(Figure{What: fmt.Sprintf("server memory with %s events stored", thousands(int64(total))), Value: float64(after.Resident) / (1 << 20), Unit: "MiB", Note: note})
	return nil
}

// rerun is what replays are measured with.
type rerun struct {
	*lab
	server *subject.Server
	sender *sender
	apps   []subject.App
}

// fill stores events until there are so many.
func (r *rerun) fill(ctx context.Context, total int) error {
	left := total - int(r.sender.last)
	return r.sender.fill(ctx, left, func(done int) {
		if done%20_000 == 0 || done == left {
			r.tell("%s of %s events stored", thousands(int64(r.sender.last)), thousands(int64(total)))
		}
	})
}

// whole lets a client catch up from the oldest event.
func (r *rerun) whole(ctx context.Context) error {
	a := newAudience(r.sender.events, 1, 0)
	a.expect(r.sender.last)
	before, err := r.server.Usage(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := r.gather(ctx, r.server, a, wish{apps: r.apps, query: "since=earliest"}); err != nil {
		return err
	}
	if err := a.await(ctx, patience); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := r.server.Usage(ctx)
	if err != nil {
		return err
	}
	n := int(r.sender.last)
	r.found(Figure{What: fmt.Sprintf("one client catches up on %s events", thousands(int64(n))), Target: "P6", Value: float64(n) / took.Seconds(), Unit: "events/s", Want: atLeast(100_000)})
	r.found(Figure{What: "server CPU per replayed event", Value: spent{cpu: after.CPU - before.CPU, deliveries: n}.perDelivery(), Unit: "µs"})
	return nil
}

// startNearEnd returns the median time from a client's connect to its first
// event, when it begins a little before the end of the journal.
func (r *rerun) startNearEnd(ctx context.Context) (time.Duration, error) {
	var all []time.Duration
	for i := range starts {
		r.tell("start near the end of %s events, %d of %d", thousands(int64(r.sender.last)), i+1, starts)
		took, err := r.start(ctx)
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

func (r *rerun) start(ctx context.Context) (time.Duration, error) {
	after := r.sender.last - near
	a := newAudience(r.sender.events, 1, after)
	a.expect(r.sender.last)
	query := "since=" + strconv.FormatUint(after, 10)
	start := time.Now()
	c, err := r.gather(ctx, r.server, a, wish{apps: r.apps, query: query})
	if err != nil {
		return 0, err
	}
	if err := a.await(ctx, patience); err != nil {
		return 0, err
	}
	c.swarm.Close()
	return time.Unix(0, a.first.Load()).Sub(start), nil
}
