package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/internal/bench/subject"
)

// settle is how long memory is watched, if nothing else is asked for: what was used for the handshakes goes
// back to the system little by little.
const settle = 20 * time.Second

// idle is what a connection costs that has been served and has nothing to do.
func idle(ctx context.Context, l *lab) error {
	n := cmp.Or(l.opts.Clients, 10_000)
	if err := l.files(n); err != nil {
		return err
	}
	send, err := l.open(ctx, subject.Own{})
	if err != nil {
		return err
	}
	server, events := send.server, send.events
	if err := send.send(1); err != nil { // what the first event needs is not the clients'
		return err
	}
	watch := cmp.Or(l.opts.For, settle)
	empty, err := l.quiet(ctx, server, watch)
	if err != nil {
		return err
	}
	apps, err := createApps(ctx, server, 1, n)
	if err != nil {
		return err
	}
	c, err := l.gather(ctx, server, newAudience(events, n, 1), wish{apps: apps})
	if err != nil {
		return err
	}
	s := &stage{server, c, send}
	if _, err := s.deliver(ctx, 1); err != nil { // a connection that has never been used is not what sites have
		return err
	}
	full, err := l.quiet(ctx, server, watch)
	if err != nil {
		return err
	}
	l.found(Figure{What: "memory of the server without clients", Value: float64(empty) / (1 << 20), Unit: "MiB"})
	l.found(Figure{What: fmt.Sprintf("memory of the server with %s idle clients", thousands(int64(n))), Value: float64(full) / (1 << 20), Unit: "MiB"})
	l.found(Figure{What: "memory of an idle connection", Target: "P3", Value: float64(full-empty) / float64(n) / 1024, Unit: "KiB", Want: atMost(6), Doubtful: l.attached(), Note: l.sharedNote("its memory may hold what others have used")})
	return nil
}

// quiet returns the least memory that the server is resident with, looked at
// for a time.
func (l *lab) quiet(ctx context.Context, server *subject.Server, length time.Duration) (least int64, err error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(length); ; {
		u, err := server.Usage(ctx)
		if err != nil {
			return 0, err
		}
		if least == 0 || u.Resident < least {
			least = u.Resident
		}
		if time.Now().After(end) {
			return least, nil
		}
		l.tell("memory settles: %.1f MiB, %v left", float64(u.Resident)/(1<<20), time.Until(end).Round(time.Second))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
