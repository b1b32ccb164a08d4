package ledger

import (
	"context"
	"errors"
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// lease is whether this node delivers, as the rest of the store sees it. What
// lies in the bucket is bucket.Lease's.
type lease struct {
	on      bool          // false: this process is the only one
	want    chan struct{} // holds one token after Lead was called
	changed chan struct{} // holds one token after the lease was taken or lost
	first   uint64        // the key's revision when the store was opened

	// mu guards the fields below. Nothing is done under it but looking at them.
	mu      sync.Mutex
	held    bool          // this node has the lease
	leading bool          // and has read everything, and shut out the former holder
	behind  bool          // it has to read what others wrote: it has had the lease, or missed some news
	fresh   bool          // nobody has had the lease between Open and this node
	lost    chan struct{} // closed when the latest lease was lost
	waiting map[chan<- error]struct{}
}

func newLease(on bool) *lease {
	l := &lease{
		on: on, lost: make(chan struct{}), waiting: map[chan<- error]struct{}{},
		want: make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
	if on {
		close(l.lost)
	}
	return l
}

// poke puts a token into a channel that has room for one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}

// Lead waits until this node is the one that delivers, for which Run has to be
// running. After that Progress tells what the former one has written. Without
// Options.Lease it returns at once. Its error is ctx's, Invalid if the former
// node was a newer gatecast, or Unavailable when Run has ended.
func (s *Store) Lead(ctx context.Context) error {
	told, there := s.lease.await()
	if there {
		return nil
	}
	poke(s.lease.want)
	select {
	case err := <-told:
		return err
	case <-s.ended:
	case <-ctx.Done():
	}
	if !s.lease.desert(told) {
		return <-told // it came at the same moment
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return unavailable(errors.New("the store is closed"))
}

// Leads reports whether this node is the one that delivers. Without
// Options.Lease it always is.
func (s *Store) Leads() bool { return s.lease.leads() }

// Lost returns a channel that is closed when the lease that the latest Lead
// waited for is lost, or given back at the end of Run. Whoever delivers then
// stops, waits for those who save, and calls Lead again. Without Options.Lease
// it is never closed.
func (s *Store) Lost() <-chan struct{} {
	s.lease.mu.Lock()
	defer s.lease.mu.Unlock()
	return s.lease.lost
}

// await registers somebody who wants to lead, unless this node does already.
func (l *lease) await() (told chan error, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on || l.leading {
		return nil, true
	}
	told = make(chan error, 1)
	l.waiting[told] = struct{}{}
	return told, false
}

// desert takes one back who no longer wants to lead. It returns false if he has
// been told meanwhile.
func (l *lease) desert(told chan error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, still := l.waiting[told]
	delete(l.waiting, told)
	return still
}

func (l *lease) wanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0
}

// leads reports whether this node may write progress.
func (l *lease) leads() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.on || l.leading
}

// holds reports whether this node has the lease.
func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.on || l.held
}

// undisturbed reports whether nobody has written between Open and this lease.
func (l *lease) undisturbed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fresh
}

// lags reports whether this node has to read what others wrote.
func (l *lease) lags() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.behind && !l.held
}

func (l *lease) fellBehind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind = true
}

func (l *lease) caughtUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind = false
}

// opened notes where the key stands before anything is read.
func (l *lease) opened(ctx context.Context, b bucket.Bucket) error {
	if !l.on {
		return nil
	}
	e, err := b.Get(ctx, bucket.LeaseKey)
	if err != nil && !errors.Is(err, bucket.ErrMissing) {
		return err
	}
	l.first = e.Rev
	return nil
}

// take notes that this node has taken the lease over a revision of the key. The
// channel closes when it is lost.
func (l *lease) take(over uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.leading, l.behind, l.lost = true, false, true, make(chan struct{})
	l.fresh, l.first = over == l.first, taken
	poke(l.changed)
	return l.lost
}

// taken is a revision that no key has: a second lease is never a fresh one.
const taken = ^uint64(0)

// lead tells those who wait that this node leads. If nobody waits any more, the
// lease is given back: another node may have somebody who delivers.
func (l *lease) lead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return
	}
	if len(l.waiting) == 0 {
		l.end()
		return
	}
	l.leading = true
	l.tell(nil)
}

// resign gives the lease back, and tells those who wait why.
func (l *lease) resign(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	l.tell(err)
}

// lose ends the lease, and reports whether there was one.
func (l *lease) lose() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.held
	l.end()
	return was
}

// end ends the lease. The caller holds mu.
func (l *lease) end() {
	if l.held {
		l.held, l.leading = false, false
		close(l.lost)
		poke(l.changed)
	}
}

// tell tells all who wait. The caller holds mu.
func (l *lease) tell(err error) {
	for told := range l.waiting {
		told <- err // has room for it
		delete(l.waiting, told)
	}
}

// lose is lease.lose, told in the log.
func (s *Store) lose(why string) {
	if s.lease.lose() {
		s.opts.Log.Warn("this node no longer delivers to subscriptions", "reason", why)
	}
}

func notLeading() error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "this node does not deliver to subscriptions at the moment",
		Remedy:  "try again, or ask the node that does",
	}
}
