// Package image fetches the images that the events of sources name, from the
// servers that the events came from.
//
// It owns which of them are still to be fetched, when each is asked for, and how
// far the journal has been read for that. It never stores an image itself (see
// Store), never changes an event, and nobody waits for it: an image comes when it
// comes. Start at [Fetcher.Run], then read worker.go for the life of a source,
// list.go for what waits, and ask.go for one question.
package image

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
)

// Sources knows the servers there are.
type Sources interface {
	Source(name string) (*gatecast.Source, bool)
	Sources() []*gatecast.Source
	// SourceChanges yields the name of each source that was made, changed,
	// paused, resumed or deleted after the call, until ctx ends.
	SourceChanges(ctx context.Context) iter.Seq[string]
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

// Store keeps images.
type Store interface {
	// Has reports whether an image is there, which counts as come in now.
	Has(p gatecast.Photo) bool
	// Put stores an image. Its error is Invalid or TooLarge if it is none that can
	// be kept, and Unavailable if trying again may help.
	Put(p gatecast.Photo, content []byte) error
	// Accepting returns nil, or why Put would be a bad idea at this moment.
	Accepting() error
}

// Parts is what a Fetcher works with.
type Parts struct {
	Sources Sources
	Hub     Hub
	Store   Store
}

// Options tunes a Fetcher. The zero value suits, but for Dir.
type Options struct {
	Dir       string            // of the files with what is still to be fetched; made if missing
	Transport http.RoundTripper // default: one of its own
	TLS       *tls.Config       // of that; default: the system's certificate authorities
	PerSecond float64           // questions to one source a second; default 10
	Parallel  int               // questions to one source at once; default 2
	For       time.Duration     // how long after an event was stored its images are asked for; default 24 h
	Timeout   time.Duration     // for an answer; default 30 s
	MaxSize   int64             // bytes of an answer; default 2 MiB
	SaveEvery time.Duration     // between two writes of the file of a source; default 5 s

	Rand func() float64 // from [0,1); default math/rand/v2
	Log  *slog.Logger   // default: discard
}

func (o Options) withDefaults() Options {
	o.PerSecond = cmp.Or(o.PerSecond, 10)
	o.Parallel = cmp.Or(o.Parallel, 2)
	o.For = cmp.Or(o.For, 24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.MaxSize = cmp.Or(o.MaxSize, 2<<20)
	o.SaveEvery = cmp.Or(o.SaveEvery, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Fetcher fetches the images of every source that has a REST.URL.
type Fetcher struct {
	Parts
	opts    Options
	client  *http.Client
	metrics *metrics

	// mu guards workers. It is held only for map work.
	mu      sync.Mutex
	workers map[string]*worker
}

// New makes a Fetcher. It asks nobody before [Fetcher.Run]. Its error is Invalid
// if an option cannot stand, and Unavailable if the directory cannot be made.
func New(p Parts, o Options) (*Fetcher, error) {
	o = o.withDefaults()
	if o.Dir == "" || o.PerSecond <= 0 || o.Parallel < 1 {
		return nil, gatecast.Errorf(gatecast.Invalid, "fetching images needs a directory, and a rate and a number above zero")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		e := gatecast.Errorf(gatecast.Unavailable, "the directory of the sources cannot be made")
		e.Cause = fmt.Errorf("make the directory of the sources: %w", err)
		return nil, e
	}
	return &Fetcher{Parts: p, opts: o, client: newClient(o), metrics: newMetrics(), workers: make(map[string]*worker)}, nil
}
