package registry

import (
	"context"
	"iter"
)

// subscription collects the keys of changed apps for one Changes loop. It is
// bounded by the number of apps: a key stands in it once, however often the
// app changes before the loop comes to it. cache.mu guards pending.
type subscription struct {
	pending map[string]struct{}
	wake    chan struct{} // holds one token when pending is not empty
	done    chan struct{} // closed with the registry
}

// Changes yields the key of every app that was made, changed, rotated or
// deleted after this call, on whichever node, until ctx or the registry ends.
// Changes of one app that come faster than the loop are yielded once. The loop
// asks [Registry.App] for the app as it is now; a deleted one is not found.
//
// Listening begins with the call, not with the loop: call it first, look at an
// app second, and no change is missed between. The sequence can be used once.
func (r *Registry) Changes(ctx context.Context) iter.Seq[string] {
	sub := r.cache.subscribe()
	unsubscribe := func() { r.cache.unsubscribe(sub) }
	stop := context.AfterFunc(ctx, unsubscribe)
	return func(yield func(string) bool) {
		defer stop()
		defer unsubscribe()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.done:
				return
			case <-sub.wake:
			}
			for key := range r.cache.take(sub) {
				if ctx.Err() != nil || !yield(key) {
					return
				}
			}
		}
	}
}

func (c *cache) subscribe() *subscription {
	sub := &subscription{pending: map[string]struct{}{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		close(sub.done)
		return sub
	}
	c.subs[sub] = struct{}{}
	return sub
}

func (c *cache) unsubscribe(sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.subs[sub]; there {
		delete(c.subs, sub)
		close(sub.done)
	}
}

// take empties what sub has collected.
func (c *cache) take(sub *subscription) map[string]struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := sub.pending
	sub.pending = map[string]struct{}{}
	return keys
}

// notify tells the subscriptions of a changed app. The caller holds mu.
func (c *cache) notify(old, now item) {
	app := now.app
	if app == nil {
		app = old.app
	}
	if app == nil {
		return
	}
	for sub := range c.subs {
		sub.pending[app.Key] = struct{}{}
		select {
		case sub.wake <- struct{}{}:
		default: // it has yet to wake for an earlier change
		}
	}
}

// close ends every subscription, and any that is still to come.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for sub := range c.subs {
		close(sub.done)
	}
	clear(c.subs)
}
