package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a key-value store with revisions, which rise over the whole bucket.
type bucket interface {
	// get returns the entry of key, or errMissing.
	get(ctx context.Context, key string) (entry, error)
	// put writes value if the key's revision is still rev (0: there is no such
	// key), and returns the new revision; else errChanged. After any other error
	// the value may have been written.
	put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	// set writes value whatever there is.
	set(ctx context.Context, key string, value []byte) (uint64, error)
	// del removes a key if its revision is still rev, else errChanged; 0 removes
	// it whatever there is.
	del(ctx context.Context, key string, rev uint64) error
	// watch calls tell with every entry there is, then with an entry that is
	// synced, then with every change, until tell returns false, ctx ends or the
	// watch is lost. The entries have no values.
	watch(ctx context.Context, tell func(entry) bool) error
	// limit is the most bytes of a value.
	limit() int
}

// entry is a key's state at a revision.
type entry struct {
	key    string
	value  []byte
	rev    uint64
	gone   bool // the key has been removed
	synced bool // no entry: all that existed when the watch began has been told
}

var (
	errMissing = errors.New("no such key")
	errChanged = errors.New("the key has changed meanwhile")
)

const (
	// overhead is what a message needs beside its value: subject and headers.
	overhead = 4 << 10
	// markerTTL is how long it stays known that a dead letter was removed: long
	// enough for every watch to be told. One that was cut off for longer begins
	// anew and is told what there is.
	markerTTL = time.Hour
)

// bucketConfig is what a bucket is made with.
type bucketConfig struct {
	name, about string
	markers     time.Duration // how long removed keys are remembered; 0: for ever
}

// kvBucket is a bucket of JetStream. Every node of a cluster sees the same one.
type kvBucket struct {
	kv      jetstream.KeyValue
	timeout time.Duration // of one request
	markers time.Duration
	max     func() int64 // bytes of a message
}

// openKV finds a bucket or makes it. It never lowers what an operator has set:
// replicas are changed only if the options name a number.
func openKV(ctx context.Context, js jetstream.JetStream, o Options, c bucketConfig) (*kvBucket, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	cfg := jetstream.KeyValueConfig{
		Bucket:         c.name,
		Description:    c.about,
		History:        1,
		Storage:        jetstream.FileStorage,
		Replicas:       max(o.Replicas, 1),
		LimitMarkerTTL: c.markers,
	}
	kv, err := js.KeyValue(ctx, c.name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrBucketExists) { // another node was faster
			kv, err = js.KeyValue(ctx, c.name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", c.name, bucketError(err))
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read state of bucket %q: %w", c.name, bucketError(err))
	}
	if o.Replicas > 0 && status.Config().Replicas != o.Replicas {
		if kv, err = js.UpdateKeyValue(ctx, cfg); err != nil {
			return nil, fmt.Errorf("set replicas of bucket %q to %d: %w", c.name, o.Replicas, bucketError(err))
		}
	}
	return &kvBucket{kv: kv, timeout: o.Timeout, markers: c.markers, max: js.Conn().MaxPayload}, nil
}

func (b *kvBucket) limit() int {
	if n := b.max(); n > overhead { // it is zero while no server has said what it takes
		return int(n) - overhead
	}
	return memLimit
}

func (b *kvBucket) get(ctx context.Context, key string) (entry, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return entry{}, bucketError(err)
	}
	return entry{key: key, value: e.Value(), rev: e.Revision()}, nil
}

func (b *kvBucket) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	var err error
	if rev == 0 {
		rev, err = b.kv.Create(ctx, key, value)
	} else {
		rev, err = b.kv.Update(ctx, key, value, rev)
	}
	return rev, bucketError(err)
}

func (b *kvBucket) set(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	rev, err := b.kv.Put(ctx, key, value)
	return rev, bucketError(err)
}

func (b *kvBucket) del(ctx context.Context, key string, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	var opts []jetstream.KVDeleteOpt
	if b.markers > 0 {
		opts = append(opts, jetstream.PurgeTTL(b.markers))
	}
	if rev > 0 {
		opts = append(opts, jetstream.LastRevision(rev))
	}
	return bucketError(b.kv.Purge(ctx, key, opts...))
}

func (b *kvBucket) watch(ctx context.Context, tell func(entry) bool) error {
	w, err := b.kv.WatchAll(ctx, jetstream.MetaOnly())
	if err != nil {
		return bucketError(err)
	}
	// The reason for a failing Stop is that the connection is gone, and the
	// watch with it.
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Updates():
			if !ok {
				return unavailable(errors.New("the connection to the bucket was closed"))
			}
			if !tell(told(e)) {
				return nil
			}
		}
	}
}

func told(e jetstream.KeyValueEntry) entry {
	if e == nil {
		return entry{synced: true}
	}
	return entry{key: e.Key(), rev: e.Revision(), gone: e.Operation() != jetstream.KeyValuePut}
}

// bucketError translates the client library's errors: the two that are acted
// on, and for the rest the code Unavailable, since all of them are about the
// connection or the server behind it.
func bucketError(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return errMissing
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return errChanged
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return errChanged // how replicated streams say it
	default:
		return unavailable(err)
	}
}

func unavailable(cause error) error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "the state of subscriptions cannot be read or written",
		Remedy:  "try again",
		Cause:   cause,
	}
}
