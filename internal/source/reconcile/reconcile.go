// Package reconcile asks SenseLink servers what they have, and fills in what is
// missing here.
//
// It owns what a source has of its own, what of it the journal has, and the
// statement that says up to when both agree. It never follows a source's push
// (see source/pull and source/push), and never takes a server's word for what
// the journal holds. Start at [Reconciler.Run], then read worker.go for the
// life of a source, look.go for one look at it, and audit.go for what is here.
//
// # What a statement says
//
// [gatecast.Statement.Through] is a moment, by the source's clock or ours,
// whichever is behind. Every event of before it that the source had by then was
// found in the journal or stored in it, or, if it could not be understood, was
// put into the quarantine; of an alarm it is the state that it had. It begins
// with the first look, which goes back REST.Lookback.
//
// A list proves nothing by itself: the answer to a question about the wrong
// hours looks as if nothing were missing. proof.go says what is asked for, and
// when nothing is stated.
//
// A source may learn of an event long after it happened, from a device that was
// offline. Until then it did not have it. The push brings it; if that fails, its
// number is missed where that is rare (see gaps.go), and else a deep look finds
// it. An alarm is listed in its present state only, and looked for until a week
// after it began.
package reconcile

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Sources knows the servers there are.
type Sources interface {
	Source(name string) (*gatecast.Source, bool)
	Sources() []*gatecast.Source
	// SourceChanges yields the name of each source that was made, changed,
	// paused, resumed or deleted after the call, until ctx ends.
	SourceChanges(ctx context.Context) iter.Seq[string]
}

// Journal stores events.
type Journal interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk; those whose ID it has are dropped.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
}

// Hub reads the journal.
type Hub interface {
	Head() gatecast.Seq
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
	Listen() (moved <-chan struct{}, stop func())
	Extent(ctx context.Context) (gatecast.Extent, error)
	// Since returns the position after which everything was stored at t or later.
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
}

// Quarantine keeps what could not be understood. It does not fail, and does not
// keep the slice.
type Quarantine interface {
	Put(source, reason string, body []byte)
}

// Notes keeps what is known of each source where whoever looks at it next finds
// it, which in a cluster may be another node.
type Notes interface {
	// Take returns the note of a source, nil if there is none. From then on it is
	// this node's to write, until another takes it. Its error is Unavailable if
	// that cannot be known now.
	Take(ctx context.Context, source string) ([]byte, error)
	// Write replaces the note, and returns when it is on disk. Its error is
	// Conflict if another node has taken the note since.
	Write(ctx context.Context, source string, note []byte) error
	// Forget removes the note of a source that is gone.
	Forget(ctx context.Context, source string) error
}

// Parts is what a Reconciler works with.
type Parts struct {
	Sources    Sources
	Journal    Journal
	Hub        Hub
	Quarantine Quarantine
}

// Options tunes a Reconciler. The zero value suits, but for Dir.
type Options struct {
	Dir    string            // of the files with what the journal has of each source; made if missing
	Notes  Notes             // default: files in Dir
	Decode senselink.Options // limits, numbering, and the zone of sources that name none

	Transport http.RoundTripper // default: one of its own
	TLS       *tls.Config       // for https, of the default transport; default: the system's certificate authorities
	Size      int               // rows of a list asked for at once, at most 1000; default 200
	PerSecond float64           // questions to one source a second; default 5
	Timeout   time.Duration     // for an answer; default 30 s
	Margin    time.Duration     // between the newest that is listed and what is said to be complete; default 5 s
	DeepEvery time.Duration     // between two looks that go back a day, or REST.Lookback if that is less; default 6 h
	SaveEvery time.Duration     // between two writes of what the journal has of a source; default 10 s

	// Suspect is called when a source had events that it should have pushed, for
	// it was connected, and did not. It must not block. Default: nothing.
	Suspect func(name, why string)

	Rand func() float64 // from [0,1); default math/rand/v2
	Log  *slog.Logger   // default: discard
}

func (o Options) withDefaults() Options {
	if o.Decode.IDs == nil {
		o.Decode.IDs = new(senselink.Counter)
	}
	o.Decode.Zone = cmp.Or(o.Decode.Zone, time.UTC)
	o.Size = cmp.Or(o.Size, 200)
	o.PerSecond = cmp.Or(o.PerSecond, 5)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Margin = cmp.Or(o.Margin, 5*time.Second)
	o.DeepEvery = cmp.Or(o.DeepEvery, 6*time.Hour)
	o.SaveEvery = cmp.Or(o.SaveEvery, 10*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Suspect == nil {
		o.Suspect = func(string, string) {}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Reconciler looks at every source that has a REST.URL.
type Reconciler struct {
	Parts
	opts    Options
	client  *http.Client
	metrics *metrics

	// mu guards workers. It is held only for map work.
	mu      sync.Mutex
	workers map[string]*worker
}

// New makes a Reconciler. It asks nobody before [Reconciler.Run]. Its error is
// Invalid if an option cannot stand, and Unavailable if the directory cannot be made.
func New(p Parts, o Options) (*Reconciler, error) {
	o = o.withDefaults()
	if o.Dir == "" || o.Size < 2 || o.Size > 1000 || o.PerSecond <= 0 || o.Margin < 0 {
		return nil, gatecast.Errorf(gatecast.Invalid, "reconciling needs a directory, 2 to 1000 rows at once, and a rate above zero")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unavailable(fmt.Errorf("make the directory of the sources: %w", err))
	}
	if o.Notes == nil {
		o.Notes = files{o.Dir}
	}
	r := &Reconciler{Parts: p, opts: o, client: newClient(o), workers: make(map[string]*worker)}
	r.metrics = newMetrics(r)
	return r, nil
}

// unavailable is an error that says to try again.
func unavailable(cause error) error {
	e := gatecast.Errorf(gatecast.Unavailable, "%v", cause)
	e.Cause = cause
	return e
}
