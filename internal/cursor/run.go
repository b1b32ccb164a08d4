package cursor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// attempts bounds how often a drawer is written anew because another node was
// faster. Each failure means that another write went through.
const attempts = 64

// pause is how long a commit that was asked for waits for others.
const pause = 50 * time.Millisecond

// Run commits what changes, and takes over what other nodes commit, until ctx
// ends. Then it commits once more, within Options.Timeout, and returns why that
// failed, or nil. It is called once.
func (s *Store) Run(ctx context.Context) error {
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(ctx) })
	tick := time.NewTicker(s.opts.Interval)
	defer tick.Stop()
	var due <-chan time.Time // the commit that was asked for; nil if none was
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.soon:
			if due == nil {
				due = time.After(pause)
			}
			continue
		case <-due:
			due = nil
			urgent, _, _ := s.table.pending()
			s.commit(ctx, urgent)
		case <-tick.C:
			_, dirty, _ := s.table.pending()
			_ = s.commit(ctx, dirty) // told by Healthy, and tried again
		case <-s.wake:
			urgent, _, _ := s.table.pending()
			_ = s.commit(ctx, urgent) // likewise
		}
	}
	watcher.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	defer cancel()
	_, dirty, stale := s.table.pending()
	return s.commit(last, dirty|stale)
}

// commit writes drawers one after the other. If the bucket is out of reach it
// leaves out the rest: each would fail too, after its own timeout.
func (s *Store) commit(ctx context.Context, m mask) error {
	if m == 0 {
		return nil
	}
	began := time.Now()
	var failed error
	for d := range m.all() {
		if err := s.write(ctx, d); err != nil {
			failed = fmt.Errorf("write cursors to %s: %w", drawerKey(d), err)
			if gatecast.CodeOf(err) == gatecast.Unavailable {
				break
			}
		}
	}
	switch {
	case failed == nil:
		s.meters.committed(time.Since(began))
		if s.outage.End() {
			s.opts.Log.Info("cursors can be written again")
		}
	case errors.Is(ctx.Err(), context.Canceled): // by the caller, who commits once more
	default:
		s.meters.failures.Inc()
		if s.outage.Begin(failed) {
			s.opts.Log.Error("cursors cannot be written, trying again; after a crash now, what is confirmed meanwhile would be sent again", "err", failed)
		}
	}
	return failed
}

// write writes one drawer, together with what others have written to it.
func (s *Store) write(ctx context.Context, d int) error {
	for range attempts {
		c := s.table.copy(d)
		value, out, err := encode(c.records, s.bucket.Limit())
		if err != nil {
			s.table.unwritten(d)
			return err
		}
		rev, err := s.bucket.Put(ctx, drawerKey(d), value, c.rev)
		if err == nil {
			s.crowded(d, s.table.written(d, rev, c, out))
			return nil
		}
		s.table.unwritten(d)
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
		if err := s.read(ctx, d); err != nil {
			return err
		}
	}
	return gatecast.Errorf(gatecast.Conflict, "%s is being changed by many others at this moment", drawerKey(d))
}

// crowded accounts for cursors that found no room in their drawer.
func (s *Store) crowded(d int, evicted []gatecast.Cursor) {
	if len(evicted) == 0 {
		return
	}
	s.meters.forgotten.Add(float64(len(evicted)))
	s.opts.Log.Warn("a drawer is full; the cursors idle longest are forgotten, and their consumers will begin anew",
		"drawer", drawerKey(d), "cursors", len(evicted), "limit", s.bucket.Limit())
}

// load reads every drawer, and brings back the cursors beyond the journal's
// end, on disk too: the journal may soon have grown past them.
func (s *Store) load(ctx context.Context) error {
	for d := range drawers {
		if err := s.read(ctx, d); err != nil {
			return fmt.Errorf("read cursors from %s: %w", drawerKey(d), err)
		}
	}
	if s.opts.Last == nil {
		return nil
	}
	last, err := s.opts.Last(ctx)
	if err != nil {
		return fmt.Errorf("find the journal's newest event: %w", err)
	}
	for _, cur := range s.table.clamp(last) {
		s.opts.Log.Warn("a cursor stands beyond the end of the journal, which must have lost its newest events; it is brought back",
			"app", cur.Consumer.App, "consumer", cur.Consumer.Name, "from", cur.Seq, "to", last)
	}
	_, dirty, _ := s.table.pending()
	return s.commit(ctx, dirty)
}

// read merges one drawer as it stands in the bucket.
func (s *Store) read(ctx context.Context, d int) error {
	e, err := s.bucket.Get(ctx, drawerKey(d))
	if err != nil && !errors.Is(err, bucket.ErrMissing) {
		return err
	}
	var records []record
	if err == nil {
		if records, err = s.decode(e); err != nil {
			return err
		}
	}
	s.forgot(s.table.merge(d, e.Rev, records))
	return nil
}

// decode reads an entry. A damaged one counts as empty: better that its
// consumers begin anew than that nobody's cursor is kept.
func (s *Store) decode(e bucket.Entry) ([]record, error) {
	records, err := decode(e.Value)
	if err != nil && gatecast.CodeOf(err) == gatecast.Invalid {
		return nil, err
	}
	if err != nil {
		s.opts.Log.Error("a drawer of cursors cannot be read and counts as empty; its consumers will begin anew", "key", e.Key, "err", err)
	}
	return records, nil
}

// watch takes over what other nodes write, until ctx ends. While the watch is
// lost, commits still merge what others have written to the same drawer.
func (s *Store) watch(ctx context.Context) {
	bucket.Follow(ctx, s.bucket, bucket.Watcher{
		Tell: s.watched,
		Lost: func(err error, before int) time.Duration {
			if before == 0 {
				s.opts.Log.Warn("cursor watch was lost; what other nodes confirm is learned late until it is back", "err", err)
			}
			return s.opts.Interval
		},
	})
}

func (s *Store) watched(e bucket.Entry) {
	d, ok := drawerNumber(e.Key)
	if !ok || e.Gone || s.table.revision(d) >= e.Rev {
		return
	}
	records, err := s.decode(e)
	if err != nil {
		s.opts.Log.Error("what another node has written is not understood", "key", e.Key, "err", err)
		return
	}
	s.forgot(s.table.news(d, e.Rev, records))
}
