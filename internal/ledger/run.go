package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// Run commits what changes, keeps the lease, and takes over what other nodes
// commit, until ctx ends. Then it commits once more, within Options.Timeout,
// gives the lease back, so that another node takes over at once, and returns why
// that commit failed, or nil. It is called once, and ends after whoever saves.
func (s *Store) Run(ctx context.Context) error {
	defer close(s.ended)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var background sync.WaitGroup
	news := make(chan bucket.Entry)
	if s.opts.Lease {
		background.Go(func() { s.keep(keeping) })
		background.Go(func() { s.watchBooks(ctx, news) })
		background.Go(func() { s.watchLetters(ctx) })
	}
	s.work(ctx, news)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	defer cancel()
	var err error
	if s.lease.leads() {
		err = s.round(last)
	}
	stop()
	background.Wait()
	return err
}

// work is everything that changes what is known of the bucket, one after the
// other, until ctx ends.
func (s *Store) work(ctx context.Context, news <-chan bucket.Entry) {
	tick := time.NewTicker(s.opts.Interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			_ = s.round(ctx) // told by Healthy, and tried again
		case <-s.wake:
			_ = s.round(ctx) // told to whoever waits
		case <-s.lease.changed:
			_ = s.round(ctx) // tried again
		case e := <-news:
			s.heard(ctx, e)
		}
	}
}

// round does what is to be done now.
func (s *Store) round(ctx context.Context) error {
	waiting := s.table.waiters()
	err := s.settle(ctx)
	for _, told := range waiting {
		told <- err // has room for it
	}
	return err
}

func (s *Store) settle(ctx context.Context) error {
	if s.lease.holds() && !s.lease.leads() {
		if err := s.assume(ctx); err != nil {
			return err
		}
	}
	if !s.lease.leads() {
		s.follow(ctx)
		return notLeading()
	}
	err := s.commit(ctx)
	s.bury(ctx)
	return err
}

// assume makes of a lease that was just taken one under which this node
// delivers: everything is read, and the former holder shut out.
func (s *Store) assume(ctx context.Context) error {
	err := s.reload(ctx, s.fence)
	if err == nil && s.lease.undisturbed() {
		err = s.clamp(ctx)
	}
	if gatecast.CodeOf(err) == gatecast.Invalid { // another gatecast has to do it
		s.lease.resign(err)
	}
	if err != nil {
		s.failed(ctx, err)
		return err
	}
	s.sweep()
	s.lease.lead()
	s.recovered()
	return nil
}

// follow makes this node one that knows what others write, after it has lost the
// lease or missed some news: what it has not committed counts no more.
func (s *Store) follow(ctx context.Context) {
	if !s.lease.lags() {
		return
	}
	if err := s.reload(ctx, s.read); err != nil {
		s.failed(ctx, err)
		return
	}
	s.lease.caughtUp()
	s.recovered()
}

// heard takes over news from another node, unless this one knows better.
func (s *Store) heard(ctx context.Context, e bucket.Entry) {
	if s.lease.holds() {
		return
	}
	if err := s.learn(ctx, e); err != nil && ctx.Err() == nil {
		s.lease.fellBehind()
		s.opts.Log.Warn("what another node has written could not be read; trying again", "key", e.Key, "err", err)
	}
}

// commit writes drawers one after the other. If the bucket is out of reach it
// leaves out the rest: each would fail too, after its own timeout.
func (s *Store) commit(ctx context.Context) error {
	dirty := s.table.dirty()
	if len(dirty) == 0 {
		return nil
	}
	began := time.Now()
	var failed error
	for _, d := range dirty {
		if err := s.write(ctx, d); err != nil {
			failed = fmt.Errorf("store the progress of subscriptions: %w", err)
			if gatecast.CodeOf(err) == gatecast.Unavailable {
				break
			}
		}
	}
	if failed != nil {
		s.failed(ctx, failed)
		return failed
	}
	s.meters.committed(time.Since(began))
	s.recovered()
	return nil
}

func (s *Store) recovered() {
	if s.outage.End() {
		s.opts.Log.Info("the progress of subscriptions can be stored again")
	}
}

// failed tells of a commit that failed, unless its caller no longer wants it.
func (s *Store) failed(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) || !s.lease.holds() {
		return
	}
	s.meters.failures.Inc()
	if s.outage.Begin(err) {
		s.opts.Log.Error("the progress of subscriptions cannot be stored, trying again; after a crash now, what is delivered meanwhile would be delivered again", "err", err)
	}
}
