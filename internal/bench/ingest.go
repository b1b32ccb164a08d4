package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/internal/bench/floor"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// ingest is events that are on disk before their sender hears so.
func ingest(ctx context.Context, l *lab) error {
	if err := l.files(256); err != nil {
		return err
	}
	server, err := l.server(ctx, subject.Own{})
	if err != nil {
		return err
	}
	events := load.NewEvents(l.opts.Size)
	length := cmp.Or(l.opts.For, 6*time.Second)
	next := uint64(0) // numbers of events go on from one load to the next
	if err := l.lone(ctx, server, events, &next, length); err != nil {
		return err
	}
	crowd := work{"256 senders, one event each", 256, 1, atLeast(10_000)}
	if err := l.many(ctx, server, events, &next, length, crowd); err != nil {
		return err
	}
	return l.many(ctx, server, events, &next, length, work{fmt.Sprintf("4 senders, batches of %s", thousands(int64(most(events)))), 4, most(events), atLeast(25_000)})
}

// lone is one sender that waits for each answer, beside a raw fsync of as many
// bytes on the same file system, by turns.
func (l *lab) lone(ctx context.Context, server *subject.Server, e *load.Events, next *uint64, length time.Duration) error {
	part := length / (2 * rounds)
	var raw, ours float64
	for round := range rounds {
		l.tell("one sender, one event at a time, round %d of %d", round+1, rounds)
		if l.opts.Server == "" {
			r, err := floor.Sync(ctx, l.data, l.opts.Size, 0, part)
			if err != nil {
				return fmt.Errorf("raw fsync: %w", err)
			}
			raw += r.PerSecond / rounds
		}
		done, _, err := l.postFor(ctx, server, e, next, part, 1, 1)
		if err != nil {
			return err
		}
		ours += done / rounds
	}
	f := Figure{What: "one sender, one event at a time", Value: ours, Unit: "events/s"}
	l.found(f)
	if raw > 0 {
		l.found(Figure{What: "raw fsync of as many bytes", Value: raw, Unit: "/s"})
		l.found(Figure{What: "one sender, of raw fsync", Target: "P5", Value: ours / raw, Unit: "x", Want: atLeast(0.8), Doubtful: l.volatile(), Note: l.diskNote()})
	}
	return nil
}

// work is senders that all post at once.
type work struct {
	what           string
	senders, batch int
	want           *Bound // events per second
}

func (l *lab) many(ctx context.Context, server *subject.Server, e *load.Events, next *uint64, length time.Duration, w work) error {
	l.tell("%s, for %v", w.what, length)
	before, err := server.Usage(ctx)
	if err != nil {
		return err
	}
	from := time.Now()
	rate, shed, err := l.postFor(ctx, server, e, next, length, w.senders, w.batch)
	if err != nil {
		return err
	}
	after, err := server.Usage(ctx)
	if err != nil {
		return err
	}
	stored := max(1, int(rate*time.Since(from).Seconds()))
	note := ""
	if shed > 0 {
		note = fmt.Sprintf("%s requests were answered 503", thousands(shed))
	}
	l.found(Figure{What: w.what, Target: "P5", Value: rate, Unit: "events/s", Want: w.want, Note: note})
	l.found(Figure{What: w.what + ", server CPU per event", Value: spent{cpu: after.CPU - before.CPU, deliveries: stored}.perDelivery(), Unit: "µs"})
	return nil
}

// postFor posts for a time and returns how many events per second were stored.
func (l *lab) postFor(ctx context.Context, server *subject.Server, e *load.Events, next *uint64, length time.Duration, senders, batch int) (perSecond float64, shed int64, err error) {
	from := *next
	p := &posters{body: func(n uint64) []byte {
		if batch == 1 {
			return e.Append(nil, from+n)
		}
		return e.Batch(from+(n-1)*uint64(batch)+1, from+n*uint64(batch))
	}}
	for range senders {
		c, err := load.Dial(ctx, target(server))
		if err != nil {
			return 0, 0, err
		}
		defer c.Close()
		p.conns = append(p.conns, c)
	}
	limit, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	start := time.Now()
	if err := p.run(limit); err != nil {
		return 0, 0, err
	}
	took := time.Since(start) // a little more than length: what was under way counts, with its time
	*next = from + p.next.Load()*uint64(batch)
	return float64(p.done.Load()) * float64(batch) / took.Seconds(), p.shed.Load(), ctx.Err()
}
