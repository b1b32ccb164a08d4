package cursor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a small key-value store with revisions, which rise over the whole
// bucket.
type bucket interface {
	// get returns the entry of key, or errMissing.
	get(ctx context.Context, key string) (entry, error)
	// put writes value if the key's revision is still rev (0: there is no such
	// key), and returns the new revision; else errChanged. After any other error
	// the value may have been written.
	put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	// watch calls tell with every entry there is, then with every one that is
	// written, until ctx ends or the watch is lost.
	watch(ctx context.Context, tell func(entry)) error
	// limit is the most bytes of a value.
	limit() int
}

// entry is a key's state at a revision.
type entry struct {
	key   string
	value []byte
	rev   uint64
}

var (
	errMissing = errors.New("no such key")
	errChanged = errors.New("the key has changed meanwhile")
)

// overhead is what a message needs beside its value: subject and headers.
const overhead = 4 << 10

// kvBucket is a bucket of JetStream. Every node of a cluster sees the same one.
type kvBucket struct {
	kv      jetstream.KeyValue
	timeout time.Duration // of one request
	max     func() int64  // bytes of a message
}

// openKV finds the bucket or makes it. It never lowers what an operator has
// set: replicas are changed only if the options name a number.
func openKV(ctx context.Context, js jetstream.JetStream, o Options) (*kvBucket, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	cfg := jetstream.KeyValueConfig{
		Bucket:      o.Bucket,
		Description: "gatecast: how far each consumer has confirmed",
		History:     1,
		Storage:     jetstream.FileStorage,
		Replicas:    max(o.Replicas, 1),
	}
	kv, err := js.KeyValue(ctx, o.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrBucketExists) { // another node was faster
			kv, err = js.KeyValue(ctx, o.Bucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open cursor bucket %q: %w", o.Bucket, bucketError(err))
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read state of cursor bucket %q: %w", o.Bucket, bucketError(err))
	}
	if o.Replicas > 0 && status.Config().Replicas != o.Replicas {
		if kv, err = js.UpdateKeyValue(ctx, cfg); err != nil {
			return nil, fmt.Errorf("set replicas of cursor bucket %q to %d: %w", o.Bucket, o.Replicas, bucketError(err))
		}
	}
	return &kvBucket{kv: kv, timeout: o.Timeout, max: js.Conn().MaxPayload}, nil
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

func (b *kvBucket) watch(ctx context.Context, tell func(entry)) error {
	w, err := b.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
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
				return errors.New("the connection to the cursor bucket was closed")
			}
			if e != nil { // nil: all that existed when the watch began has been told
				tell(entry{key: e.Key(), value: e.Value(), rev: e.Revision()})
			}
		}
	}
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
		Message: "the cursors cannot be written to disk",
		Remedy:  "try again",
		Cause:   cause,
	}
}
