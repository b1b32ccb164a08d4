package ws

import (
	"container/heap"
	"time"

	"github.com/gatecast/gatecast/senselink"
)

// idle is how long a shard without connections sleeps at most.
const idle = time.Hour

// session maps the server's options to those of the protocol.
func (o Options) session() senselink.SessionOptions {
	return senselink.SessionOptions{HeartBeat: o.Heartbeat, Jitter: o.Jitter, DeadAfter: o.DeadAfter}
}

// welcome takes a connection that has been told 20000 and sends it what it has
// missed, and what has come since.
func (s *shard) welcome(c *conn) {
	s.attend(c, s.opts.Now())
	if c.begin.open {
		s.openFromRing(c)
	}
	s.line(c)
}

// keepAlive attends to connections whose time has come, to so many at a time
// that events do not wait for them: after an event to thousands of connections
// thousands are due. It reports whether there are more.
func (s *shard) keepAlive(now time.Time) bool {
	for range attended {
		if len(s.beats) == 0 || now.Before(s.beats[0].seat.due) {
			return false
		}
		s.attend(s.beats[0], now)
	}
	return true
}

// attended bounds how many connections are attended to before events have
// their turn: a Ping is a system call, so this is one or two milliseconds.
const attended = 128

// attend does what a connection's session asks for, asks for what it has to
// confirm, and enters in the heap when it is to be attended to again.
func (s *shard) attend(c *conn, now time.Time) {
	s.watch(c, now)
	if next := c.receipt.clock.next; !next.IsZero() && !now.Before(next) {
		s.ask(c, now)
	}
	c.session.Heard(s.lastSign(c, now))
	for {
		action, due := c.session.Next(now)
		switch action {
		case senselink.SendHeartBeat:
			s.heartbeat(c, now)
			continue
		case senselink.CloseDead:
			s.metrics.cut("dead")
			c.sock.Abort()
			s.beats.remove(c)
			return
		}
		s.beats.set(c, s.earliest(c, due))
		break
	}
	if !c.seat.partBy.IsZero() {
		s.partIfLevel(c)
	}
}

// lastSign returns when a connection last gave a sign of life. Its socket is
// looked at only if nothing was read from it for a while.
func (s *shard) lastSign(c *conn, now time.Time) time.Time {
	heard := c.sock.LastRead()
	if now.Sub(heard) < s.opts.Heartbeat/2 {
		return heard
	}
	if c.seat.drains.progress(c.sock) {
		return now
	}
	return heard
}

// earliest returns when a connection is to be attended to, if its session says
// due.
func (s *shard) earliest(c *conn, due time.Time) time.Time {
	r := &c.receipt
	if !r.clock.next.IsZero() && r.clock.next.Before(due) {
		due = r.clock.next
	}
	if r.clock.waiting.IsZero() || r.silent.Load() {
		return due
	}
	late := r.clock.waiting.Add(s.opts.ConfirmTimeout)
	if now := s.opts.Now(); !late.After(now) {
		late = now.Add(s.opts.ConfirmTimeout) // it had its time and may be gone: watch will see later
	}
	if late.Before(due) {
		due = late
	}
	return due
}

// heartbeat sends code 10000 where a connection is level: one that is being
// sent events, or takes nothing, would only have it in the way. The Ping is
// always asked for; a socket that is blocked sends it when it can.
func (s *shard) heartbeat(c *conn, now time.Time) {
	if c.state() == level {
		_, _ = c.sock.Push(s.beat) // may be left out: only events are owed
		s.settle(c)
	}
	s.ask(c, now)
}

// beats is a heap of connections, the one to be attended to next on top.
type beats []*conn

// wait returns how long a shard may sleep.
func (b beats) wait(now time.Time) time.Duration {
	if len(b) == 0 {
		return idle
	}
	return max(0, b[0].seat.due.Sub(now))
}

func (b *beats) set(c *conn, due time.Time) {
	c.seat.due = due
	if c.seat.beat < 0 {
		heap.Push(b, c)
	} else {
		heap.Fix(b, c.seat.beat)
	}
}

func (b *beats) remove(c *conn) {
	if c.seat.beat >= 0 {
		heap.Remove(b, c.seat.beat)
	}
}

// Len is part of heap.Interface, as are the methods below.
func (b beats) Len() int           { return len(b) }
func (b beats) Less(i, j int) bool { return b[i].seat.due.Before(b[j].seat.due) }

func (b beats) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].seat.beat, b[j].seat.beat = i, j
}

// Push is part of heap.Interface.
func (b *beats) Push(x any) {
	c := x.(*conn)
	c.seat.beat = len(*b)
	*b = append(*b, c)
}

// Pop is part of heap.Interface.
func (b *beats) Pop() any {
	end := len(*b) - 1
	c := (*b)[end]
	(*b)[end] = nil
	*b = (*b)[:end]
	c.seat.beat = -1
	return c
}
