package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/internal/bench/subject"
)

// appSize is how many clients of a storm share an app; missed is how many
// events they find when they are back.
const (
	appSize = 1000
	missed  = 50
)

// storm is what happens after a crash: everybody comes back at the same
// moment, and wants what came meanwhile. Each client has a name, and so a
// position of its own: clients that share their app's would share the work.
func storm(ctx context.Context, l *lab) error {
	n := cmp.Or(l.opts.Clients, 10_000)
	if err := l.files(n); err != nil {
		return err
	}
	send, err := l.open(ctx, subject.Own{})
	if err != nil {
		return err
	}
	server, events := send.server, send.events
	apps, err := createApps(ctx, server, max(1, n/appSize), n)
	if err != nil {
		return err
	}
	c, err := l.gather(ctx, server, newAudience(events, n, 0), wish{apps: apps, named: true})
	if err != nil {
		return err
	}
	s := &stage{server, c, send}
	if _, err := s.deliver(ctx, missed); err != nil {
		return err
	}
	if err := s.confirmed(ctx); err != nil {
		return err
	}
	return l.comeBack(ctx, s, apps)
}

// confirmed waits until the server has asked every client how far it is, and
// knows: what is not confirmed is sent again.
func (s *stage) confirmed(ctx context.Context) error {
	timer := time.NewTimer(3 * time.Second) // a question a second, and a write to disk a second
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// comeBack ends the server as a crash does, starts it again, and lets all
// clients connect at once. What they have missed is stored by then.
func (l *lab) comeBack(ctx context.Context, s *stage, apps []subject.App) error {
	n := len(s.crowd.next)
	if s.server.IsOwn() {
		l.tell("the server is killed and started again")
		if err := s.server.Kill(); err != nil {
			return err
		}
		s.crowd.swarm.Close()
		start := time.Now()
		if err := s.server.Restart(ctx); err != nil {
			return err
		}
		l.found(Figure{What: "the server is ready again after a crash", Value: time.Since(start).Seconds(), Unit: "s", Note: "its journal is almost empty"})
	} else {
		s.crowd.swarm.Close()
	}
	before, err := s.server.Usage(ctx)
	if err != nil {
		return err
	}
	send, err := l.sender(ctx, s.server, s.sender.events)
	if err != nil {
		return err
	}
	send.last = s.sender.last
	a := newAudience(s.sender.events, n, s.sender.last)
	a.mayRepeat = true
	if err := send.send(missed); err != nil {
		return err
	}
	a.expect(send.last)
	start := time.Now()
	if _, err := l.gather(ctx, s.server, a, wish{apps: apps, named: true, dialing: -1}); err != nil {
		return err
	}
	open := time.Since(start)
	if err := a.await(ctx, patience); err != nil {
		return err
	}
	level := time.Since(start)
	after, err := s.server.Usage(ctx)
	if err != nil {
		return err
	}
	l.found(Figure{What: fmt.Sprintf("%s clients connected again", thousands(int64(n))), Value: open.Seconds(), Unit: "s"})
	l.found(Figure{What: fmt.Sprintf("%s clients level again, each with %d missed events", thousands(int64(n)), missed), Target: "P8", Value: level.Seconds(), Unit: "s", Want: atMost(5)})
	l.found(Figure{What: "server CPU per client", Value: spent{cpu: after.CPU - before.CPU, deliveries: n}.perDelivery(), Unit: "µs"})
	l.found(Figure{What: "events that were sent again", Value: float64(a.repeated.Load())})
	if after.Peak > 0 {
		l.found(Figure{What: "server memory, at most", Value: float64(after.Peak) / (1 << 20), Unit: "MiB"})
	}
	return nil
}
