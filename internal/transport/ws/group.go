package ws

import (
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// group is the connections of a shard that are level and have the same view.
type group struct {
	conns  []*conn
	frames []*wsconn.Frame // chosen last
	seqs   []gatecast.Seq  // of frames
}

// choose selects and encodes what a view sees of events.
func (g *group) choose(v view, events []*gatecast.Event, f *frames) {
	clear(g.frames)
	g.frames, g.seqs = g.frames[:0], g.seqs[:0]
	for _, ev := range events {
		if v.sees(ev) {
			g.frames = append(g.frames, f.of(ev))
			g.seqs = append(g.seqs, ev.Seq)
		}
	}
}

// after returns the chosen frames that come after a position. Connections that
// come from the journal may be ahead of their shard for a moment.
func (g *group) after(pos gatecast.Seq) ([]*wsconn.Frame, []gatecast.Seq) {
	i := 0
	for i < len(g.seqs) && g.seqs[i] <= pos {
		i++
	}
	return g.frames[i:], g.seqs[i:]
}

func (g *group) add(c *conn) {
	c.index = len(g.conns)
	g.conns = append(g.conns, c)
}

func (g *group) drop(c *conn) {
	end := len(g.conns) - 1
	g.conns[c.index] = g.conns[end]
	g.conns[c.index].index = c.index
	g.conns[end] = nil
	g.conns = g.conns[:end]
	c.index = -1
}
