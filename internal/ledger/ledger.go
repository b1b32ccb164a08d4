// Package ledger keeps how far each subscription has got, its dead letters,
// and the lease that says which node delivers.
//
// It owns the two key-value buckets these lie in, what may be lost of them by a
// crash, and the rule that only the node with the lease writes progress. It
// never reads the journal, never sends anything, and never decides what a
// position means: that is the engine's (internal/transport/hooks). Start at
// [Open], [Store.Lead] and [Store.Save].
//
// # What may be lost
//
// What was saved is on disk within Options.Interval. After a crash a
// subscription stands where it stood at some commit since then, and what was
// delivered since is delivered again. It never stands beyond what was saved. A
// dead letter is on disk when SetAside returns.
//
// # One writer
//
// The lease is [bucket.Lease], and lies beside the progress. Whoever takes it reads
// every drawer and writes it once more before it delivers, so that a former holder,
// who writes only over the revision it knows, can change nothing any more.
package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Options tunes a Store. The zero value suits a single process, but for Epoch
// and Last.
type Options struct {
	Bucket   string           // name of the bucket of progress; dead letters lie in Bucket + "_dead"; default "gatecast_hooks"
	Replicas int              // copies in a cluster, 1 to 5; default 1 for new buckets, unchanged for old ones
	Interval time.Duration    // between commits while something changes, and between tries while they fail; default 1 s
	Epoch    string           // of the journal
	MaxDead  int              // dead letters kept per subscription; beyond it the oldest is dropped; default 1,000
	Timeout  time.Duration    // of one request to a bucket, of Begin, and of Run's last commit; default 5 s
	Node     string           // names this node in the lease, for people; default: a random name
	Lease    bool             // several processes share the buckets; false: this process is the only one, and always leads
	Mem      *Mem             // for OpenMem: the buckets; default: new ones
	Now      func() time.Time // for times that are stored, never for the lease; default time.Now
	Log      *slog.Logger     // default: discard
	// Last returns the Seq of the journal's newest event. It is asked when all
	// progress has been read, and nobody else can move it. Progress of Epoch beyond
	// it is brought back to it. Default: none is.
	Last func(context.Context) (gatecast.Seq, error)
}

func (o Options) withDefaults() Options {
	o.Bucket = cmp.Or(o.Bucket, "gatecast_hooks")
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.MaxDead = cmp.Or(o.MaxDead, 1000)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Mem == nil {
		o.Mem = &Mem{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store holds the progress and the dead letters. Its methods may be called from
// any goroutine.
type Store struct {
	opts    Options
	books   bucket.Bucket // progress and lease
	letters bucket.Bucket
	writer  string // names this store in what it writes
	table   *table
	index   *index
	lease   *lease
	claim   *bucket.Lease // the lease as others see it
	meters  *meters
	wake    chan struct{} // holds one token while somebody waits for a commit
	ended   chan struct{} // closed when Run has returned
	outage  bucket.Outage // of commits
}

// Open reads all progress in js, and which dead letters there are; js must stay
// usable until Run has returned. Its error is Unavailable if a bucket cannot be
// reached, and Invalid if a newer gatecast has written it. A drawer that cannot
// be read is logged and counts as empty.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Store, error) {
	o = o.withDefaults()
	books, err := bucket.Open(ctx, js, bucket.Options{
		Name: o.Bucket, About: "gatecast: how far each subscription has got",
		Replicas: o.Replicas, Timeout: o.Timeout, Unavailable: unavailable,
	})
	if err != nil {
		return nil, err
	}
	letters, err := bucket.Open(ctx, js, bucket.Options{
		Name: o.Bucket + "_dead", About: "gatecast: dead letters of subscriptions",
		Replicas: o.Replicas, Timeout: o.Timeout, Unavailable: unavailable, Markers: markers,
	})
	if err != nil {
		return nil, err
	}
	s := newStore(books, letters, o)
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// markers is how long it stays known that a dead letter was removed: long enough
// for every watch to be told. One that was cut off for longer begins anew and is
// told what there is.
const markers = time.Hour

// Mem is the two buckets in memory, the same to their stores as the real ones.
// The zero value is empty. Several stores may share one, as nodes do.
type Mem struct{ books, letters bucket.Mem }

// Crash returns what has been committed so far: what a store finds after a
// crash. The stores of this one go on without touching it.
func (m *Mem) Crash() *Mem {
	c := &Mem{}
	m.books.CrashInto(&c.books)
	m.letters.CrashInto(&c.letters)
	return c
}

// OpenMem returns a store with the same behaviour in memory, for tests and
// trials: what has been committed lies in Options.Mem, where another store
// finds it.
func OpenMem(o Options) *Store {
	o = o.withDefaults()
	s := newStore(&o.Mem.books, &o.Mem.letters, o)
	if err := s.load(context.Background()); err != nil {
		s.opts.Log.Error("subscriptions' progress cannot be read", "err", err)
	}
	return s
}

func newStore(books, letters bucket.Bucket, o Options) *Store {
	writer := rand.Text()
	s := &Store{
		opts: o, books: books, letters: letters, writer: writer,
		table: newTable(), index: newIndex(), lease: newLease(o.Lease),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	s.claim = bucket.NewLease(books, bucket.LeaseOptions{Work: "delivers to subscriptions", Node: o.Node, Writer: writer, Now: o.Now, Log: o.Log})
	s.meters = newMeters(s)
	return s
}

// Progress returns how far a subscription has got, and whether that is known,
// from memory. Progress of another epoch than Options.Epoch is returned as it
// is. The lists in it are shared: nobody may change them.
func (s *Store) Progress(id string) (gatecast.Progress, bool) { return s.table.get(id) }

// Save notes how far a subscription has got; Run writes it within
// Options.Interval. It never blocks. The caller may not change p's lists or
// p.Replay afterwards. A node that does not lead has nothing to say about
// progress: its call is dropped. So whoever forgets a subscription must have
// stopped saving it: a late call would bring it back.
func (s *Store) Save(id string, p gatecast.Progress) {
	if !gatecast.ValidSubscriptionID(id) {
		s.opts.Log.Error("progress of what is no subscription was dropped", "subscription", id)
		return
	}
	if s.lease.leads() {
		s.table.save(id, p)
	}
}

// Begin notes where a subscription begins and returns when that is on disk, so
// that a crash cannot forget it. It needs Run to be running; callers that wait
// at the same time share a commit. Its error is Unavailable if the bucket
// cannot be written in time, or if this node does not lead. What was noted
// stays in memory, and is tried again, all the same.
func (s *Store) Begin(ctx context.Context, id string, p gatecast.Progress) error {
	if !gatecast.ValidSubscriptionID(id) {
		return gatecast.Errorf(gatecast.Invalid, "%q is no ID of a subscription", id)
	}
	if !s.lease.leads() {
		return notLeading()
	}
	s.table.save(id, p)
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		return fmt.Errorf("store where subscription %s begins: %w", id, err)
	}
	return nil
}

// Flush commits now, and returns when what was saved before the call is on
// disk, or why it is not. It needs Run to be running.
func (s *Store) Flush(ctx context.Context) error {
	stored := s.table.wait()
	poke(s.wake)
	select {
	case err := <-stored:
		return err
	case <-s.ended:
		return s.table.outcome(stored)
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// Forget takes away the progress and all dead letters of a subscription that
// has been deleted. Run does so on disk, in the background, on the node that
// leads; on others it does nothing. A subscription with the same ID may begin
// at once: it keeps nothing of the former.
func (s *Store) Forget(id string) {
	if s.lease.leads() {
		s.forget(id)
	}
}

func (s *Store) forget(id string) {
	s.table.forget(id)
	s.index.forget(id)
}

// Retain forgets every subscription that keep does not know, now and whenever
// this node is about to lead: subscriptions may have been deleted while nobody
// did.
func (s *Store) Retain(keep func(id string) bool) {
	s.table.retain(keep)
	if s.lease.leads() {
		s.sweep()
	}
}

// sweep forgets what need not be retained.
func (s *Store) sweep() {
	keep := s.table.keeper()
	if keep == nil {
		return
	}
	for _, id := range append(s.table.names(), s.index.names()...) {
		if !keep(id) {
			s.forget(id)
		}
	}
}

// Healthy returns nil, or an Unavailable error if the last commit failed, or if
// the lease cannot be reached. The store works on from memory all the same.
func (s *Store) Healthy() error {
	if err := cmp.Or(s.outage.Err(), s.claim.Healthy()); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(cause error) error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "the state of subscriptions cannot be read or written",
		Remedy:  "try again",
		Cause:   cause,
	}
}

// Metrics returns the store's collectors, for the caller to register.
func (s *Store) Metrics() []prometheus.Collector { return s.meters.all() }
