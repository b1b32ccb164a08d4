// Package registry keeps the settings that must survive a restart and be the
// same on every node: the apps, the subscriptions and the sources with their
// secrets, and the API tokens and the users for MQTT without theirs.
//
// It owns the key-value bucket they lie in, the encryption of the secrets, and
// a snapshot in memory from which everything on a connection's path is
// answered without I/O. It never speaks HTTP and never makes or checks a
// signature. Start at [Open]; names and credentials of apps are checked by
// gatecast.AppSpec, settings by gatecast.SubscriptionSettings,
// gatecast.SourceSpec and gatecast.MQTTUserSpec.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/nats-io/nats.go/jetstream"
)

// Options tunes a Registry. The zero value suits, but for KeyFile.
type Options struct {
	KeyFile          string           // holds the key that secrets are encrypted with; required by Open, made at the first start
	Bucket           string           // name of the key-value bucket; default "gatecast_registry"
	Replicas         int              // copies in a cluster, 1 to 5; default 1 for a new bucket, unchanged for an old one
	MaxApps          int              // more are refused as a Conflict; default 10,000
	MaxSubscriptions int              // more are refused as a Conflict; default 10,000
	MaxSources       int              // more are refused as a Conflict; default 256
	MaxMQTTUsers     int              // more are refused as a Conflict; default 10,000
	MaxTokens        int              // more are refused as a Conflict; default 1,000
	MaxOverlap       time.Duration    // of two secrets in a rotation, longer is Invalid; default 90 days
	Timeout          time.Duration    // of one request to the bucket, then Unavailable; default 5 s
	Now              func() time.Time // default time.Now
	Log              *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.Bucket = cmp.Or(o.Bucket, "gatecast_registry")
	o.MaxApps = cmp.Or(o.MaxApps, 10_000)
	o.MaxSubscriptions = cmp.Or(o.MaxSubscriptions, 10_000)
	o.MaxSources = cmp.Or(o.MaxSources, 256)
	o.MaxMQTTUsers = cmp.Or(o.MaxMQTTUsers, 10_000)
	o.MaxTokens = cmp.Or(o.MaxTokens, 1_000)
	o.MaxOverlap = cmp.Or(o.MaxOverlap, 90*24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Registry holds apps, subscriptions, sources, users for MQTT and tokens. Its
// methods may be called from any goroutine. Reading is answered from memory; a change is on disk when its
// method returns, visible to this node at once and to others a moment later.
type Registry struct {
	opts   Options
	store  bucket.Bucket
	seal   *sealer
	cache  *cache
	resync atomic.Uint64 // how often the watch had to begin anew

	stop    context.CancelFunc
	stopped chan struct{} // closed when the watch has ended
}

// Open returns the registry in js, which must stay usable until Close. It
// returns when everything has been read. Besides Unavailable its errors are
// about the key file: Invalid if it is missing though secrets were encrypted
// with it, is another one, or is readable by other users.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Registry, error) {
	o = o.withDefaults()
	kv, err := bucket.Open(ctx, js, bucket.Options{
		Name: o.Bucket, About: "gatecast: apps, subscriptions, sources and tokens",
		Replicas: o.Replicas, Timeout: o.Timeout, Unavailable: unavailable,
	})
	if err != nil {
		return nil, err
	}
	s, err := openSealer(ctx, kv, o.KeyFile)
	if err != nil {
		return nil, err
	}
	r := start(ctx, kv, s, o)
	if err := r.cache.wait(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("read registry: %w", unavailable(err))
	}
	r.removeOrphans(ctx)
	return r, nil
}

// OpenMem returns an empty registry in memory with the same behaviour, for
// tests and trials. Its secrets are encrypted too, with a key nobody keeps; it
// ignores KeyFile, Bucket and Replicas.
func OpenMem(o Options) *Registry {
	return openMem(&bucket.Mem{}, newSealer(newKey()), o)
}

func openMem(m *bucket.Mem, s *sealer, o Options) *Registry {
	r := start(context.Background(), m, s, o.withDefaults())
	// Waiting cannot fail: the store is in memory and the context has no end.
	_ = r.cache.wait(context.Background())
	r.removeOrphans(context.Background())
	return r
}

// start begins to watch the store. The watch outlives ctx, and ends with Close.
func start(ctx context.Context, st bucket.Bucket, s *sealer, o Options) *Registry {
	watchCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Registry{opts: o, store: st, seal: s, cache: newCache(), stop: stop, stopped: make(chan struct{})}
	go func() {
		defer close(r.stopped)
		r.watch(watchCtx)
	}()
	return r
}

// watch keeps the snapshot up to date until ctx ends. While the store is out
// of reach the last snapshot stays in force: doors keep opening.
func (r *Registry) watch(ctx context.Context) {
	bucket.Follow(ctx, r.store, bucket.Watcher{
		Begin: r.cache.beginSync,
		Tell: func(e bucket.Entry) {
			if e.Synced {
				r.cache.endSync()
				return
			}
			r.cache.watched(e, r.decode(e))
		},
		Lost: func(err error, before int) time.Duration {
			r.cache.lost(err)
			r.resync.Add(1)
			r.opts.Log.Warn("registry watch was lost; settings may be old until it is back", "err", err)
			return min(firstPause<<min(before, 10), lastPause)
		},
	})
}

const ( // before a watch that was lost is begun anew
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// decode reads an entry of the store. One that cannot be read counts as absent,
// so that a single damaged one does not take the others with it.
func (r *Registry) decode(e bucket.Entry) item {
	it, err := decodeItem(e, r.seal)
	if err != nil {
		r.opts.Log.Error("registry entry cannot be read and is left out", "key", e.Key, "err", err)
		return item{} // it may hold what was read before the error
	}
	return it
}

// Close ends the watch and every loop over changes, and waits for the watch. It
// leaves the JetStream handle open.
func (r *Registry) Close() {
	r.stop()
	<-r.stopped
	r.cache.close()
}

// Healthy returns nil while changes made on other nodes arrive here, else an
// Unavailable error. The registry answers from its last snapshot all the same.
func (r *Registry) Healthy() error {
	if err := r.cache.trouble(); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(cause error) error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "the registry cannot be reached",
		Remedy:  "try again; a change that was under way may have been made",
		Cause:   cause,
	}
}

// now is the time as it is stored: UTC, to the millisecond.
func (r *Registry) now() time.Time { return r.opts.Now().UTC().Truncate(time.Millisecond) }
