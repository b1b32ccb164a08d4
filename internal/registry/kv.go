package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go/jetstream"
)

// kvStore is a store in a JetStream key-value bucket. Every node of a cluster
// sees the same one.
type kvStore struct {
	kv      jetstream.KeyValue
	timeout time.Duration // of one request
}

// openKV finds the bucket or makes it. It never lowers what an operator has
// set: replicas are changed only if the options name a number.
func openKV(ctx context.Context, js jetstream.JetStream, o Options) (*kvStore, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	cfg := jetstream.KeyValueConfig{
		Bucket:      o.Bucket,
		Description: "gatecast: apps, subscriptions and tokens",
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
		return nil, fmt.Errorf("open registry bucket %q: %w", o.Bucket, storeError(err))
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read state of registry bucket %q: %w", o.Bucket, storeError(err))
	}
	if o.Replicas > 0 && status.Config().Replicas != o.Replicas {
		if kv, err = js.UpdateKeyValue(ctx, cfg); err != nil {
			return nil, fmt.Errorf("set replicas of registry bucket %q to %d: %w", o.Bucket, o.Replicas, storeError(err))
		}
	}
	return &kvStore{kv: kv, timeout: o.Timeout}, nil
}

func (s *kvStore) get(ctx context.Context, key string) (entry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e, err := s.kv.Get(ctx, key)
	if err != nil {
		return entry{}, storeError(err)
	}
	return entry{key: key, value: e.Value(), rev: e.Revision()}, nil
}

func (s *kvStore) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var err error
	if rev == 0 {
		rev, err = s.kv.Create(ctx, key, value)
	} else {
		rev, err = s.kv.Update(ctx, key, value, rev)
	}
	return rev, storeError(err)
}

func (s *kvStore) del(ctx context.Context, key string, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return storeError(s.kv.Delete(ctx, key, jetstream.LastRevision(rev)))
}

func (s *kvStore) watch(ctx context.Context, tell func(entry)) error {
	w, err := s.kv.WatchAll(ctx)
	if err != nil {
		return storeError(err)
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
				return errors.New("the connection to the registry bucket was closed")
			}
			if e == nil {
				tell(entry{synced: true})
				continue
			}
			gone := e.Operation() != jetstream.KeyValuePut
			tell(entry{key: e.Key(), value: e.Value(), rev: e.Revision(), gone: gone})
		}
	}
}

// storeError translates the client library's errors: the two that the registry
// acts on, and for the rest the code Unavailable, since all of them are about
// the connection or the server behind it.
func storeError(err error) error {
	var coded *gatecast.Error
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
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
		Message: "the registry cannot be reached",
		Remedy:  "try again; a change that was under way may have been made",
		Cause:   cause,
	}
}
