// Package cursor keeps how far each consumer has confirmed, in memory, and
// writes it to disk in batches.
//
// It owns the key-value bucket that the cursors lie in, the rule by which two
// nodes' knowledge of one cursor becomes one, and the limits on how many
// cursors there are. It never reads the journal and never decides where a
// connection begins (see resume). Start at [Open] and [Store.Begin].
//
// # What may be lost
//
// A confirmation is on disk within Options.Interval. After a crash a cursor
// may stand where it stood that long ago, and what was confirmed since is sent
// again. It never stands beyond what was confirmed.
//
// # Deleted apps
//
// Every node forgets an app's cursors by itself, when it sees that the app is
// gone. In between, a node that has not seen it yet may write them to the
// bucket once more. A node that has seen it leaves alone, for ten minutes,
// every cursor made before it forgot the app. What slips through after that
// (from a node that was cut off for longer) lies unused until [Store.Retain]
// at the next start. An app that is made again with the same key, while
// another node has not yet seen that it was gone, may go on where it was; and
// where clocks differ by more than the time between, its new cursor may be
// left out of the bucket until it moves.
package cursor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Options tunes a Store. The zero value suits, but for Epoch and Last.
type Options struct {
	Bucket    string           // name of the key-value bucket; default "gatecast_cursors"
	Replicas  int              // copies in a cluster, 1 to 5; default 1 for a new bucket, unchanged for an old one
	Interval  time.Duration    // between commits while something changes, and between tries while they fail; default 1 s
	MaxPerApp int              // cursors of one app; beyond it the one idle longest is forgotten, but see Spare; default 1,000
	Spare     time.Duration    // a cursor used so recently is not forgotten for a new one, which is refused; default 24 h
	Epoch     string           // of the journal
	Timeout   time.Duration    // of one request to the bucket, of Begin, and of Run's last commit; default 5 s
	Mem       *bucket.Mem      // for OpenMem: the bucket; default: a new one
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default: discard
	// Last returns the Seq of the journal's newest event. It is asked once, when
	// every cursor has been read: other nodes may move theirs on meanwhile. A
	// cursor of Epoch beyond it is brought back to it. Default: none is.
	Last func(context.Context) (gatecast.Seq, error)
}

func (o Options) withDefaults() Options {
	o.Bucket = cmp.Or(o.Bucket, "gatecast_cursors")
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.MaxPerApp = cmp.Or(o.MaxPerApp, 1000)
	o.Spare = cmp.Or(o.Spare, 24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Mem == nil {
		o.Mem = &bucket.Mem{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store holds the cursors. Its methods may be called from any goroutine. All
// but Begin and Run are answered from memory.
type Store struct {
	opts   Options
	bucket bucket.Bucket
	table  *table
	meters *meters
	wake   chan struct{} // holds one token while somebody waits for a drawer
	soon   chan struct{} // holds one token while a commit is asked for
	outage bucket.Outage // of commits
}

// Open reads every cursor in js, which must stay usable until Run has
// returned. Its error is Unavailable if the bucket cannot be reached, and
// Invalid if a newer gatecast has written it. A drawer that cannot be read is
// logged and counts as empty: its consumers begin anew.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Store, error) {
	o = o.withDefaults()
	b, err := bucket.Open(ctx, js, bucket.Options{
		Name: o.Bucket, About: "gatecast: how far each consumer has confirmed",
		Replicas: o.Replicas, Timeout: o.Timeout, Unavailable: unavailable,
	})
	if err != nil {
		return nil, err
	}
	s := newStore(b, o)
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenMem returns a store with the same behaviour in memory, for tests and
// trials: what has been committed lies in Options.Mem, where another store
// finds it.
func OpenMem(o Options) *Store {
	o = o.withDefaults()
	s := newStore(o.Mem, o)
	if err := s.load(context.Background()); err != nil {
		s.opts.Log.Error("cursors cannot be read", "err", err)
	}
	return s
}

func newStore(b bucket.Bucket, o Options) *Store {
	s := &Store{opts: o, bucket: b, table: newTable(o.Epoch, o.MaxPerApp), wake: make(chan struct{}, 1), soon: make(chan struct{}, 1)}
	s.meters = newMeters(s.table)
	return s
}

// Begin returns the cursor of a consumer, and true, or makes one at a position
// and returns when it is on disk, so that a crash cannot forget that the
// consumer was here. It needs Run to be running; callers that wait at the same
// time share commits. A consumer that finds no room, because its app has
// Options.MaxPerApp others that were all here lately, gets none: the error is
// TooMany. If the bucket cannot be written in time the error is
// Unavailable; the cursor is returned, and exists in memory, all the same.
func (s *Store) Begin(ctx context.Context, c gatecast.Consumer, at gatecast.Seq) (cur gatecast.Cursor, existed bool, err error) {
	if s.table.crowded(c, s.now().Add(-s.opts.Spare)) {
		return gatecast.Cursor{}, false, &gatecast.Error{
			Code:    gatecast.TooMany,
			Message: fmt.Sprintf("too many consumers: this app may have %d, and all of them were here lately", s.opts.MaxPerApp),
			Remedy:  "use fewer names or addresses, or raise resume.max_cursors_per_app",
		}
	}
	cur, existed, stored, evicted := s.table.begin(c, at, s.now())
	s.forgot(evicted)
	if stored == nil {
		return cur, existed, nil
	}
	s.nudge()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	select {
	case <-stored:
	case <-ctx.Done():
		err = fmt.Errorf("store the cursor of app %s: %w", c.App, unavailable(ctx.Err()))
	}
	if now, found, there := s.table.get(c); there {
		cur, existed = now, existed || found
	}
	return cur, existed, err
}

// Confirm says that a consumer has confirmed everything up to seq. It never
// blocks. A consumer that is not there has been forgotten, and stays so.
func (s *Store) Confirm(c gatecast.Consumer, seq gatecast.Seq) { s.table.confirm(c, seq, s.now()) }

// Pass says that everything up to seq has been written to a consumer that
// never confirms, and is taken for received. It never blocks.
func (s *Store) Pass(c gatecast.Consumer, seq gatecast.Seq) { s.table.pass(c, seq, s.now()) }

// Lose records that a consumer goes on after gap.To and that what lies between
// is lost to it, but for what it has confirmed; nothing accepted since complete
// has been withheld from it.
// The cursor moves forward, but for a gap between two journals, where it
// moves to gap.To in any case. It never blocks.
func (s *Store) Lose(c gatecast.Consumer, gap gatecast.GapNotice, complete time.Time) {
	s.table.lose(c, gap, stamp(complete), s.now())
}

// Commit asks Run to write what has changed soon: within pause, so that
// consumers that leave together share a commit, and journal and cursors the
// disk. It never blocks.
func (s *Store) Commit() {
	s.table.hurry()
	select {
	case s.soon <- struct{}{}:
	default: // Run has yet to see an earlier request
	}
}

func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // Run has yet to wake for an earlier request
	}
}

// Cursor returns the cursor of a consumer, and whether there is one.
func (s *Store) Cursor(c gatecast.Consumer) (gatecast.Cursor, bool) {
	cur, _, there := s.table.get(c)
	return cur, there
}

// Of returns the cursors of an app, sorted by the consumer's name.
func (s *Store) Of(app string) []gatecast.Cursor { return s.table.of(app) }

// Forget forgets every cursor of an app that has been deleted.
func (s *Store) Forget(app string) { s.table.forget(app, s.now()) }

// Retain forgets the cursors of every app that keep does not know. It is for
// the start: apps may have been deleted while this node was down.
func (s *Store) Retain(keep func(app string) bool) {
	for _, app := range s.table.names() {
		if !keep(app) {
			s.Forget(app)
		}
	}
}

// Healthy returns nil, or an Unavailable error if the last commit failed. The
// store works on from memory all the same.
func (s *Store) Healthy() error {
	if err := s.outage.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// Metrics returns the store's collectors, for the caller to register.
func (s *Store) Metrics() []prometheus.Collector { return s.meters.all() }

func (s *Store) now() time.Time { return stamp(s.opts.Now()) }

// stamp is a time as it is stored: UTC, to the millisecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func unavailable(cause error) error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "the cursors cannot be written to disk",
		Remedy:  "try again",
		Cause:   cause,
	}
}

// forgot accounts for cursors that had to go because there were too many.
func (s *Store) forgot(evicted []gatecast.Cursor) {
	s.meters.forgotten.Add(float64(len(evicted)))
	for _, cur := range evicted {
		s.opts.Log.Warn("an app has too many cursors; the one idle longest is forgotten, and its consumer will begin anew",
			"app", cur.Consumer.App, "consumer", cur.Consumer.Name, "seq", cur.Seq, "limit", s.opts.MaxPerApp)
	}
}
