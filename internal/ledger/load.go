package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/go-json-experiment/json/jsontext"
)

// contents is a drawer as it stands in the bucket, with what lies in keys of
// their own.
type contents struct {
	value   []byte
	rev     uint64
	records []parsed
	own     map[string]own
}

// load reads everything, at the start.
func (s *Store) load(ctx context.Context) error {
	if err := s.lease.opened(ctx, s.books); err != nil {
		return fmt.Errorf("read the lease: %w", err)
	}
	if err := s.reload(ctx, s.read); err != nil {
		return err
	}
	if err := s.findLetters(ctx); err != nil {
		return fmt.Errorf("find the dead letters: %w", err)
	}
	if s.opts.Lease {
		return nil // clamped by whoever leads
	}
	return s.clamp(ctx)
}

// reload reads every drawer, in one way or another.
func (s *Store) reload(ctx context.Context, read func(ctx context.Context, d int) (contents, error)) error {
	for d := range drawers {
		c, err := read(ctx, d)
		if err != nil {
			return fmt.Errorf("read the progress of subscriptions from %s: %w", drawerKey(d), err)
		}
		s.table.replace(d, c)
	}
	return nil
}

// clamp brings back what stands beyond the journal's end, on disk too: the
// journal may soon have grown past it.
func (s *Store) clamp(ctx context.Context) error {
	if s.opts.Last == nil {
		return nil
	}
	last, err := s.opts.Last(ctx)
	if err != nil {
		return fmt.Errorf("find the journal's newest event: %w", err)
	}
	for id, was := range s.table.clamp(s.opts.Epoch, last) {
		s.opts.Log.Warn("a subscription stands beyond the end of the journal, which must have lost its newest events; it is brought back",
			"subscription", id, "from", was.Head, "to", last)
	}
	return s.commit(ctx)
}

// read reads one drawer as it stands.
func (s *Store) read(ctx context.Context, d int) (contents, error) {
	e, err := s.books.Get(ctx, drawerKey(d))
	if err != nil && !errors.Is(err, bucket.ErrMissing) {
		return contents{}, err
	}
	return s.unfold(ctx, e, s.books.Get)
}

// unfold reads the records of a drawer, and those of keys of their own by get.
func (s *Store) unfold(ctx context.Context, e bucket.Entry, get func(context.Context, string) (bucket.Entry, error)) (contents, error) {
	c := contents{value: e.Value, rev: e.Rev, own: map[string]own{}}
	if e.Rev == 0 {
		return c, nil
	}
	dr, err := s.decode(e)
	if err != nil {
		return contents{}, err
	}
	for _, raw := range dr.Records {
		s.take(&c, e.Key, raw)
	}
	for _, id := range dr.Own {
		e, err := get(ctx, ownKey(id))
		if errors.Is(err, bucket.ErrMissing) {
			s.opts.Log.Error("the progress of a subscription is missing; it will begin anew", "key", ownKey(id))
			continue
		}
		if err != nil {
			return contents{}, err
		}
		if err := s.takeOwn(&c, id, e); err != nil {
			return contents{}, err
		}
	}
	return c, nil
}

// takeOwn adds what lies in a key of its own.
func (s *Store) takeOwn(c *contents, id string, e bucket.Entry) error {
	c.own[id] = own{rev: e.Rev}
	dr, err := s.decode(e)
	if err != nil {
		return err
	}
	for _, raw := range dr.Records {
		if r, ok := s.take(c, e.Key, raw); ok {
			c.own[id] = own{r.raw, e.Rev}
		}
	}
	return nil
}

// decode reads an entry. A damaged one counts as empty: better that its
// subscriptions begin anew than that none is served.
func (s *Store) decode(e bucket.Entry) (drawerRecord, error) {
	dr, err := decodeDrawer(e.Value)
	if err != nil && gatecast.CodeOf(err) == gatecast.Invalid {
		return drawerRecord{}, err
	}
	if err != nil {
		s.opts.Log.Error("progress of subscriptions cannot be read and counts as none; they will begin anew", "key", e.Key, "err", err)
	}
	return dr, nil
}

func (s *Store) take(c *contents, key string, raw jsontext.Value) (parsed, bool) {
	r, err := parse(raw)
	if err == nil && key != drawerKey(drawerOf(r.id)) && key != ownKey(r.id) {
		err = fmt.Errorf("the progress of %s does not belong here", r.id)
	}
	if err != nil {
		s.opts.Log.Error("the progress of a subscription cannot be read and counts as none; it will begin anew", "key", key, "err", err)
		return parsed{}, false
	}
	c.records = append(c.records, r)
	return r, true
}

// fence reads one drawer and writes it once more, as it is. After that whoever
// wrote it before writes it no more, and what was read is what there is.
func (s *Store) fence(ctx context.Context, d int) (contents, error) {
	e, err := s.seize(ctx, drawerKey(d))
	if err != nil {
		return contents{}, err
	}
	return s.unfold(ctx, e, s.seize)
}

// seize writes a key once more, as it is but for its writer, and returns it. A
// drawer that is not there is made; what cannot be read is left as empty.
func (s *Store) seize(ctx context.Context, key string) (bucket.Entry, error) {
	for range attempts {
		if !s.lease.holds() { // who has it now must not be disturbed
			return bucket.Entry{}, notLeading()
		}
		e, err := s.books.Get(ctx, key)
		if _, drawer := drawerNumber(key); err != nil && (!drawer || !errors.Is(err, bucket.ErrMissing)) {
			return bucket.Entry{}, err
		}
		var dr drawerRecord
		if err == nil {
			if dr, err = s.decode(e); err != nil {
				return bucket.Entry{}, err
			}
		}
		dr.Writer = s.writer
		value, err := dr.encode()
		if err != nil {
			return bucket.Entry{}, err
		}
		rev, err := s.books.Put(ctx, key, value, e.Rev)
		if err == nil {
			return bucket.Entry{Key: key, Value: value, Rev: rev}, nil
		}
		if !errors.Is(err, bucket.ErrChanged) {
			return bucket.Entry{}, wrapWrite(key, err)
		}
	}
	return bucket.Entry{}, gatecast.Errorf(gatecast.Unavailable, "%s does not keep still", key)
}

// learn takes over what another node has written. An own key is told before the
// drawer that names it, where it is new.
func (s *Store) learn(ctx context.Context, e bucket.Entry) error {
	d, ok := drawerNumber(e.Key)
	if !ok {
		id, is := ownID(e.Key)
		if !is {
			return nil
		}
		d = drawerOf(id)
	}
	c, err := s.read(ctx, d)
	if err != nil {
		return fmt.Errorf("read the progress of subscriptions from %s: %w", drawerKey(d), err)
	}
	s.table.replace(d, c)
	return nil
}
