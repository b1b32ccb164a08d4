package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// DeleteApp removes an app for good, and its subscriptions after it; its name
// and key are free again. If it fails halfway, calling it again removes the rest.
// Error: NotFound.
func (r *Registry) DeleteApp(ctx context.Context, key string) error {
	if !gatecast.ValidAppKey(key) {
		return noApp(key)
	}
	told, done := r.cache.removal(appEntry + key)
	defer done()
	name, err := r.remove(ctx, appEntry+key)
	switch {
	case errors.Is(err, bucket.ErrMissing):
		if len(r.subscriptionsOf(key)) == 0 {
			return noApp(key)
		}
	case err != nil:
		return fmt.Errorf("delete app %s: %w", key, err)
	default:
		r.release(ctx, appEntry+key, name)
		r.await(ctx, told)
	}
	if err := r.removeSubscriptionsOf(ctx, key); err != nil {
		return fmt.Errorf("delete the subscriptions of app %s: %w", key, err)
	}
	return nil
}

// await waits for the watch to tell a removal. Then this node knows of every
// subscription that was written before it, and whoever writes one after it finds
// that the app is gone. If the watch is lost, what it has yet to tell stays
// until removeOrphans finds it.
func (r *Registry) await(ctx context.Context, told <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	select {
	case <-told:
	case <-r.stopped:
	case <-ctx.Done():
	}
}

// remove deletes an entry whatever its revision, and returns its name. It
// works on damaged entries too.
func (r *Registry) remove(ctx context.Context, key string) (name string, err error) {
	for range attempts {
		e, err := r.store.Get(ctx, key)
		if err != nil {
			return "", err
		}
		err = r.store.Delete(ctx, key, e.Rev)
		if errors.Is(err, bucket.ErrChanged) {
			continue
		}
		if err != nil {
			return "", err
		}
		r.cache.removed(key, e.Rev)
		switch it := r.decode(e); {
		case it.app != nil:
			name = it.app.Name
		case it.token != nil:
			name = it.token.Name
		}
		return name, nil
	}
	return "", contended()
}

func (r *Registry) subscriptionsOf(app string) []*gatecast.Subscription {
	var some []*gatecast.Subscription
	for s := range r.cache.load().subs.all() {
		if s.App == app {
			some = append(some, s)
		}
	}
	return some
}

func (r *Registry) removeSubscriptionsOf(ctx context.Context, app string) error {
	for _, s := range r.subscriptionsOf(app) {
		if _, err := r.remove(ctx, subscriptionEntry+s.ID); err != nil && !errors.Is(err, bucket.ErrMissing) {
			return err
		}
	}
	return nil
}

// removeOrphans removes the subscriptions whose app is gone: a node that deleted
// an app may have died before it came to them. An app that is there but cannot
// be read keeps its own.
func (r *Registry) removeOrphans(ctx context.Context) {
	now := r.cache.load()
	checked := map[string]bool{"": true}
	for s := range now.subs.all() {
		if _, there := now.apps.get(s.App); there || checked[s.App] {
			continue
		}
		checked[s.App] = true
		there, err := r.appExists(ctx, s.App)
		if err == nil && !there {
			err = r.removeSubscriptionsOf(ctx, s.App)
		}
		if err != nil {
			r.opts.Log.Warn("subscriptions of a deleted app stay until the next start", "app", s.App, "err", err)
		}
	}
}

// appExists asks the store whether there is an app, readable or not.
func (r *Registry) appExists(ctx context.Context, key string) (bool, error) {
	if !gatecast.ValidAppKey(key) {
		return false, nil
	}
	_, err := r.store.Get(ctx, appEntry+key)
	if errors.Is(err, bucket.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}
