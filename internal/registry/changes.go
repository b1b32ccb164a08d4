package registry

import (
	"cmp"
	"context"
	"iter"
)

// listener collects the names of changed items for one loop. It is bounded by
// the number of items: a name stands in it once, however often the item changes
// before the loop comes to it. cache.mu guards pending.
type listener struct {
	names   func(item) string // what the loop is told of an item; empty: nothing
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
func (r *Registry) Changes(ctx context.Context) iter.Seq[string] { return r.listen(ctx, appKey) }

// SubscriptionChanges yields the ID of every subscription that was made,
// changed, paused, resumed, rotated or deleted after this call, by the same
// rules as [Registry.Changes]. A change of its app is none of the subscription.
func (r *Registry) SubscriptionChanges(ctx context.Context) iter.Seq[string] {
	return r.listen(ctx, subscriptionID)
}

// SourceChanges yields the name of every source that was made, changed, paused,
// resumed or deleted after this call, by the same rules as [Registry.Changes].
func (r *Registry) SourceChanges(ctx context.Context) iter.Seq[string] {
	return r.listen(ctx, sourceName)
}

func appKey(it item) string {
	if it.app == nil {
		return ""
	}
	return it.app.Key
}

func subscriptionID(it item) string {
	if it.sub == nil {
		return ""
	}
	return it.sub.ID
}

func sourceName(it item) string {
	if it.source == nil {
		return ""
	}
	return it.source.Name
}

func (r *Registry) listen(ctx context.Context, names func(item) string) iter.Seq[string] {
	l := r.cache.listen(names)
	leave := func() { r.cache.leave(l) }
	stop := context.AfterFunc(ctx, leave)
	return func(yield func(string) bool) {
		defer stop()
		defer leave()
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.done:
				return
			case <-l.wake:
			}
			for name := range r.cache.take(l) {
				if ctx.Err() != nil || !yield(name) {
					return
				}
			}
		}
	}
}

func (c *cache) listen(names func(item) string) *listener {
	l := &listener{names: names, pending: map[string]struct{}{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		close(l.done)
		return l
	}
	c.listeners[l] = struct{}{}
	return l
}

func (c *cache) leave(l *listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.listeners[l]; there {
		delete(c.listeners, l)
		close(l.done)
	}
}

// take empties what l has collected.
func (c *cache) take(l *listener) map[string]struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := l.pending
	l.pending = map[string]struct{}{}
	return names
}

// notify tells the listeners of a changed item. The caller holds mu.
func (c *cache) notify(old, now item) {
	for l := range c.listeners {
		name := cmp.Or(l.names(now), l.names(old))
		if name == "" {
			continue
		}
		l.pending[name] = struct{}{}
		select {
		case l.wake <- struct{}{}:
		default: // it has yet to wake for an earlier change
		}
	}
}

// close ends every listener, and any that is still to come.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for l := range c.listeners {
		close(l.done)
	}
	clear(c.listeners)
}
