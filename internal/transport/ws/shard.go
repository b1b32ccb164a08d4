package ws

import (
	"context"
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
// one selection per view serve them all, and whatever came meanwhile goes out
// in the same writev.
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

	// Owned by run.
	pos    gatecast.Seq
	groups map[string]*group // by the key of their view
	beats  beats
	chosen selection // for one that catches up
	window []*gatecast.Event
	spare  []note
}

func (s *Server) newShard(f *frames) *shard {
	return &shard{
		apps: s.apps, ring: s.ring, frames: f, replays: s.replays, cursors: s.cursors, opts: s.opts, metrics: s.metrics,
		mail:   newMailbox(),
		beat:   []*wsconn.Frame{wsconn.NewText([]byte(senselink.HeartBeat))},
		pos:    s.ring.Head(),
		groups: make(map[string]*group),
		window: make([]*gatecast.Event, 0, batch),
	}
}

func (s *shard) post(n note) { s.mail.post(n) }

// run serves the shard's connections until ctx ends. Each round does a little
// of everything, so that nothing waits for a load to end: one batch of events,
// the notes, the heartbeats that are due.
func (s *shard) run(ctx context.Context) {
	moved, stop := s.ring.Listen()
	defer stop()
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		more := s.advance()
		s.readMail()
		s.marks.pass(s.pos)
		more = s.keepAlive(s.opts.Now()) || more
		if more && ctx.Err() == nil {
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

// advance pushes the next events to every connection that is level. It
// reports whether there were any.
func (s *shard) advance() bool {
	events, ok := s.ring.Window(s.pos, s.window[:0])
	if !ok {
		s.fallBehind()
		return true
	}
	if len(events) == 0 {
		return false
	}
	s.pos = events[len(events)-1].Seq
	now := s.opts.Now()
	for _, g := range s.groups {
		if len(g.conns) == 0 {
			continue // no frame is made for nobody
		}
		g.chosen.choose(g.conns[0].view, 0, events, s.frames)
		for i := len(g.conns) - 1; i >= 0; i-- { // backwards: push may take conns[i] out
			s.push(g, g.conns[i], now)
		}
	}
	return true
}

// push writes a group's chosen frames to a level connection. One that does
// not take them all leaves the group, with its position after the last it took.
func (s *shard) push(g *group, c *conn, now time.Time) {
	chosen := g.chosen.after(c.trail.position())
	if len(chosen.frames) == 0 {
		c.trail.pass(s.pos)
		return
	}
	all := c.push(chosen, s.metrics)
	s.expect(c, now)
	if all {
		c.trail.pass(s.pos)
		return
	}
	g.drop(c)
	c.enter(blocked)
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
	s.pos = s.ring.Head()
	for _, g := range s.groups {
		for len(g.conns) > 0 {
			c := g.conns[len(g.conns)-1]
			g.drop(c)
			s.replay(c)
		}
	}
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

// goOn resumes a connection that is in a state, and no other.
func (s *shard) goOn(c *conn, in state) {
	if c.state() != in {
		return
	}
	c.enter(blocked) // the replayer has it no longer
	s.reckon(c)
	s.resume(c)
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
		s.group(c.view).drop(c)
		s.forgetIfEmpty(c.view)
		s.resume(c)
	}
}

// stretch is how many batches a connection gets at a time while it catches up.
// Then the others have their turn.
const stretch = 4

// resume brings a connection forward to where the shard is, or says who goes
// on with it.
func (s *shard) resume(c *conn) {
	c.view = c.wanted
	c.enter(blocked)
	if c.begin.open || !s.greet(c) {
		if c.begin.open {
			s.replay(c)
		}
		return
	}
	defer s.expectIfOwing(c)
	for range stretch {
		if c.sock.Stats().Waiting {
			return
		}
		events, ok := s.ring.Window(c.trail.position(), s.window[:0])
		if !ok {
			if !c.waits() {
				s.replay(c)
			}
			return
		}
		// Beyond its shard's position it goes only to where it was born: all of
		// that is replayed, all after it is live.
		events = upTo(events, max(s.pos, c.who.born))
		if len(events) == 0 {
			s.join(c)
			return
		}
		s.chosen.choose(c.view, c.who.born, events, s.frames)
		if !c.push(s.chosen, s.metrics) {
			return
		}
		c.trail.pass(events[len(events)-1].Seq)
	}
	c.Drained() // not its socket, but the others were waited for
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
	c.enter(level)
	s.group(c.view).add(c)
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

// bury forgets a connection whose socket is gone. What it was not known to
// have is sent to the next one of its consumer.
func (s *shard) bury(c *conn) {
	s.lastWord(c, s.opts.Now())
	switch c.state() {
	case level:
		s.group(c.view).drop(c)
	case replaying:
		s.replays.drop(c)
	}
	if c.receipt.keeps {
		s.cursors.Commit()
	}
	c.enter(dead)
	s.beats.remove(c)
	s.forgetIfEmpty(c.view)
}

// forgetIfEmpty drops a group that nobody is in, and with it its last frames.
func (s *shard) forgetIfEmpty(v *view) {
	if g := s.groups[v.key]; g != nil && len(g.conns) == 0 {
		delete(s.groups, v.key)
	}
}

func (s *shard) group(v *view) *group {
	g := s.groups[v.key]
	if g == nil {
		g = &group{}
		s.groups[v.key] = g
	}
	return g
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
