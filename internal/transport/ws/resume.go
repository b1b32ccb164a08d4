package ws

import (
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// goOn brings a connection on that is in a state, and no other.
func (s *shard) goOn(c *conn, in state) {
	if c.state() != in {
		return
	}
	s.line(c) // first: the replayer has it no longer
	s.reckon(c)
}

// line puts a connection in the queue of those that are behind.
func (s *shard) line(c *conn) {
	c.enter(queued)
	s.behind.add(c)
}

// retune lets a connection see what its app may see now, from where it stands.
// The app is asked for here and not where the change was noticed, so that of
// several changes the last one counts.
func (s *shard) retune(c *conn) {
	app, ok := s.apps.App(c.who.app)
	if !ok {
		return // and the connection is being closed
	}
	c.receipt.window = app.CatchUp.WithDefaults().Window
	wanted := newView(app.Filter(), c.who.asked.Filter, c.who.asked.Seq)
	if wanted.key == c.wanted.key {
		return
	}
	c.wanted = wanted
	if c.state() == level {
		s.leave(c)
		s.line(c)
	}
}

// stretch is how many batches a connection gets at a time while it catches up.
// Then the others have their turn.
const stretch = 4

// share is how many events are looked at for those that are behind before the
// level ones have their turn: so many are one or two milliseconds.
const share = 1024

// bringOn gives those that are behind their turns, app by app, until their
// share is used up: as much as those that are level were sent in this round,
// since a thousand connections need more than one does, and more often than
// not there are none. It reports whether there may be more.
func (s *shard) bringOn(sent int) bool {
	for left := max(share, sent); left > 0; {
		c, ok := s.behind.next()
		if !ok {
			return false
		}
		left -= max(1, s.resume(c))
	}
	return true
}

// resume brings a connection forward to where the shard is, or says who goes
// on with it. It returns how many events it has looked at.
func (s *shard) resume(c *conn) (seen int) {
	if c.view != c.wanted {
		s.level.forget(c.view)
		c.view = c.wanted
	}
	c.enter(blocked)
	if c.begin.open || !s.greet(c) {
		if c.begin.open {
			s.replay(c)
		}
		return seen
	}
	defer s.expectIfOwing(c)
	for range stretch {
		if c.sock.Stats().Waiting {
			return seen
		}
		events, ok := s.ring.Window(c.position(), s.window[:0])
		if !ok {
			if !c.waits() {
				s.replay(c)
			}
			return seen
		}
		// Beyond its shard's position it goes only to where it was born: all of
		// that is replayed, all after it is live.
		events = upTo(events, max(s.position(), c.who.born))
		if len(events) == 0 {
			s.join(c)
			return seen
		}
		seen += len(events)
		s.chosen.choose(c.view, c.who.born, events, s.frames)
		if !c.push(s.chosen, s.metrics) {
			s.goOnIfClaimed(c)
			return seen
		}
		c.trail.pass(events[len(events)-1].Seq)
	}
	s.line(c)
	return seen
}

// goOnIfClaimed brings on a connection that has stopped for want of
// acknowledgements, if it has acknowledged beforehand what it was sent just now:
// no message will say so again.
func (s *shard) goOnIfClaimed(c *conn) {
	a := c.receipt.acks
	if a == nil || a.credit() > 0 {
		return
	}
	s.reckon(c)
	if a.credit() > 0 && !c.trail.over.Load() && !c.sock.Stats().Waiting {
		s.line(c)
	}
}

// waits reports whether the journal would be read for nothing: the client has
// to acknowledge first, and Message brings the connection on, or its socket is
// gone, and its reader tells.
func (c *conn) waits() bool {
	a := c.receipt.acks
	return c.trail.over.Load() || a != nil && a.credit() <= 0
}

func (s *shard) expectIfOwing(c *conn) {
	if c.owes() {
		s.expect(c, s.opts.Now())
	}
}

// greet sends what stands before the first event. It reports false if the
// socket does not take it yet.
func (s *shard) greet(c *conn) bool {
	if c.begin.greeting == nil {
		return true
	}
	if n, _ := c.sock.Push([]*wsconn.Frame{c.begin.greeting}); n == 0 {
		return false // full, and Drained tells; or gone, and its reader does
	}
	c.begin.greeting = nil
	return true
}

// join makes a connection level.
func (s *shard) join(c *conn) {
	s.level.add(c)
	c.enter(level)
	s.settle(c)
	s.partIfLevel(c)
}

// upTo leaves out the events after a position: the shard brings them to all.
func upTo(events []*gatecast.Event, last gatecast.Seq) []*gatecast.Event {
	for len(events) > 0 && events[len(events)-1].Seq > last {
		events = events[:len(events)-1]
	}
	return events
}

func (s *shard) replay(c *conn) {
	c.enter(replaying)
	s.replays.add(c)
}
