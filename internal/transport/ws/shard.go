package ws

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// batch is how many frames go into one writev at most: beyond it the system
// call is no longer what costs.
const batch = 64

// shard pushes to its part of the connections, from one goroutine. All of
// them that are level stand at the same position, so one look at the ring and
// one selection per view serve them all, whatever came meanwhile goes out in
// the same writev, and an event is nothing to those who do not see it.
type shard struct {
	apps    Apps
	ring    Ring
	frames  *frames
	replays *replayer
	cursors Cursors
	opts    Options
	metrics *metrics
	mail    *mailbox
	marks   marks

	beat []*wsconn.Frame // the one of a heartbeat

	pos atomic.Uint64 // of the shard and so of all who are level; moved by run, when what is before it is pushed

	// Owned by run.
	level  *index // the connections that are level
	behind *queue // those that wait for their turn to be brought on
	beats  beats
	chosen selection // for one that catches up
	window []*gatecast.Event
	spare  []note
}

func (s *Server) newShard(f *frames) *shard {
	sh := &shard{
		apps: s.apps, ring: s.ring, frames: f, replays: s.replays, cursors: s.cursors, opts: s.opts, metrics: s.metrics,
		mail:   newMailbox(),
		beat:   []*wsconn.Frame{wsconn.NewText([]byte(senselink.HeartBeat))},
		level:  newIndex(),
		behind: newQueue(),
		window: make([]*gatecast.Event, 0, batch),
	}
	sh.pos.Store(uint64(s.ring.Head()))
	return sh
}

func (s *shard) post(n note) { s.mail.post(n) }

func (s *shard) position() gatecast.Seq { return gatecast.Seq(s.pos.Load()) }

// run serves the shard's connections until ctx ends.
func (s *shard) run(ctx context.Context) {
	moved, stop := s.ring.Listen()
	defer stop()
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		if s.round() && ctx.Err() == nil {
			continue
		}
		clock.Reset(s.beats.wait(s.opts.Now()))
		select {
		case <-ctx.Done():
			s.readMail() // of those that have left, their last word counts
			return
		case <-moved:
		case <-s.mail.flag:
		case <-clock.C:
		}
	}
}

// round does a little of everything, so that nothing waits for a load to end:
// one batch of events, the notes, some of those that are behind, the heartbeats
// that are due. It reports whether there is more to do.
func (s *shard) round() bool {
	sent, more := s.advance()
	s.readMail()
	more = s.bringOn(sent) || more
	s.marks.pass(s.position())
	return s.keepAlive(s.opts.Now()) || more
}

// advance pushes the next events to every level connection that sees any. The
// position is moved after that: whoever did not take everything is level no
// more by then, and who sees nothing has moved without being touched. It
// returns how many deliveries that were, and whether there were any events.
func (s *shard) advance() (sent int, more bool) {
	events, ok := s.ring.Window(s.position(), s.window[:0])
	if !ok {
		s.fallBehind()
		return 0, true
	}
	if len(events) == 0 {
		return 0, false
	}
	now := s.opts.Now()
	for _, g := range s.level.choose(events, s.frames) {
		sent += len(g.conns) * len(g.chosen.frames)
		for i := len(g.conns) - 1; i >= 0; i-- { // backwards: push may take conns[i] out
			s.push(g, g.conns[i], now)
		}
		g.chosen.clear()
	}
	s.pos.Store(uint64(events[len(events)-1].Seq))
	return sent, true
}

// push writes a group's chosen frames to a level connection. One that does
// not take them all leaves the group, with its position after the last it took.
func (s *shard) push(g *group, c *conn, now time.Time) {
	chosen := g.chosen.after(c.position())
	if len(chosen.frames) == 0 {
		return
	}
	all := c.push(chosen, s.metrics)
	s.expect(c, now)
	if !all {
		s.leave(c)
		s.goOnIfClaimed(c)
	}
}

// leave takes a connection out of the level ones. It stood where its shard
// stands; now it needs a position of its own, before anybody can see that it
// is level no more.
func (s *shard) leave(c *conn) {
	c.trail.pass(s.position())
	c.enter(blocked)
	s.level.drop(c)
}

// push hands frames to a connection's socket and keeps count. It reports false
// if the socket did not take them all: it is full, and Drained will tell, it is
// gone, and its reader will, or the client has to acknowledge, and Message will.
func (c *conn) push(sel selection, m *metrics) bool {
	want := len(sel.frames)
	if a := c.receipt.acks; a != nil {
		sel.frames = sel.frames[:min(want, max(0, a.credit()))]
	}
	if len(sel.frames) == 0 {
		return want == 0
	}
	n, err := c.sock.Push(sel.frames)
	if err != nil {
		c.trail.over.Store(true)
	}
	m.delivered(n)
	if n > 0 {
		if a := c.receipt.acks; a != nil {
			a.sent(sel.seqs[:n])
		}
		c.trail.took(n, sel.seqs[n-1])
	}
	return err == nil && n == want
}

// fallBehind is what happens when the shard itself has fallen off the ring:
// its connections read the journal, each from where it stands.
func (s *shard) fallBehind() {
	for _, g := range s.level.groups {
		for len(g.conns) > 0 {
			c := g.conns[len(g.conns)-1]
			s.leave(c)
			s.replay(c)
		}
	}
	s.pos.Store(uint64(s.ring.Head()))
}

// readMail acts on what became of connections.
func (s *shard) readMail() {
	notes := s.mail.take(s.spare)
	for _, n := range notes {
		s.act(n.conn, n.what)
	}
	clear(notes)
	s.spare = notes
}

func (s *shard) act(c *conn, what event) {
	switch what {
	case joined:
		s.welcome(c)
	case drained:
		c.told.Store(false)
		s.goOn(c, blocked)
	case changed:
		s.retune(c)
	case confirmed:
		s.heard(c, s.opts.Now())
	case acked:
		c.receipt.acks.told.Store(false)
		s.reckon(c)
		s.goOn(c, blocked)
		s.partIfLevel(c)
	case leaving:
		c.seat.leaving = true
		s.partIfLevel(c)
	case returned:
		s.goOn(c, replaying)
	case left:
		s.bury(c)
	}
}

// bury forgets a connection whose socket is gone. What it was not known to
// have is sent to the next one of its consumer.
func (s *shard) bury(c *conn) {
	s.lastWord(c, s.opts.Now())
	switch c.state() {
	case level:
		s.leave(c)
	case queued:
		s.behind.drop(c)
	case replaying:
		s.replays.drop(c)
	}
	if c.receipt.keeps {
		s.cursors.Commit()
	}
	c.enter(dead)
	s.beats.remove(c)
	s.level.forget(c.view)
}

// reached returns a channel that is closed once the shard has pushed
// everything up to a position.
func (s *shard) reached(pos gatecast.Seq) <-chan struct{} {
	c := s.marks.set(pos)
	select {
	case s.mail.flag <- struct{}{}: // wake it: it may have been there for long
	default:
	}
	return c
}
