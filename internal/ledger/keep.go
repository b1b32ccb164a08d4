package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/go-json-experiment/json"
)

const (
	leaseKey = "lease"

	renewEvery = 3 * time.Second  // a holder rewrites the key
	giveUp     = 9 * time.Second  // a holder stops that could not rewrite it for so long
	takeAfter  = 15 * time.Second // others take the lease when the key has not changed for so long
	lookEvery  = time.Second      // others look at the key, and a holder tries again
	patience   = 2 * time.Second  // for one request
)

// leaseRecord is how the lease lies in the bucket.
type leaseRecord struct {
	V      int    `json:"v"`
	Writer string `json:"w"`
	Node   string `json:"n"`           // for people
	Time   int64  `json:"t"`           // when it was written, Unix milliseconds, for people
	Free   bool   `json:"f,omitempty"` // its holder has given it back
}

// keep takes the lease when somebody wants to lead, and rewrites it, until ctx
// ends. Then it gives it back.
func (s *Store) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.lease.want:
		}
		for ctx.Err() == nil && s.lease.wanted() {
			if c, ok := s.campaign(ctx); ok {
				s.hold(ctx, c)
			}
		}
	}
}

// claim is the lease as this node has it.
type claim struct {
	over  uint64    // revision it was taken over
	rev   uint64    // its own
	began time.Time // when the latest writing of it began
}

// campaign takes the lease as soon as it may be taken. It gives up when nobody
// wants to lead any more.
func (s *Store) campaign(ctx context.Context) (claim, bool) {
	seen, since := uint64(0), time.Now()
	for s.lease.wanted() {
		news := s.lease.news
		e, r, err := s.look(ctx)
		if err == nil {
			s.reachable()
		}
		switch {
		case err != nil:
			s.unreachable(ctx, err)
		case r.Free || r.Writer == s.writer || e.Rev == seen && time.Since(since) >= takeAfter:
			began := time.Now()
			rev, err := s.sign(ctx, e.Rev, false)
			if err == nil {
				return claim{e.Rev, rev, began}, true
			}
			if !errors.Is(err, bucket.ErrChanged) { // else another node was faster
				s.unreachable(ctx, err)
				news = nil // they may be of this very write
			}
		case e.Rev != seen:
			seen, since = e.Rev, time.Now()
		}
		select {
		case <-ctx.Done():
			return claim{}, false
		case <-news:
		case <-time.After(lookEvery):
		}
	}
	return claim{}, false
}

// look reads the lease. One that does not exist is free. It may say that this
// store has written it, which then has not heard of that.
func (s *Store) look(ctx context.Context) (e bucket.Entry, r leaseRecord, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err = s.books.Get(ctx, leaseKey)
	if errors.Is(err, bucket.ErrMissing) {
		return e, leaseRecord{Free: true}, nil
	}
	if err != nil {
		return e, r, err
	}
	if err := json.Unmarshal(e.Value, &r); err != nil {
		s.opts.Log.Error("the lease cannot be read; it is taken if its holder does not renew it", "err", err)
		return e, leaseRecord{}, nil
	}
	return e, r, nil
}

// sign writes the lease in this node's name, over the revision rev.
func (s *Store) sign(ctx context.Context, rev uint64, free bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := json.Marshal(leaseRecord{V: recordVersion, Writer: s.writer, Node: s.opts.Node, Time: millis(s.opts.Now()), Free: free}, lenient)
	if err != nil {
		return 0, fmt.Errorf("encode the lease: %w", err)
	}
	rev, err = s.books.Put(ctx, leaseKey, value, rev)
	if err != nil {
		return 0, fmt.Errorf("write the lease: %w", err)
	}
	return rev, nil
}

// hold renews the lease until it is lost or ctx ends. Its time counts from when
// a renewal began, not from when it was heard of: others count from later.
func (s *Store) hold(ctx context.Context, c claim) {
	lost := s.lease.take(c.over)
	s.opts.Log.Info("this node delivers to subscriptions", "node", s.opts.Node)
	for next := c.began.Add(renewEvery); ; {
		select {
		case <-lost:
			s.release(ctx, c)
			return
		case <-ctx.Done():
			s.lease.lose()
			s.release(ctx, c)
			return
		case <-time.After(time.Until(next)):
		}
		tried := time.Now()
		rev, err := s.renew(ctx, c)
		switch {
		case err == nil:
			c.rev, c.began, next = rev, tried, tried.Add(renewEvery)
			s.reachable()
		case errors.Is(err, bucket.ErrChanged):
			s.lose("another node has taken the lease")
			return
		case time.Since(c.began) >= giveUp:
			s.lose("the lease could not be renewed in time")
			return
		default:
			s.unreachable(ctx, err)
			next = earlier(tried.Add(lookEvery), c.began.Add(giveUp))
		}
	}
}

// renew rewrites the lease, in time or not at all. If the key stands at another
// revision because an earlier try got through unheard, it goes on from that.
func (s *Store) renew(ctx context.Context, c claim) (uint64, error) {
	ctx, cancel := context.WithDeadline(ctx, c.began.Add(giveUp))
	defer cancel()
	rev, err := s.sign(ctx, c.rev, false)
	if !errors.Is(err, bucket.ErrChanged) {
		return rev, err
	}
	e, r, err := s.look(ctx)
	if err != nil {
		return 0, err
	}
	if r.Writer != s.writer {
		return 0, bucket.ErrChanged
	}
	return s.sign(ctx, e.Rev, false)
}

// release gives the lease back, also when ctx has ended. If that fails, others
// take it a little later.
func (s *Store) release(ctx context.Context, c claim) {
	_, err := s.sign(context.WithoutCancel(ctx), c.rev, true)
	if err != nil && !errors.Is(err, bucket.ErrChanged) {
		s.opts.Log.Warn("the lease was not given back; another node will deliver when it has expired", "err", err)
	}
}

// unreachable tells that the lease cannot be read or written.
func (s *Store) unreachable(ctx context.Context, err error) {
	if ctx.Err() == nil && s.absence.Begin(err) {
		s.opts.Log.Error("the lease that says which node delivers to subscriptions is out of reach, trying again", "err", err)
	}
}

func (s *Store) reachable() {
	if s.absence.End() {
		s.opts.Log.Info("the lease is within reach again")
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// watchBooks takes news of what other nodes write to where it belongs, until ctx
// ends.
func (s *Store) watchBooks(ctx context.Context, news chan<- bucket.Entry) {
	s.watch(ctx, s.books, func(e bucket.Entry) {
		if e.Key == leaseKey {
			poke(s.lease.news)
			return
		}
		if e.Gone || e.Synced || s.lease.holds() {
			return
		}
		select {
		case news <- e:
		case <-ctx.Done():
		}
	})
}

// watch watches a bucket until ctx ends.
func (s *Store) watch(ctx context.Context, b bucket.Bucket, tell func(bucket.Entry)) {
	bucket.Follow(ctx, b, bucket.Watcher{
		What: bucket.Keys,
		Tell: tell,
		Lost: func(err error, before int) time.Duration {
			if before == 0 {
				s.opts.Log.Warn("the watch on subscriptions' state was lost; what other nodes write is learned late until it is back", "err", err)
			}
			return s.opts.Interval
		},
	})
}
