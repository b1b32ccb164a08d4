package bench

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gatecast/gatecast/internal/bench/floor"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// latency is how long an event takes from the moment it is due until a client
// has read it, by way of the disk.
func latency(ctx context.Context, l *lab) error {
	s, err := l.stage(ctx, subject.Own{}, 1, wish{})
	if err != nil {
		return err
	}
	rate, length := cmp.Or(l.opts.Rate, 100), cmp.Or(l.opts.For, 15*time.Second)
	l.tell("%s events/s to one client for %v", number(rate), length)
	took, err := l.follow(ctx, s, rate, max(1, int(rate*length.Seconds())))
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s events/s to one client, each on disk first", number(rate))
	if l.opts.Server != "" { // whose disk is not known
		l.latencies(took, what, "P4", 2, 10)
		return nil
	}
	l.tell("raw fsync at the same rate")
	raw, err := floor.Sync(ctx, l.data, l.opts.Size, time.Duration(float64(time.Second)/rate), min(length, 5*time.Second))
	if err != nil {
		return fmt.Errorf("raw fsync: %w", err)
	}
	l.latencies(took, what, "P4", 0, 10)
	disk := float64(raw.P50.Microseconds()) / 1000
	l.found(Figure{What: "raw fsync at the same rate, p50", Value: disk, Unit: "ms", Note: "a disk that is left alone in between takes longer"})
	// The target is 2 ms on a disk whose fsync takes 0.3 ms.
	l.found(Figure{What: "the median beyond raw fsync's", Target: "P4", Value: ms(took, 50) - disk, Unit: "ms", Want: atMost(1.7), Doubtful: l.volatile(), Note: l.diskNote()})
	return nil
}

// hands is how many connections share a timetable's events: so many may be on
// their way to the disk before one that is due has to wait.
const hands = 32

// follow sends so many events by a timetable, and returns the latencies in µs
// once every client has them all.
func (l *lab) follow(ctx context.Context, s *stage, rate float64, events int) (*hdrhistogram.Histogram, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var conns []*load.Poster
	for range hands {
		p, err := load.Dial(ctx, target(s.server))
		if err != nil {
			return nil, err
		}
		defer p.Close()
		conns = append(conns, p)
	}
	// Numbers go on from those sent before: the timetable's first is not due.
	first := s.sender.last + 1
	every := time.Duration(float64(time.Second) / rate)
	table := load.Timetable{Start: time.Now().Add(100*time.Millisecond - time.Duration(first-1)*every), Every: every}
	took := s.crowd.time(table, first, events)
	if err := sendByTable(ctx, conns, s.sender.events, table, first, events); err != nil {
		return nil, err
	}
	s.sender.last += uint64(events)
	if err := s.crowd.await(ctx, patience); err != nil {
		return nil, err
	}
	if took := time.Since(table.Due(first)).Seconds(); took > 1.1*float64(events)/rate+1 {
		l.found(Figure{What: "instead of the rate that was asked for, the server keeps up with", Value: float64(events) / took, Unit: "events/s", Note: "latencies say how far behind it was"})
	}
	return took, nil
}

// sendByTable posts events when they are due, each over the next free
// connection.
func sendByTable(ctx context.Context, conns []*load.Poster, e *load.Events, table load.Timetable, first uint64, events int) error {
	due := make(chan uint64)
	failed := make(chan error, len(conns))
	var work sync.WaitGroup
	for _, c := range conns {
		work.Go(func() {
			for n := range due {
				if err := c.Post(e.Append(nil, n)); err != nil {
					failed <- fmt.Errorf("event %d: %w", n, err)
					return
				}
			}
		})
	}
	defer work.Wait()
	defer close(due)
	for n := first; n < first+uint64(events); n++ {
		if err := table.Wait(ctx, n); err != nil {
			return err
		}
		select {
		case due <- n:
		case err := <-failed:
			return err
		}
	}
	return nil
}

// latencies adds percentiles to the report. P50 and p99 are bounds in ms if
// target is not empty.
func (l *lab) latencies(h *hdrhistogram.Histogram, what, target string, p50, p99 float64) {
	for _, q := range []struct {
		name    string
		percent float64
		most    float64
	}{{"p50", 50, p50}, {"p99", 99, p99}, {"p99.9", 99.9, 0}, {"max", 100, 0}} {
		f := Figure{What: what + ", " + q.name, Value: ms(h, q.percent), Unit: "ms"}
		if target != "" && q.most > 0 {
			f.Target, f.Want = target, atMost(q.most)
		}
		l.found(f)
	}
}

func ms(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtPercentile(percent)) / 1000
}
