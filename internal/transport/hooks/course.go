package hooks

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/gatecast/gatecast"
)

// course is a reading of the journal from one position on: which of its events
// are still to be delivered, and which of them may be sent now. A subscription
// has one that never ends, and one for a replay.
//
// Events stand in lanes. Of a lane only the foremost may be under way; the
// order that a subscription is promised decides who shares one.
type course struct {
	order  gatecast.Order
	head   gatecast.Seq // read up to here
	stored time.Time    // when that was accepted; zero if nothing was read yet
	end    gatecast.Seq // the last one to be read; 0: there is none
	extra  bool         // of a replay: what it reads was to be delivered before
	list   []*entry     // what was read and is to be delivered, ascending; done ones are taken out by and by
	done   int          // of list
	lanes  map[string]*lane
	ready  bySeq    // the foremost of their lanes, to be sent now
	later  byDue    // the foremost of their lanes, to be sent at their time
	held   int      // events in memory that are not under way
	doubt  []*entry // refused too often, while nothing else passed, the oldest first: see doubt.go
	round  round
}

// entry is one event on its way.
type entry struct {
	seq     gatecast.Seq
	ev      *gatecast.Event // nil: not in memory, to be read again when its turn comes
	stored  time.Time
	lane    *lane
	record  record
	due     time.Time // not before
	alone   bool      // it was refused in company: it is sent by itself from now on
	done    bool
	doubted bool
	flying  bool
}

// record is how an entry has fared.
type record struct {
	tries    int
	failures int // in a row: the endpoint failed
	refusals int
	stale    bool               // it was sent on a connection that had been closed
	first    time.Time          // when it was first tried
	passed   uint64             // what the subscription had been delivered when it was first refused
	last     *gatecast.Exchange // the latest refusal
}

// lane is events that go one after the other.
type lane struct {
	key    string // empty: nobody else gets into it
	queue  []*entry
	flying int // the foremost ones, which are under way together
}

func newCourse(o gatecast.Order, after, end gatecast.Seq) *course {
	return &course{order: o, head: after, end: end, lanes: map[string]*lane{}}
}

// size is how many events are to be delivered.
func (c *course) size() int { return len(c.list) - c.done }

// over reports whether everything has been read and delivered.
func (c *course) over() bool { return c.end > 0 && c.head >= c.end && c.size() == 0 }

// add takes in the next event. One that has to wait for another is not kept in
// memory.
func (c *course) add(ev *gatecast.Event) {
	e := &entry{seq: ev.Seq, stored: ev.Stored, lane: c.laneOf(ev)}
	c.list = append(c.list, e)
	l := e.lane
	l.queue = append(l.queue, e)
	if len(l.queue) > 1 && l.flying == 0 && !l.queue[0].due.IsZero() {
		return
	}
	c.hold(e, ev)
	if len(l.queue) == 1 {
		c.ready.push(e)
	}
}

func (c *course) laneOf(ev *gatecast.Event) *lane {
	key := "all"
	switch c.order {
	case gatecast.OrderNone:
		return &lane{}
	case gatecast.OrderDevice:
		key = "device " + ev.Device
	}
	l := c.lanes[key]
	if l == nil {
		l = &lane{key: key}
		c.lanes[key] = l
	}
	return l
}

func (c *course) hold(e *entry, ev *gatecast.Event) {
	if e.ev == nil {
		c.held++
	}
	e.ev = ev
}

// letGo forgets the events that are not under way, but not that they are to be
// delivered.
func (c *course) letGo() {
	for _, e := range c.list {
		if e.ev != nil && !e.flying {
			e.ev = nil
			c.held--
		}
	}
}

// find returns the entry of an event; nil if there is none to be delivered.
func (c *course) find(seq gatecast.Seq) *entry {
	i := sort.Search(len(c.list), func(i int) bool { return c.list[i].seq >= seq })
	if i < len(c.list) && c.list[i].seq == seq && !c.list[i].done {
		return c.list[i]
	}
	return nil
}

// oldest returns the first entry that is to be delivered; nil if there is none.
func (c *course) oldest() *entry {
	for len(c.list) > 0 && c.list[0].done {
		c.list[0] = nil
		c.list = c.list[1:]
		c.done--
	}
	if len(c.list) == 0 {
		return nil
	}
	return c.list[0]
}

// pending returns the positions of what is to be delivered, ascending.
func (c *course) pending() []gatecast.Seq {
	seqs := make([]gatecast.Seq, 0, c.size())
	for _, e := range c.list {
		if !e.done {
			seqs = append(seqs, e.seq)
		}
	}
	return seqs
}

// promote makes ready what has waited long enough.
func (c *course) promote(now time.Time) {
	for len(c.later) > 0 && !c.later[0].due.After(now) {
		c.ready.push(c.later.pop())
	}
}

// hasten makes ready everything that waits: the endpoint is back, or is tried as
// a whole now. What it has refused meanwhile is not held against the events.
func (c *course) hasten() {
	for len(c.later) > 0 {
		e := c.later.pop()
		e.due, e.record.refusals = time.Time{}, 0
		c.ready.push(e)
	}
}

// take returns up to n events that may be sent together, oldest lane first. They
// are under way until each was given to finish, back or suspect.
func (c *course) take(n int) (job []*entry) {
	for len(job) < n && len(c.ready) > 0 {
		if c.ready[0].alone && len(job) > 0 {
			return job
		}
		e := c.ready.pop()
		l := e.lane
		for len(job) < n && l.flying < len(l.queue) {
			next := l.queue[l.flying]
			if l.flying > 0 && (next.alone || e.alone) {
				break
			}
			c.fly(next)
			l.flying++
			job = append(job, next)
		}
		if e.alone {
			return job
		}
	}
	return job
}

func (c *course) fly(e *entry) {
	e.flying = true
	if e.ev != nil {
		c.held--
	}
}

// finish takes out an entry under way, or in doubt, that needs no more
// delivering.
func (c *course) finish(e *entry) {
	if e.doubted {
		c.doubt = slices.DeleteFunc(c.doubt, func(d *entry) bool { return d == e })
	} else {
		c.leave(e)
	}
	c.forget(e)
}

// back puts an entry under way back in its place, to be sent again at due. One
// in doubt is sent again when there is nothing else.
func (c *course) back(e *entry, due time.Time) {
	e.flying = false
	if e.doubted {
		e.ev = nil
		return
	}
	e.due = due
	if e.ev != nil {
		c.held++
	}
	e.lane.flying--
	c.advance(e.lane)
}

// suspect takes an entry under way out of the way of those behind it.
func (c *course) suspect(e *entry) {
	c.leave(e)
	e.doubted = true
	e.ev = nil
	c.doubt = append(c.doubt, e)
	slices.SortFunc(c.doubt, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
}

// reinstate puts the events in doubt back to the head of their lanes, but behind
// what is under way of these.
func (c *course) reinstate() {
	var kept []*entry
	for _, e := range slices.Backward(c.doubt) {
		if e.flying { // its answer says what becomes of it
			kept = append(kept, e)
			continue
		}
		l := e.lane
		if l.key != "" {
			if now := c.lanes[l.key]; now != nil {
				l = now
			}
			c.lanes[l.key] = l
		}
		e.lane, e.doubted, e.due, e.record.refusals = l, false, time.Time{}, 0
		l.queue = slices.Insert(l.queue, l.flying, e)
	}
	c.doubt, c.ready, c.later, c.round = kept, nil, nil, round{}
	for _, e := range c.list {
		if !e.done && !e.doubted && e.lane.queue[0] == e {
			c.advance(e.lane)
		}
	}
}

// leave takes an entry under way out of its lane.
func (c *course) leave(e *entry) {
	l := e.lane
	e.flying = false
	if i := slices.Index(l.queue, e); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	l.flying--
	c.advance(l)
}

// advance makes the foremost of a lane ready once nothing of it is under way.
func (c *course) advance(l *lane) {
	switch {
	case l.flying > 0:
	case len(l.queue) == 0:
		if l.key != "" {
			delete(c.lanes, l.key)
		}
	case l.queue[0].due.IsZero():
		c.ready.push(l.queue[0])
	default:
		c.later.push(l.queue[0])
	}
}

// forget marks an entry done, and takes the done ones out of the list when they
// are many.
func (c *course) forget(e *entry) {
	e.done, e.ev = true, nil
	c.done++
	if c.done > 32 && c.done > len(c.list)/2 {
		c.list = slices.DeleteFunc(c.list, func(e *entry) bool { return e.done })
		c.done = 0
	}
}
