package cursor

import "github.com/gatecast/gatecast"

// merge takes a drawer as it stands in the bucket at a revision. What others
// know better is taken over; what this node knows better stays, and stays to be
// written. A cursor that is missing from the bucket stays too: whoever forgot
// it had its reason, and this node will learn of it by itself.
func (t *table) merge(d int, rev uint64, records []record) (evicted []gatecast.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mergeLocked(d, rev, records)
}

// news is merge for a revision that may be old: what this node has written
// itself, and what came before that, is known.
func (t *table) news(d int, rev uint64, records []record) (evicted []gatecast.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rev <= t.drawers[d].rev {
		return nil
	}
	return t.mergeLocked(d, rev, records)
}

func (t *table) mergeLocked(d int, rev uint64, records []record) (evicted []gatecast.Cursor) {
	t.drawers[d].rev = rev
	for _, r := range records {
		t.take(r)
		evicted = append(evicted, t.evict(r.App, nil)...)
	}
	return evicted
}

func (t *table) revision(d int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drawers[d].rev
}

// take merges one record. The caller holds mu.
func (t *table) take(r record) {
	theirs := r.slot()
	c := theirs.cur.Consumer
	if gone, forgotten := t.gone[c.App]; forgotten && !theirs.born.After(gone) {
		return
	}
	ours := t.apps[c.App][c.Name]
	switch {
	case ours == nil:
		t.add(theirs)
	case ours.raw && !ours.twin(theirs):
		// Another node was faster, and its cursor may stand further back: what
		// lies between has not been sent.
		ours.cur, ours.found = theirs.cur, true
		ours.born, ours.used = theirs.born, later(ours.used, theirs.used)
	default:
		ours.join(theirs, t.epoch)
	}
}

// twin reports whether o is what this node has written of s itself, or looks
// just like it.
func (s *slot) twin(o *slot) bool {
	return s.born.Equal(o.born) && s.cur.Seq == o.cur.Seq && s.cur.Epoch == o.cur.Epoch
}

// join makes one of what two nodes know of a cursor.
func (s *slot) join(o *slot, epoch string) {
	mine, other := s.cur, o.cur
	switch {
	case mine.Epoch == other.Epoch && s.back:
	case mine.Epoch == other.Epoch:
		s.cur.Seq = max(mine.Seq, other.Seq)
		s.cur.Complete = later(mine.Complete, other.Complete)
	case mine.Epoch != epoch && (other.Epoch == epoch || o.used.After(s.used)):
		s.cur.Epoch, s.cur.Seq, s.cur.Complete = other.Epoch, other.Seq, other.Complete
	}
	s.cur.Confirmed = later(mine.Confirmed, other.Confirmed)
	s.cur.Lost = max(mine.Lost, other.Lost)
	s.used, s.born = later(s.used, o.used), later(s.born, o.born)
}

// clamp brings back every cursor of this journal that stands beyond its end.
// The journal has lost its tail, and gives the same Seqs to other events.
func (t *table) clamp(last gatecast.Seq) (clamped []gatecast.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, app := range t.apps {
		for _, s := range app {
			if s.cur.Epoch == t.epoch && s.cur.Seq > last {
				clamped = append(clamped, s.cur)
				s.cur.Seq, s.back = last, true
				t.dirty.set(s.drawer)
			}
		}
	}
	return clamped
}

// copied is a drawer as it is about to be written.
type copied struct {
	records []record
	waiting []*slot // those of which nothing is on disk yet, or something wrong
	rev     uint64
}

// copy returns a drawer and considers it written.
func (t *table) copy(d int) copied {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty.clear(d)
	t.stale.clear(d)
	t.urgent.clear(d)
	c := copied{rev: t.drawers[d].rev, records: make([]record, 0, len(t.drawers[d].slots))}
	for s := range t.drawers[d].slots {
		c.records = append(c.records, s.record())
		s.noted = s.used
		if s.stored != nil || s.back {
			c.waiting = append(c.waiting, s)
		}
	}
	return c
}

// written notes that a copied drawer is on disk at a revision, without the
// records for which there was no room.
func (t *table) written(d int, rev uint64, c copied, out []record) (evicted []gatecast.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drawers[d].rev = max(t.drawers[d].rev, rev)
	for _, s := range c.waiting {
		s.raw, s.back = false, false
		s.release()
	}
	for _, r := range out {
		s := t.apps[r.App][r.Name]
		switch {
		case s == nil:
		case s.used.After(moment(r.Used)): // meanwhile; another will have to go
			t.dirty.set(d)
		default:
			evicted = append(evicted, s.cur)
			t.remove(s)
		}
	}
	return evicted
}

// unwritten notes that a copied drawer is not on disk.
func (t *table) unwritten(d int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty.set(d)
}

// hurry makes everything that has changed urgent.
func (t *table) hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.urgent |= t.dirty
}

// pending returns what there is to write: for somebody who waits, because it
// has changed, and because its times have.
func (t *table) pending() (urgent, dirty, stale mask) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.urgent, t.dirty, t.stale
}
