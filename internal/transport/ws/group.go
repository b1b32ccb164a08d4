package ws

import (
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// selection is what a view sees of a stretch of events, ready to be sent.
type selection struct {
	frames []*wsconn.Frame
	seqs   []gatecast.Seq // of frames
}

// choose fills the selection. Born is the newest event at the time when the
// connection it is for was made; 0 if it is for all that are level.
func (sel *selection) choose(v *view, born gatecast.Seq, events []*gatecast.Event, f *frames) {
	sel.clear()
	for _, ev := range events {
		if v.sees(ev) {
			sel.add(ev.Seq, f.of(ev, v.form(ev, born)))
		}
	}
}

func (sel *selection) add(seq gatecast.Seq, frame *wsconn.Frame) {
	sel.frames, sel.seqs = append(sel.frames, frame), append(sel.seqs, seq)
}

// clear keeps the room, and nothing in it.
func (sel *selection) clear() {
	clear(sel.frames)
	sel.frames, sel.seqs = sel.frames[:0], sel.seqs[:0]
}

// after returns the part that comes after a position. Connections that come
// from the journal may be ahead of their shard for a moment.
func (sel *selection) after(pos gatecast.Seq) selection {
	i := 0
	for i < len(sel.seqs) && sel.seqs[i] <= pos {
		i++
	}
	return selection{sel.frames[i:], sel.seqs[i:]}
}

// group is the connections of a shard that are level and have the same view.
type group struct {
	view   *view
	conns  []*conn
	chosen selection // while they are pushed to; empty between rounds
}

func (g *group) add(c *conn) {
	c.seat.index = len(g.conns)
	g.conns = append(g.conns, c)
}

func (g *group) drop(c *conn) {
	end := len(g.conns) - 1
	g.conns[c.seat.index] = g.conns[end]
	g.conns[c.seat.index].seat.index = c.seat.index
	g.conns[end] = nil
	g.conns = g.conns[:end]
	c.seat.index = -1
}
