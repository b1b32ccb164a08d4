// Package deliverylog keeps the latest attempts of each subscription, for
// people who want to know what happened.
//
// It owns the files they lie in: ID.ndjson, and ID.1.ndjson with what came
// before, one attempt a line. It keeps nothing that deliveries depend on (see
// ledger), it never makes one wait, and it never decides what is delivered.
// Start at [Open] and [Log.Add].
//
// # What may be lost
//
// An attempt is in memory for Options.Interval and then in a file that nobody
// fsyncs. After a crash of gatecast the newest second may be missing, after one
// of the machine some more. A line that was cut off is passed over.
// While the disk takes nothing, attempts are dropped and counted.
package deliverylog

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// Options tunes a Log. The zero value suits, but for Dir.
type Options struct {
	Dir         string        // of the files; made if missing
	MaxBytes    int64         // of one subscription, both files together, at least 16 KiB; default 1 MiB
	Interval    time.Duration // how long an attempt may be in memory only; default 1 s
	MaxBuffered int           // attempts in memory over all subscriptions, some KiB each at most; beyond it the newest are dropped; default 16,384
	Log         *slog.Logger  // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<20)
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.MaxBuffered = cmp.Or(o.MaxBuffered, 16_384)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// minBytes leaves room for some lines of the longest there are in each file.
const minBytes = 16 << 10

// Log holds the attempts. Its methods may be called from any goroutine.
type Log struct {
	opts   Options
	meters *meters
	outage outage

	// pen is held by whoever changes files, one subscription at a time. It is
	// a channel because its holder waits for the disk.
	pen chan struct{}

	// mu guards what follows. Nothing blocks under it.
	mu       sync.Mutex
	sheets   map[string]*sheet // by subscription; those with something to write
	next     uint64            // number of the next attempt; numbers rise over all subscriptions
	buffered int               // attempts in sheets
}

// sheet is a subscription's attempts on their way to its file, as lines. What
// stands in a slice never changes, so that a reader may keep it.
type sheet struct {
	waiting []byte
	writing []byte // those the disk is being given at this moment
	count   int    // attempts in waiting
}

// Open opens the log in a directory. Its error is Invalid if an option cannot
// stand, and Unavailable if the directory cannot be made or read.
func Open(o Options) (*Log, error) {
	o = o.withDefaults()
	if o.Dir == "" || o.MaxBytes < minBytes {
		return nil, gatecast.Errorf(gatecast.Invalid, "a delivery log needs a directory, and at least %d bytes for each subscription", minBytes)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unavailable(fmt.Errorf("make the directory of the delivery log: %w", err))
	}
	l := &Log{opts: o, pen: make(chan struct{}, 1), sheets: make(map[string]*sheet)}
	l.meters = newMeters(l)
	newest, err := l.newest()
	if err != nil {
		return nil, unavailable(fmt.Errorf("read the delivery log: %w", err))
	}
	l.next = newest + 1
	return l, nil
}

// Add puts an attempt on a subscription's list. It never blocks and never does
// I/O. The attempt is dropped, and counted, if Options.MaxBuffered others wait
// to be written, or if id is not the ID of a subscription. Of what the answer
// said, its first KiB is kept.
func (l *Log) Add(id string, a gatecast.Attempt) {
	if !gatecast.ValidSubscriptionID(id) {
		l.meters.invalid.Inc()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buffered >= l.opts.MaxBuffered {
		l.meters.full.Inc()
		return
	}
	s := l.sheets[id]
	if s == nil {
		s = &sheet{}
		l.sheets[id] = s
	}
	s.waiting = appendLine(s.waiting, l.next, &a)
	s.count++
	l.next++
	l.buffered++
}

// Run writes what has been added every Options.Interval until ctx ends, and
// once more then. It is called once. It returns why the last round failed, or
// nil; earlier rounds that fail are logged once for each outage.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(l.opts.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.flush()
		case <-tick.C:
			_ = l.flush() // has been logged, and the attempts are gone
		}
	}
}

// Forget removes what is kept of a subscription that has been deleted.
func (l *Log) Forget(id string) {
	if !gatecast.ValidSubscriptionID(id) {
		return
	}
	l.pen <- struct{}{}
	defer func() { <-l.pen }()
	l.mu.Lock()
	if s := l.sheets[id]; s != nil {
		l.buffered -= s.count
		delete(l.sheets, id)
	}
	l.mu.Unlock()
	l.remove(l.files(id))
}

// Retain forgets every subscription that keep does not know. It is for the
// start: subscriptions may have been deleted while this node was down.
func (l *Log) Retain(keep func(id string) bool) {
	ids, err := l.subscriptions()
	if err != nil {
		l.opts.Log.Warn("the delivery log's directory cannot be read; files of deleted subscriptions may stay", "err", err)
	}
	for _, id := range ids {
		if !keep(id) {
			l.Forget(id)
		}
	}
}

// Healthy returns nil, or an Unavailable error if the last round could not be
// written. Deliveries go on all the same.
func (l *Log) Healthy() error { return l.outage.err() }

// Metrics returns the log's collectors, for the caller to register.
func (l *Log) Metrics() []prometheus.Collector { return l.meters.all() }

func unavailable(err error) error {
	return &gatecast.Error{
		Code: gatecast.Unavailable, Message: "the delivery log is out of reach",
		Remedy: "see whether the disk is full and the data directory belongs to gatecast", Cause: err,
	}
}
