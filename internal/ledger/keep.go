package ledger

import (
	"context"
	"time"

	"github.com/gatecast/gatecast/internal/bucket"
)

// keep takes the lease when somebody wants to lead, and holds it, until ctx
// ends. Then it gives it back.
func (s *Store) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.lease.want:
		}
		for ctx.Err() == nil && s.lease.wanted() {
			if t, ok := s.claim.Campaign(ctx, s.lease.wanted); ok {
				s.hold(ctx, t)
			}
		}
	}
}

// hold has the lease until it is lost or nobody wants it any more. Nothing is
// written under it from before it is given back.
func (s *Store) hold(ctx context.Context, t bucket.Term) {
	done := s.lease.take(t.Over)
	lost := s.claim.Hold(ctx, &t, done)
	s.lease.lose()
	if lost == nil {
		s.claim.Release(ctx, t)
	}
}

// watchBooks takes news of what other nodes write to where it belongs, until ctx
// ends.
func (s *Store) watchBooks(ctx context.Context, news chan<- bucket.Entry) {
	s.watch(ctx, s.books, func(e bucket.Entry) {
		if e.Key == bucket.LeaseKey {
			s.claim.Changed()
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
