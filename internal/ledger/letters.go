package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// letterID names a dead letter.
type letterID struct {
	subscription string
	seq          gatecast.Seq
}

func letterKey(id string, seq gatecast.Seq) string {
	return id + "." + strconv.FormatUint(uint64(seq), 10)
}

func parseLetterKey(key string) (letterID, bool) {
	id, number, _ := strings.Cut(key, ".")
	seq, err := strconv.ParseUint(number, 10, 64)
	l := letterID{id, gatecast.Seq(seq)}
	return l, err == nil && gatecast.ValidSubscriptionID(id) && letterKey(id, l.seq) == key
}

// SetAside keeps a dead letter, and returns when it is on disk. One of the same
// subscription and Seq takes the place of the former. If the subscription has
// more than Options.MaxDead, the oldest other is dropped. The error is
// Unavailable if it cannot be written, or if this node does not lead.
func (s *Store) SetAside(ctx context.Context, d gatecast.DeadLetter) error {
	if !gatecast.ValidSubscriptionID(d.Subscription) {
		return gatecast.Errorf(gatecast.Invalid, "%q is no ID of a subscription", d.Subscription)
	}
	if !s.lease.leads() {
		return notLeading()
	}
	if d.SetAside.IsZero() {
		d.SetAside = s.opts.Now()
	}
	value, cut, err := encodeLetter(d, s.letters.Limit())
	if err != nil {
		return err
	}
	if cut {
		s.opts.Log.Warn("a dead letter is too large to be kept whole; its request and answer, or its event's data, are left out",
			"subscription", d.Subscription, "seq", d.Seq)
	}
	rev, err := s.letters.Set(ctx, letterKey(d.Subscription, d.Seq), value)
	if err != nil {
		return fmt.Errorf("store dead letter %d of %s: %w", d.Seq, d.Subscription, err)
	}
	s.index.add(d.Subscription, d.Seq, rev)
	s.trim(ctx, d.Subscription, d.Seq)
	return nil
}

// trimmed bounds how many dead letters one SetAside drops, when the limit has
// become lower.
const trimmed = 16

// trim drops the oldest dead letters of a subscription that has too many. What
// cannot be dropped is dropped by a later call.
func (s *Store) trim(ctx context.Context, id string, spared gatecast.Seq) {
	for range trimmed {
		m, over := s.index.surplus(id, s.opts.MaxDead, spared)
		if !over {
			return
		}
		if err := s.letters.Delete(ctx, letterKey(id, m.seq), m.rev); err != nil && !errors.Is(err, bucket.ErrChanged) {
			s.opts.Log.Warn("a dead letter too many was not dropped", "subscription", id, "seq", m.seq, "err", err)
			return
		}
		if !s.index.remove(id, m.seq, m.rev) {
			continue // another call has dropped it
		}
		s.meters.dropped.Inc()
		if s.index.tell(id, s.opts.Now()) {
			s.opts.Log.Warn("a subscription has too many dead letters; the oldest are dropped",
				"subscription", id, "seq", m.seq, "limit", s.opts.MaxDead)
		}
	}
}

// DeadLetters returns up to limit dead letters of a subscription after a Seq,
// ascending, without the event's data and the bodies of request and answer: a
// page of those could be larger than the memory. One that cannot be read has no
// more than its Subscription and Seq, and says so in Last.Error.
func (s *Store) DeadLetters(ctx context.Context, id string, after gatecast.Seq, limit int) ([]gatecast.DeadLetter, error) {
	var all []gatecast.DeadLetter
	for len(all) < limit {
		marks := s.index.after(id, after, limit-len(all))
		if len(marks) == 0 {
			break
		}
		for _, m := range marks {
			after = m.seq
			d, err := s.letter(ctx, id, m)
			if gatecast.CodeOf(err) == gatecast.NotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			d.Event.Data, d.Last.Body, d.Last.Answer = nil, nil, nil
			all = append(all, d)
		}
	}
	return all, nil
}

// DeadLetter returns one dead letter, whole, its times to the millisecond; the
// error is NotFound if there is none.
func (s *Store) DeadLetter(ctx context.Context, id string, seq gatecast.Seq) (gatecast.DeadLetter, error) {
	return s.letter(ctx, id, mark{seq, s.index.get(id, seq)})
}

// letterEntry reads a dead letter that the index has at a revision, or does not
// have: another node may have written it a moment ago.
func (s *Store) letterEntry(ctx context.Context, id string, m mark) (bucket.Entry, error) {
	if !gatecast.ValidSubscriptionID(id) {
		return bucket.Entry{}, noLetter(id, m.seq)
	}
	e, err := s.letters.Get(ctx, letterKey(id, m.seq))
	if errors.Is(err, bucket.ErrMissing) {
		s.index.remove(id, m.seq, m.rev)
		return bucket.Entry{}, noLetter(id, m.seq)
	}
	if err != nil {
		return bucket.Entry{}, fmt.Errorf("read dead letter %d of %s: %w", m.seq, id, err)
	}
	return e, nil
}

func (s *Store) letter(ctx context.Context, id string, m mark) (gatecast.DeadLetter, error) {
	e, err := s.letterEntry(ctx, id, m)
	if err != nil {
		return gatecast.DeadLetter{}, err
	}
	d, err := decodeLetter(e.Value)
	if err != nil {
		s.opts.Log.Error("a dead letter cannot be read", "subscription", id, "seq", m.seq, "err", err)
		d = gatecast.DeadLetter{}
		d.Last.Error = "this dead letter cannot be read; see the log"
	}
	d.Subscription, d.Seq = id, m.seq
	return d, nil
}

// Discard removes a dead letter, and returns when that is on disk. It may be
// called on any node. The error is NotFound if there is none, and Conflict if it
// was replaced at the same moment.
func (s *Store) Discard(ctx context.Context, id string, seq gatecast.Seq) error {
	e, err := s.letterEntry(ctx, id, mark{seq, s.index.get(id, seq)})
	if err != nil {
		return err
	}
	err = s.letters.Delete(ctx, e.Key, e.Rev)
	if errors.Is(err, bucket.ErrChanged) {
		return gatecast.Errorf(gatecast.Conflict, "dead letter %d of subscription %s has changed meanwhile", seq, id)
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d of %s: %w", seq, id, err)
	}
	s.index.remove(id, seq, e.Rev)
	return nil
}

func noLetter(id string, seq gatecast.Seq) error {
	return gatecast.Errorf(gatecast.NotFound, "subscription %s has no dead letter %d", id, seq)
}

// Dead returns how many dead letters of a subscription are kept, from memory.
func (s *Store) Dead(id string) int { return s.index.of(id) }

// bury removes the dead letters of subscriptions that were forgotten. Those that
// cannot be removed now are removed later.
func (s *Store) bury(ctx context.Context) {
	all := s.index.dead()
	for i, d := range all {
		if err := s.letters.Delete(ctx, d.key, d.rev); err != nil && !errors.Is(err, bucket.ErrChanged) {
			s.index.revive(all[i:])
			return
		}
	}
}

// findLetters fills the index, at the start.
func (s *Store) findLetters(ctx context.Context) error {
	return s.letters.Watch(ctx, bucket.Keys, func(e bucket.Entry) bool {
		s.indexed(e)
		return !e.Synced
	})
}

func (s *Store) indexed(e bucket.Entry) {
	l, ok := parseLetterKey(e.Key)
	switch {
	case !ok:
	case e.Gone:
		s.index.remove(l.subscription, l.seq, e.Rev)
	default:
		s.index.add(l.subscription, l.seq, e.Rev)
	}
}

// watchLetters keeps the index up to date with what other nodes do, until ctx
// ends. What is not told when a watch begins is there no more.
func (s *Store) watchLetters(ctx context.Context) {
	known := s.index.snapshot()
	s.watch(ctx, s.letters, func(e bucket.Entry) {
		s.indexed(e)
		delete(known, doomed{e.Key, e.Rev})
		if e.Synced {
			for d, l := range known {
				s.index.remove(l.subscription, l.seq, d.rev)
			}
			known = s.index.snapshot()
		}
	})
}
