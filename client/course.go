package client

import (
	"cmp"
	"hash/maphash"

	"github.com/gatecast/gatecast"
)

// course follows the order in which the server sends events: what is new, what
// came before, and where the order breaks. It believes nothing the server does
// not say twice: an epoch that changes and a Seq that goes back are noticed
// also where no notice of them comes. It is not safe for concurrent use.
type course struct {
	named bool  // the server keeps the cursor, so it may begin anywhere before seen
	known bool  // seen is a place
	seen  place // newest event, or where the server began

	seed   maphash.Seed
	places recent[place, uint64] // the newest events by place; the values are sums of their data
	bodies recent[body, struct{}]
}

// body is what makes two events with different places the same one. The sum is
// there because a device that was reset counts from 1 again: an ID alone would
// have a new event dropped.
type body struct {
	id  string
	sum uint64
}

// verdict says what an event is.
type verdict int

const (
	fresh    verdict = iota // to be handed out
	known                   // the same place as before
	repeated                // a new place, but the same event
)

// newCourse makes a course that remembers the newest so many events.
func newCourse(named bool, remember int) *course {
	return &course{
		named: named, seed: maphash.MakeSeed(),
		places: newRecent[place, uint64](remember), bodies: newRecent[body, struct{}](remember),
	}
}

// resume makes the course go on after p.
func (c *course) resume(p Position) { c.known, c.seen.Position = true, p }

// begin takes in where the server begins and returns what is lost by that. A
// notice that was given before returns nil.
func (c *course) begin(b *begin) *gatecast.GapNotice {
	from := c.seen.Seq
	switch {
	case !c.known:
		c.resume(b.start)
		return b.gap
	case b.start.Epoch != c.seen.Epoch:
		c.turn(b.start)
		return cmp.Or(b.gap, &gatecast.GapNotice{From: from, To: b.start.Seq, Reason: gatecast.GapEpoch})
	case b.head < from:
		c.turn(b.start)
		return cmp.Or(b.gap, &gatecast.GapNotice{From: from, To: b.start.Seq, Reason: gatecast.GapAhead})
	case b.start.Seq > from:
		c.seen.Seq = b.start.Seq
		if b.gap != nil {
			return &gatecast.GapNotice{From: from, To: b.start.Seq, Reason: b.gap.Reason}
		}
		if !c.named { // with a name, another connection has confirmed them
			return &gatecast.GapNotice{From: from, To: b.start.Seq, Reason: gatecast.GapRetention}
		}
	}
	return nil
}

// push takes in an event and says what it is, and what is lost before it.
func (c *course) push(p Position, id string, data []byte) (verdict, *gatecast.GapNotice) {
	sum := maphash.Bytes(c.seed, data)
	before := Position{Epoch: p.Epoch, Seq: p.Seq - 1}
	var gap *gatecast.GapNotice
	switch at := (place{p, c.seen.age}); {
	case !c.known:
		c.resume(before)
	case p.Epoch != c.seen.Epoch:
		gap = &gatecast.GapNotice{From: c.seen.Seq, To: before.Seq, Reason: gatecast.GapEpoch}
		c.turn(before)
	case p.Seq <= c.seen.Seq:
		former, there := c.places.get(at)
		if there && former == sum {
			return known, nil
		}
		// Another event in a place that was taken: the journal was set back. A
		// place not remembered may also be one of before, which a server that
		// crashed sends again; twice is better than never.
		if there || !c.named {
			gap = &gatecast.GapNotice{From: c.seen.Seq, To: before.Seq, Reason: gatecast.GapAhead}
		}
		c.turn(before)
	}
	c.seen.Position = p
	c.places.put(c.seen, sum)
	if id == "" {
		return fresh, gap
	}
	b := body{id, sum}
	if _, there := c.bodies.get(b); there {
		return repeated, gap
	}
	c.bodies.put(b, struct{}{})
	return fresh, gap
}

// turn goes on in another journal: no place met so far means anything in it.
func (c *course) turn(p Position) { c.seen = place{p, c.seen.age + 1} }

// recent is a map that forgets the oldest key when it is full.
type recent[K comparable, V any] struct {
	limit int
	order []K // a ring, once it has limit keys
	next  int // the oldest of it
	held  map[K]V
}

func newRecent[K comparable, V any](limit int) recent[K, V] {
	return recent[K, V]{limit: limit, held: make(map[K]V)}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	v, ok := r.held[key]
	return v, ok
}

// put adds a key that is not there yet.
func (r *recent[K, V]) put(key K, value V) {
	r.held[key] = value
	if len(r.order) < r.limit {
		r.order = append(r.order, key)
		return
	}
	delete(r.held, r.order[r.next])
	r.order[r.next] = key
	r.next = (r.next + 1) % r.limit
}
