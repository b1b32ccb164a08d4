package ledger

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/gatecast/gatecast"
)

// slot is the progress of one subscription in memory.
type slot struct {
	p       gatecast.Progress
	changed bool   // since raw was made
	raw     []byte // p as a record; valid unless changed
}

// own is a key that holds one record, as it stands in the bucket.
type own struct {
	raw []byte
	rev uint64 // 0: there is no such key
}

// drawer is the subscriptions that lie under one key.
type drawer struct {
	slots map[string]*slot
	dirty bool
	value []byte         // as it stands in the bucket, as far as is known
	rev   uint64         // of value; 0: there is no such key
	own   map[string]own // the keys of their own that value names
}

// table is the progress of every subscription there is, in memory. What it knows
// of the bucket is changed by one goroutine only: Run's, and Open's before that.
type table struct {
	// mu guards the fields below. It is held only for map work.
	mu      sync.Mutex
	drawers [drawers]drawer
	waiting []chan<- error // hear of the next commit
	keep    func(id string) bool
}

func newTable() *table {
	t := &table{}
	for d := range t.drawers {
		t.drawers[d].slots = map[string]*slot{}
	}
	return t
}

func (t *table) get(id string) (gatecast.Progress, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.drawers[drawerOf(id)].slots[id]
	if s == nil {
		return gatecast.Progress{}, false
	}
	return s.p, true
}

func (t *table) save(id string, p gatecast.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.drawers[drawerOf(id)]
	s := d.slots[id]
	if s == nil {
		s = &slot{}
		d.slots[id] = s
	}
	s.p, s.changed, d.dirty = p, true, true
}

// forget takes a subscription away, so that the next commit does so on disk.
func (t *table) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.drawers[drawerOf(id)]
	if d.slots[id] != nil {
		delete(d.slots, id)
		d.dirty = true
	}
}

func (t *table) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for d := range t.drawers {
		all = slices.AppendSeq(all, maps.Keys(t.drawers[d].slots))
	}
	return all
}

func (t *table) retain(keep func(id string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep = keep
}

func (t *table) keeper() func(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keep
}

// wait returns where the outcome of the next commit is told.
func (t *table) wait() <-chan error {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := make(chan error, 1)
	t.waiting = append(t.waiting, told)
	return told
}

// outcome is what was told, if anything was, after Run has ended.
func (t *table) outcome(told <-chan error) error {
	select {
	case err := <-told: // by the last commit
		return err
	default:
		return unavailable(errors.New("the store is closed"))
	}
}

// waiters returns those who wait, and forgets them.
func (t *table) waiters() []chan<- error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.waiting
	t.waiting = nil
	return all
}

// replace puts a drawer in place as it was read. What was saved and not
// committed is gone.
func (t *table) replace(d int, c contents) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drawers[d] = drawer{slots: map[string]*slot{}, value: c.value, rev: c.rev, own: c.own}
	for _, r := range c.records {
		t.drawers[d].slots[r.id] = &slot{p: r.p, raw: r.raw}
	}
}

// clamp brings back all progress in epoch that stands beyond last, and returns
// what it was.
func (t *table) clamp(epoch string, last gatecast.Seq) map[string]gatecast.Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	clamped := map[string]gatecast.Progress{}
	for d := range t.drawers {
		for id, s := range t.drawers[d].slots {
			if s.p.Epoch == epoch && s.p.Head > last {
				clamped[id] = s.p
				s.p, s.changed, t.drawers[d].dirty = clamp(s.p, last), true, true
			}
		}
	}
	return clamped
}

// dirty returns the drawers to write.
func (t *table) dirty() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []int
	for d := range t.drawers {
		if t.drawers[d].dirty {
			all = append(all, d)
		}
	}
	return all
}

// copy returns a drawer and considers it written.
func (t *table) copy(d int) drawer {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.drawers[d]
	t.drawers[d].dirty = false
	c.slots, c.own = make(map[string]*slot, len(c.slots)), maps.Clone(c.own)
	for id, s := range t.drawers[d].slots {
		twin := *s
		c.slots[id] = &twin
		s.changed = false // written says so if it is not encoded
	}
	return c
}

// written notes what of a copied drawer lies where. Unless whole, it has to be
// written again.
func (t *table) written(d int, c drawer, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := &t.drawers[d]
	now.value, now.rev, now.own = c.value, c.rev, c.own
	now.dirty = now.dirty || !whole
	for id, was := range c.slots {
		if s := now.slots[id]; s != nil {
			s.raw, s.changed = was.raw, s.changed || was.changed
		}
	}
}
