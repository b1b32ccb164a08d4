package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/go-json-experiment/json/jsontext"
)

// attempts bounds how often a key is written anew because its revision is not
// what it should be.
const attempts = 8

// write writes one drawer: first the records that have keys of their own, then
// what names them. A crash in between leaves the drawer as it was, and beside it
// perhaps keys that it does not name: they count for nothing.
func (s *Store) write(ctx context.Context, d int) (err error) {
	c := s.table.copy(d)
	defer func() { s.table.written(d, c, err == nil) }()
	if err := s.encode(&c); err != nil {
		return err
	}
	apart := place(c, s.books.Limit()-envelope(s.writer, slices.Collect(maps.Keys(c.slots))))
	for _, id := range apart {
		if err := s.writeOwn(ctx, &c, id); err != nil {
			return err
		}
	}
	value, err := s.drawerValue(c, apart)
	if err != nil {
		return err
	}
	if !bytes.Equal(value, c.value) {
		if c.rev, err = s.put(ctx, drawerKey(d), value, c.rev, s.opts.Lease); err != nil {
			c.value = nil // it may have been written all the same
			return err
		}
		c.value = value
	}
	s.discardOwn(ctx, &c, apart)
	return nil
}

// encode brings the records of a drawer up to date.
func (s *Store) encode(c *drawer) error {
	limit := s.books.Limit() - envelope(s.writer, nil)
	for id, it := range c.slots {
		if !it.changed {
			continue
		}
		raw, cut, err := encodeRecord(id, it.p, limit)
		if err != nil {
			return err
		}
		if cut {
			s.opts.Log.Warn("a subscription has more pending events than can be stored; after a restart all of them would be sent again",
				"subscription", id, "pending", len(it.p.Pending), "replaying", len(it.p.Again))
		}
		it.raw, it.changed = raw, false
	}
	return nil
}

// place chooses which subscriptions of a drawer get a key of their own: those
// with large records, and as many more as it takes for the rest to fit into
// room.
func place(c drawer, room int) (apart []string) {
	ids := slices.SortedFunc(maps.Keys(c.slots), func(a, b string) int {
		return cmp.Or(len(c.slots[b].raw)-len(c.slots[a].raw), cmp.Compare(a, b))
	})
	rest := 0
	for _, id := range ids {
		rest += len(c.slots[id].raw) + len(",")
	}
	for _, id := range ids {
		n := len(c.slots[id].raw)
		_, was := c.own[id]
		if n > large || was && n >= small || rest > room {
			apart = append(apart, id)
			rest -= n + len(",")
		}
	}
	return apart
}

// writeOwn writes the key of its own of one subscription, if it has changed.
func (s *Store) writeOwn(ctx context.Context, c *drawer, id string) error {
	raw, was := c.slots[id].raw, c.own[id]
	if bytes.Equal(raw, was.raw) {
		return nil
	}
	value, err := drawerRecord{Writer: s.writer, Records: []jsontext.Value{raw}}.encode()
	if err != nil {
		return err
	}
	// A key that its drawer did not name is nobody's.
	rev, err := s.put(ctx, ownKey(id), value, was.rev, s.opts.Lease && was.rev > 0)
	if err != nil {
		return err
	}
	if c.own == nil {
		c.own = map[string]own{}
	}
	c.own[id] = own{raw, rev}
	return nil
}

// discardOwn removes the keys of their own that the drawer no longer names.
func (s *Store) discardOwn(ctx context.Context, c *drawer, apart []string) {
	for id, was := range c.own {
		if slices.Contains(apart, id) {
			continue
		}
		delete(c.own, id)
		if err := s.books.Delete(ctx, ownKey(id), was.rev); err != nil {
			s.opts.Log.Debug("a key that nothing needs stays in the bucket", "key", ownKey(id), "err", err)
		}
	}
}

// drawerValue is a drawer as it is written, but for those that lie apart.
func (s *Store) drawerValue(c drawer, apart []string) ([]byte, error) {
	slices.Sort(apart)
	r := drawerRecord{Writer: s.writer, Own: apart}
	for _, id := range slices.Sorted(maps.Keys(c.slots)) {
		if _, there := slices.BinarySearch(apart, id); !there {
			r.Records = append(r.Records, c.slots[id].raw)
		}
	}
	return r.encode()
}

// put writes a key over the revision this store knows. If it stands at another,
// this store may have written it without hearing of it; then it is tried again.
// What another store wrote means, where fenced, that this node has lost the
// lease, else that somebody has meddled with the bucket, or that nothing names
// the key: it is written over.
func (s *Store) put(ctx context.Context, key string, value []byte, rev uint64, fenced bool) (uint64, error) {
	for range attempts {
		if !s.lease.holds() {
			return rev, notLeading()
		}
		now, err := s.books.Put(ctx, key, value, rev)
		if !errors.Is(err, bucket.ErrChanged) {
			if err != nil {
				now = rev
			}
			return now, wrapWrite(key, err)
		}
		e, err := s.books.Get(ctx, key)
		if err != nil && !errors.Is(err, bucket.ErrMissing) {
			return rev, wrapWrite(key, err)
		}
		if err == nil {
			if err := s.foreign(e, fenced); err != nil {
				return rev, err
			}
		}
		rev = e.Rev // 0 if it is missing
	}
	return rev, gatecast.Errorf(gatecast.Unavailable, "%s does not keep still", key)
}

func wrapWrite(key string, err error) error {
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// foreign returns why a value that this store did not expect may not be written
// over, or nil.
func (s *Store) foreign(e bucket.Entry, fenced bool) error {
	d, err := decodeDrawer(e.Value)
	switch {
	case err == nil && d.Writer == s.writer:
		return nil
	case fenced:
		s.lose("another node has written " + e.Key)
		return notLeading()
	case gatecast.CodeOf(err) == gatecast.Invalid:
		return err
	}
	return nil
}
