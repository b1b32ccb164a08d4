package cursor

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	// refresh is how old the stored times of a cursor may get while only they
	// change: a consumer that confirms the same position again and again must
	// not cost an fsync each time.
	refresh = time.Minute
	// remember is how long a node leaves alone the cursors of an app that it has
	// forgotten and others have not.
	remember = 10 * time.Minute
)

// slot is one cursor in memory.
type slot struct {
	cur    gatecast.Cursor
	born   time.Time     // when it was made
	used   time.Time     // when its consumer last moved or confirmed it, or came back
	noted  time.Time     // used as it stands in the drawer, or soon will
	drawer int           // where it lies
	stored chan struct{} // closed once it is on disk, or gone; nil after that
	raw    bool          // it has just been made here: nothing has moved it, and it is not on disk
	found  bool          // it was made here, but another node had made it already
	back   bool          // it was moved back, and what is on disk stands further
}

// table is every cursor there is, in memory.
type table struct {
	epoch string
	max   int // cursors of one app

	// mu guards the fields below and the slots. It is held only for map work.
	mu      sync.Mutex
	apps    map[string]map[string]*slot // by app and name
	drawers [drawers]drawer
	gone    map[string]time.Time // when an app was forgotten; an entry stays for remember, and until the next is made
	count   int
	dirty   mask // drawers to write
	stale   mask // drawers of which only times have changed
	urgent  mask // drawers that somebody waits for
}

// drawer is the cursors that lie under one key.
type drawer struct {
	slots map[*slot]struct{}
	rev   uint64 // the newest revision merged into the slots; 0: there is no such key
}

func newTable(epoch string, max int) *table {
	t := &table{epoch: epoch, max: max, apps: map[string]map[string]*slot{}, gone: map[string]time.Time{}}
	for i := range t.drawers {
		t.drawers[i].slots = map[*slot]struct{}{}
	}
	return t
}

// begin finds or makes a cursor. If it is not on disk yet, stored closes once
// it is.
func (t *table) begin(c gatecast.Consumer, at gatecast.Seq, now time.Time) (cur gatecast.Cursor, existed bool, stored <-chan struct{}, evicted []gatecast.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.apps[c.App][c.Name]
	if existed = s != nil; existed {
		s.used = later(s.used, now)
		t.stale.set(s.drawer)
	} else {
		s = &slot{
			cur:  gatecast.Cursor{Consumer: c, Epoch: t.epoch, Seq: at, Complete: now},
			born: t.birth(c.App, now), used: now, noted: now, stored: make(chan struct{}), raw: true,
		}
		t.add(s)
		t.dirty.set(s.drawer)
		evicted = t.evict(c.App, s)
	}
	if s.stored != nil {
		t.urgent.set(s.drawer)
		stored = s.stored
	}
	return s.cur, existed, stored, evicted
}

// birth is now, but always after the app was last forgotten: a new cursor must
// not be taken for one of those.
func (t *table) birth(app string, now time.Time) time.Time {
	if gone, there := t.gone[app]; there && !now.After(gone) {
		return gone.Add(time.Millisecond)
	}
	return now
}

// add puts a slot in its place. The caller holds mu.
func (t *table) add(s *slot) {
	c := s.cur.Consumer
	if t.apps[c.App] == nil {
		t.apps[c.App] = map[string]*slot{}
	}
	s.drawer = drawerOf(c)
	t.apps[c.App][c.Name] = s
	t.drawers[s.drawer].slots[s] = struct{}{}
	t.count++
}

// crowded reports whether there is no room for a new consumer: its app has as
// many as it may, and each was used after since.
func (t *table) crowded(c gatecast.Consumer, since time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.apps[c.App][c.Name] != nil || len(t.apps[c.App]) < t.max || c.Name == "" {
		return false
	}
	idlest := t.idlest(c.App, nil)
	return idlest == nil || idlest.used.After(since)
}

// evict takes away an app's idlest cursors, but never spared, until there are
// not too many. The caller holds mu.
func (t *table) evict(app string, spared *slot) (evicted []gatecast.Cursor) {
	for len(t.apps[app]) > t.max {
		idlest := t.idlest(app, spared)
		if idlest == nil {
			break
		}
		evicted = append(evicted, idlest.cur)
		t.remove(idlest)
	}
	return evicted
}

// idlest returns the cursor of an app that was idle longest. The app's own is
// never it, nor spared: names that clients choose must not push it out. The
// caller holds mu.
func (t *table) idlest(app string, spared *slot) (idlest *slot) {
	for name, s := range t.apps[app] {
		if name != "" && s != spared && (idlest == nil || idler(s, idlest)) {
			idlest = s
		}
	}
	return idlest
}

// idler reports whether a has been idle longer than b. Of two that have been
// idle as long the name decides, so that all nodes agree.
func idler(a, b *slot) bool {
	return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.cur.Consumer.Name, b.cur.Consumer.Name)) < 0
}

// remove takes a slot away, so that the next commit removes it from its drawer.
// The caller holds mu.
func (t *table) remove(s *slot) {
	c := s.cur.Consumer
	delete(t.apps[c.App], c.Name)
	if len(t.apps[c.App]) == 0 {
		delete(t.apps, c.App)
	}
	delete(t.drawers[s.drawer].slots, s)
	t.count--
	t.dirty.set(s.drawer)
	s.release()
}

// release lets go whoever waits for the slot to be stored.
func (s *slot) release() {
	if s.stored != nil {
		close(s.stored)
		s.stored = nil
	}
}

func (t *table) confirm(c gatecast.Consumer, seq gatecast.Seq, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.apps[c.App][c.Name]; s != nil {
		first := s.cur.Confirmed.IsZero()
		s.cur.Confirmed = later(s.cur.Confirmed, now)
		t.moved(s, t.advance(s, seq) || first, now)
	}
}

func (t *table) pass(c gatecast.Consumer, seq gatecast.Seq, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.apps[c.App][c.Name]
	switch {
	case s == nil:
	case t.advance(s, seq):
		t.moved(s, true, now)
	default: // it is here all the same: others are idler
		s.used = later(s.used, now)
		t.stale.set(s.drawer)
	}
}

func (t *table) lose(c gatecast.Consumer, gap gatecast.GapNotice, complete, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.apps[c.App][c.Name]
	if s == nil {
		return
	}
	foreign := gap.Reason == gatecast.GapEpoch || gap.Reason == gatecast.GapAhead
	if !foreign && s.cur.Epoch == t.epoch {
		if gap.To <= s.cur.Seq {
			return // another connection of the consumer has confirmed it: it is not lost
		}
		gap.From, complete = max(gap.From, s.cur.Seq), later(s.cur.Complete, complete)
	}
	if gap.To > gap.From {
		s.cur.Lost += uint64(gap.To - gap.From)
	}
	s.cur.Complete = complete
	t.advance(s, gap.To)
	if foreign && s.cur.Seq > gap.To {
		s.cur.Seq, s.back = gap.To, true
	}
	t.moved(s, true, now)
}

// advance moves a slot forward and reports whether it moved. A slot that still
// stands in another journal moves over to this one: whoever reads, reads this
// one. The caller holds mu.
func (t *table) advance(s *slot, seq gatecast.Seq) bool {
	if s.cur.Epoch == t.epoch && seq <= s.cur.Seq {
		return false
	}
	s.cur.Epoch, s.cur.Seq = t.epoch, seq
	return true
}

// moved notes that a slot has been used. If it has not changed but for its
// times, the drawer can wait until it is written anyway, or for refresh. The
// caller holds mu.
func (t *table) moved(s *slot, changed bool, now time.Time) {
	s.used = later(s.used, now)
	s.raw = false
	if !changed && s.used.Sub(s.noted) < refresh {
		t.stale.set(s.drawer)
		return
	}
	s.noted = s.used
	t.dirty.set(s.drawer)
}

// get returns a cursor, and whether it turned out to exist already.
func (t *table) get(c gatecast.Consumer) (cur gatecast.Cursor, found, there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.apps[c.App][c.Name]
	if s == nil {
		return gatecast.Cursor{}, false, false
	}
	return s.cur, s.found, true
}

func (t *table) of(app string) []gatecast.Cursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []gatecast.Cursor
	for _, s := range t.apps[app] {
		all = append(all, s.cur)
	}
	slices.SortFunc(all, func(a, b gatecast.Cursor) int { return cmp.Compare(a.Consumer.Name, b.Consumer.Name) })
	return all
}

func (t *table) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.apps))
}

func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// forget removes an app's cursors and remembers that it has.
func (t *table) forget(app string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.gone, func(_ string, at time.Time) bool { return now.Sub(at) > remember })
	last := now
	for _, s := range t.apps[app] {
		last = later(last, s.born)
		t.remove(s)
	}
	t.gone[app] = last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
