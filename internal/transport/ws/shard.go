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
	opts    Options
	metrics *metrics
	mail    *mailbox
	marks   marks

	beat []*wsconn.Frame // the one of a heartbeat

	// Owned by run.
	pos    gatecast.Seq
	groups map[view]*group
	beats  beats
	window []*gatecast.Event
	spare  []note
}

func newShard(apps Apps, ring Ring, f *frames, r *replayer, o Options, m *metrics) *shard {
	return &shard{
		apps: apps, ring: ring, frames: f, replays: r, opts: o, metrics: m,
		mail:   newMailbox(),
		beat:   []*wsconn.Frame{wsconn.NewText([]byte(senselink.HeartBeat))},
		pos:    ring.Head(),
		groups: make(map[view]*group),
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
		s.keepAlive(s.opts.Now())
		if more && ctx.Err() == nil {
			continue
		}
		clock.Reset(s.beats.wait(s.opts.Now()))
		select {
		case <-ctx.Done():
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
	for v, g := range s.groups {
		if len(g.conns) == 0 {
			continue // no frame is made for nobody
		}
		g.choose(v, events, s.frames)
		for i := len(g.conns) - 1; i >= 0; i-- { // backwards: push may take conns[i] out
			s.push(g, g.conns[i])
		}
	}
	return true
}

// push writes a group's chosen frames to a level connection. One that does
// not take them all leaves the group, with its position after the last it took.
func (s *shard) push(g *group, c *conn) {
	frames, seqs := g.after(c.pos)
	if s.send(c, frames, seqs) {
		c.pos = max(c.pos, s.pos)
		return
	}
	g.drop(c)
	c.state = blocked
}

// send pushes frames and keeps count of the position. It reports false if the
// socket did not take them all: it is full, and Drained will tell, or it is
// gone, and its reader will.
func (s *shard) send(c *conn, frames []*wsconn.Frame, seqs []gatecast.Seq) bool {
	if len(frames) == 0 {
		return true
	}
	n, err := c.sock.Push(frames)
	s.metrics.delivered(n)
	if n > 0 {
		c.pos = seqs[n-1]
	}
	return err == nil && n == len(frames)
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
		c := n.conn
		switch n.what {
		case joined:
			s.welcome(c)
		case drained:
			c.told.Store(false)
			if c.state == blocked {
				s.resume(c)
			}
		case changed:
			s.retune(c)
		case leaving:
			c.leaving = true
			s.partIfLevel(c)
		case returned:
			if c.state == replaying {
				s.resume(c)
			}
		case left:
			s.bury(c)
		}
	}
	clear(notes)
	s.spare = notes
}

// retune lets a connection see what its app may see now, from where it stands.
// The app is asked for here and not where the change was noticed, so that of
// several changes the last one counts.
func (s *shard) retune(c *conn) {
	app, ok := s.apps.App(c.app)
	if !ok {
		return // and the connection is being closed
	}
	c.wanted = viewOf(app.Filter())
	if c.state == level && c.wanted != c.view {
		s.group(c.view).drop(c)
		s.resume(c)
	}
}

// partIfLevel closes a connection that is to leave and has everything.
func (s *shard) partIfLevel(c *conn) {
	if c.leaving && c.state == level {
		c.sock.Close(wsconn.StatusRestart, restartReason)
	}
}

// stretch is how many batches a connection gets at a time while it catches up.
// Then the others have their turn.
const stretch = 4

// resume brings a connection forward to where the shard is, or says who goes
// on with it.
func (s *shard) resume(c *conn) {
	c.view = c.wanted
	g := s.group(c.view)
	for range stretch {
		if c.sock.Stats().Waiting {
			c.state = blocked
			return
		}
		events, ok := s.ring.Window(c.pos, s.window[:0])
		if !ok {
			s.replay(c)
			return
		}
		events = upTo(events, s.pos)
		if len(events) == 0 {
			c.state = level
			g.add(c)
			s.partIfLevel(c)
			return
		}
		g.choose(c.view, events, s.frames)
		if !s.send(c, g.frames, g.seqs) {
			c.state = blocked
			return
		}
		c.pos = events[len(events)-1].Seq
	}
	c.state = blocked
	c.Drained() // not its socket, but the others were waited for
}

// upTo leaves out the events after a position: the shard brings them to all.
func upTo(events []*gatecast.Event, last gatecast.Seq) []*gatecast.Event {
	for len(events) > 0 && events[len(events)-1].Seq > last {
		events = events[:len(events)-1]
	}
	return events
}

func (s *shard) replay(c *conn) {
	c.state = replaying
	s.replays.add(c)
}

// bury forgets a connection whose socket is gone.
func (s *shard) bury(c *conn) {
	switch c.state {
	case level:
		s.group(c.view).drop(c)
	case replaying:
		s.replays.drop(c)
	}
	c.state = dead
	s.beats.remove(c)
	if g := s.groups[c.view]; g != nil && len(g.conns) == 0 {
		delete(s.groups, c.view)
	}
}

func (s *shard) group(v view) *group {
	g := s.groups[v]
	if g == nil {
		g = &group{}
		s.groups[v] = g
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
