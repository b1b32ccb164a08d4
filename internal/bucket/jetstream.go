package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Options is what a bucket of JetStream is opened with.
type Options struct {
	Name     string        // of the bucket
	About    string        // what lies in it, for people who look at the server
	Replicas int           // copies in a cluster, 1 to 5; default 1 for a new bucket, unchanged for an old one
	Markers  time.Duration // how long it is remembered that a key was removed, from 1 s on; default: for ever
	Timeout  time.Duration // of one request; default 5 s
	// Unavailable makes of a cause the error that users see, with the code
	// Unavailable. Default: [Unavailable].
	Unavailable func(cause error) error
}

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	if o.Unavailable == nil {
		o.Unavailable = Unavailable
	}
	return o
}

// kv is a bucket of JetStream.
type kv struct {
	keys jetstream.KeyValue
	opts Options
	max  func() int64 // bytes of a message
}

// Open finds a bucket in js or makes it. It never lowers what an operator has
// set: replicas are changed only if the options name a number. js must stay
// usable as long as the bucket.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (Bucket, error) {
	o = o.withDefaults()
	b := &kv{opts: o, max: js.Conn().MaxPayload}
	if err := b.find(ctx, js); err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", o.Name, b.told(err))
	}
	if err := b.settle(ctx, js); err != nil {
		return nil, fmt.Errorf("set up bucket %q: %w", o.Name, b.told(err))
	}
	return b, nil
}

func (b *kv) find(ctx context.Context, js jetstream.JetStream) (err error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	b.keys, err = js.KeyValue(ctx, b.opts.Name)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return err
	}
	b.keys, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:         b.opts.Name,
		Description:    b.opts.About,
		History:        1,
		Storage:        jetstream.FileStorage,
		Replicas:       max(b.opts.Replicas, 1),
		LimitMarkerTTL: b.opts.Markers,
	})
	if errors.Is(err, jetstream.ErrBucketExists) { // another node was faster
		b.keys, err = js.KeyValue(ctx, b.opts.Name)
	}
	return err
}

// settle brings the stream behind the bucket to the options. Reads are answered
// by its leader alone: any other server may answer with what was there before
// the asker's own last write, or that there is nothing.
func (b *kv) settle(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	stream, err := js.Stream(ctx, "KV_"+b.opts.Name)
	if err != nil {
		return err
	}
	cfg := stream.CachedInfo().Config
	replicas := cmp.Or(b.opts.Replicas, cfg.Replicas)
	if !cfg.AllowDirect && cfg.Replicas == replicas {
		return nil
	}
	cfg.AllowDirect, cfg.Replicas = false, replicas
	if _, err = js.UpdateStream(ctx, cfg); err != nil {
		return err
	}
	b.keys, err = js.KeyValue(ctx, b.opts.Name) // learns that it is so
	return err
}

func (b *kv) Limit() int {
	if n := b.max(); n > overhead { // it is zero while no server has said what it takes
		return int(n) - overhead
	}
	return usual
}

func (b *kv) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	e, err := b.keys.Get(ctx, key)
	if err != nil {
		return Entry{}, b.told(err)
	}
	return Entry{Key: key, Value: e.Value(), Rev: e.Revision()}, nil
}

func (b *kv) Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var err error
	if rev == 0 {
		rev, err = b.keys.Create(ctx, key, value)
	} else {
		rev, err = b.keys.Update(ctx, key, value, rev)
	}
	return rev, b.told(err)
}

func (b *kv) Set(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	rev, err := b.keys.Put(ctx, key, value)
	return rev, b.told(err)
}

func (b *kv) Delete(ctx context.Context, key string, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var opts []jetstream.KVDeleteOpt
	if b.opts.Markers > 0 {
		opts = append(opts, jetstream.PurgeTTL(b.opts.Markers))
	}
	if rev > 0 {
		opts = append(opts, jetstream.LastRevision(rev))
	}
	return b.told(b.keys.Purge(ctx, key, opts...))
}

func (b *kv) Watch(ctx context.Context, what What, tell func(Entry) bool) error {
	var opts []jetstream.WatchOpt
	if what == Keys {
		opts = append(opts, jetstream.MetaOnly())
	}
	w, err := b.keys.WatchAll(ctx, opts...)
	if err != nil {
		return b.told(err)
	}
	// The reason for a failing Stop is that the connection is gone, and the
	// watch with it.
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Updates():
			if !ok && ctx.Err() != nil { // which ends the watcher, too
				return ctx.Err()
			}
			if !ok {
				return b.opts.Unavailable(errors.New("the connection to the bucket was closed"))
			}
			if !tell(entryOf(e)) {
				return nil
			}
		}
	}
}

// entryOf makes an entry of what a watcher yields, for which nil means that it
// is synced.
func entryOf(e jetstream.KeyValueEntry) Entry {
	if e == nil {
		return Entry{Synced: true}
	}
	return Entry{Key: e.Key(), Value: e.Value(), Rev: e.Revision(), Gone: e.Operation() != jetstream.KeyValuePut}
}

// told translates the client library's errors: the two that are acted on, and
// for the rest the code Unavailable, since all of them are about the connection
// or the server behind it.
func (b *kv) told(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return ErrMissing
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return ErrChanged
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return ErrChanged // how replicated streams say it
	default:
		return b.opts.Unavailable(err)
	}
}
