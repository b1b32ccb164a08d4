package ws

import (
	"slices"

	"github.com/gatecast/gatecast"
)

// index is the groups of a shard, found by what their views can see: an event
// is looked at where it may be seen, and nowhere else.
type index struct {
	groups  map[string]*group   // all, by the key of their view
	wide    []*group            // they see every device; few, there are only so many such views
	devices map[string][]*group // by device that they see
	persons map[int64][]*group  // by group of persons that they see
	seeing  []*group            // what choose returned last
}

func newIndex() *index {
	return &index{groups: make(map[string]*group), devices: make(map[string][]*group), persons: make(map[int64][]*group)}
}

// choose has every group that sees any of the events make its selection, and
// returns these groups.
func (x *index) choose(events []*gatecast.Event, f *frames) []*group {
	clear(x.seeing)
	x.seeing = x.seeing[:0]
	for _, ev := range events {
		x.offer(x.wide, ev, f)
		x.offer(x.devices[ev.Device], ev, f)
		for _, id := range ev.Groups {
			x.offer(x.persons[id], ev, f)
		}
	}
	return x.seeing
}

func (x *index) offer(to []*group, ev *gatecast.Event, f *frames) {
	for _, g := range to {
		n := len(g.chosen.seqs)
		switch {
		case len(g.conns) == 0: // no frame is made for nobody
		case n > 0 && g.chosen.seqs[n-1] == ev.Seq: // another group of the person led here
		case g.view.sees(ev):
			if n == 0 {
				x.seeing = append(x.seeing, g)
			}
			g.chosen.add(ev.Seq, f.of(ev, g.view.form(ev, 0)))
		}
	}
}

// add puts a connection into the group of its view.
func (x *index) add(c *conn) {
	g := x.groups[c.view.key]
	if g == nil {
		g = &group{view: c.view}
		x.groups[c.view.key] = g
		x.file(g.view, func(list []*group) []*group { return append(list, g) })
	}
	g.add(c)
}

// drop takes a connection out of its group, which stays: most come back to it.
func (x *index) drop(c *conn) { x.groups[c.view.key].drop(c) }

// forget drops the group of a view if nobody is in it.
func (x *index) forget(v *view) {
	g := x.groups[v.key]
	if g == nil || len(g.conns) > 0 {
		return
	}
	delete(x.groups, v.key)
	x.file(g.view, func(list []*group) []*group {
		return slices.DeleteFunc(list, func(other *group) bool { return other == g })
	})
}

// file changes every list in which the group of a view has its place. A view of
// both devices and groups of persons sees only what is in both, so it is filed
// under the fewer, and under devices if they are as many: an event has only one.
func (x *index) file(v *view, change func([]*group) []*group) {
	if v.narrow == nil {
		x.wide = change(x.wide)
		return
	}
	devices, persons := v.narrow.Devices, v.narrow.Groups
	if len(persons) == 0 || len(devices) > 0 && len(devices) <= len(persons) {
		refile(x.devices, devices, change)
	} else {
		refile(x.persons, persons, change)
	}
}

func refile[K comparable](lists map[K][]*group, keys []K, change func([]*group) []*group) {
	for _, k := range keys {
		if list := change(lists[k]); len(list) > 0 {
			lists[k] = list
		} else {
			delete(lists, k)
		}
	}
}
