package registry

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
)

// snapshot is what the registry held at one moment. It never changes.
type snapshot struct {
	apps   *shelf[*gatecast.App]          // by key; nobody may change them
	subs   *shelf[*gatecast.Subscription] // by ID; nor these
	tokens map[string]tokenItem           // by ID
	byHash map[[32]byte]auth.Principal

	sources       map[string]*gatecast.Source   // by name; nobody may change them
	bySourceToken map[[32]byte]*gatecast.Source // those that have a token, by its hash

	mqttUsers *shelf[*gatecast.MQTTUser] // by name; nobody may change them
}

// item is a decoded entry: an app, a subscription, a source, a user for MQTT, a
// token, or none of them.
type item struct {
	rev    uint64
	app    *gatecast.App
	sub    *gatecast.Subscription
	source *gatecast.Source
	mqtt   *gatecast.MQTTUser
	token  *tokenItem
}

func (it item) empty() bool {
	return it.app == nil && it.sub == nil && it.source == nil && it.mqtt == nil && it.token == nil
}

type tokenItem struct {
	auth.Token
	hash [32]byte
}

// cache turns entries into snapshots. Entries reach it twice: from the watch,
// in order, and from this node's own writes, ahead of the watch, so that a
// writer sees at once what it wrote. Revisions decide which of two is newer.
type cache struct {
	current atomic.Pointer[snapshot]
	ready   chan struct{} // closed after the first sync

	// mu guards the fields below. It is held only for map work.
	mu        sync.Mutex
	items     map[string]item
	gone      map[string]uint64        // removed by this node, not yet told by the watch; key to last revision
	removals  map[chan struct{}]string // to close when the watch tells that the key is gone
	seen      uint64                   // the newest revision the watch has told
	told      map[string]struct{}      // keys told since the sync began; nil when synced
	booting   bool                     // until the first sync has ended
	err       error                    // why the watch is not running; nil when synced
	listeners map[*listener]struct{}
	ended     bool // by close
}

func newCache() *cache {
	c := &cache{
		ready:     make(chan struct{}),
		items:     map[string]item{},
		gone:      map[string]uint64{},
		removals:  map[chan struct{}]string{},
		booting:   true,
		err:       errors.New("the registry has not been read yet"),
		listeners: map[*listener]struct{}{},
	}
	c.current.Store(&snapshot{
		apps: newShelf[*gatecast.App](), subs: newShelf[*gatecast.Subscription](),
		tokens: map[string]tokenItem{}, byHash: map[[32]byte]auth.Principal{},
		sources: map[string]*gatecast.Source{}, bySourceToken: map[[32]byte]*gatecast.Source{},
		mqttUsers: newShelf[*gatecast.MQTTUser](),
	})
	return c
}

func (c *cache) load() *snapshot { return c.current.Load() }

// wait returns after the first sync.
func (c *cache) wait(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.trouble())
	}
}

func (c *cache) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *cache) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// beginSync expects everything that exists to be told again.
func (c *cache) beginSync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = map[string]struct{}{}
}

// endSync forgets what was not told again.
func (c *cache) endSync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, it := range c.items {
		if _, told := c.told[key]; !told && it.rev <= c.seen {
			c.set(bucket.Entry{Key: key, Gone: true}, item{})
		}
	}
	maps.DeleteFunc(c.gone, func(_ string, rev uint64) bool { return rev < c.seen })
	c.told, c.err = nil, nil
	if c.booting {
		c.booting = false
		close(c.ready)
	}
}

// watched takes an entry from the watch.
func (c *cache) watched(e bucket.Entry, it item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = max(c.seen, e.Rev)
	if c.told != nil {
		c.told[e.Key] = struct{}{}
	}
	if e.Gone {
		delete(c.gone, e.Key)
		c.toldGone(e.Key)
	} else if rev, removed := c.gone[e.Key]; removed && e.Rev <= rev {
		return
	}
	if c.items[e.Key].rev < e.Rev {
		c.set(e, it)
	}
}

// wrote takes an entry that this node has written. If the watch has gone past
// it already, it has told that entry or a newer one.
func (c *cache) wrote(e bucket.Entry, it item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Rev > c.seen && c.items[e.Key].rev < e.Rev && c.gone[e.Key] < e.Rev {
		c.set(e, it)
	}
}

// removed takes the news that this node has removed a key which was at rev.
// The removal has a revision of its own, but the store does not tell it.
func (c *cache) removed(key string, rev uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rev > c.seen || c.told != nil { // a sync under way may yet tell what it saw before
		c.gone[key] = rev
	}
	if it, there := c.items[key]; there && it.rev <= rev {
		c.set(bucket.Entry{Key: key, Gone: true}, item{})
	}
}

// set stores a newer item, publishes it, and tells who listens.
func (c *cache) set(e bucket.Entry, it item) {
	old := c.items[e.Key]
	if it.empty() {
		delete(c.items, e.Key)
	} else {
		it.rev = e.Rev
		c.items[e.Key] = it
	}
	if old.empty() && it.empty() {
		return
	}
	c.current.Store(c.load().changed(old, it))
	c.notify(old, it)
}

// changed returns a snapshot in which now stands in the place of old. Both are
// items of one entry, and one of them may be empty.
func (s *snapshot) changed(old, now item) *snapshot {
	next := *s
	switch {
	case now.app != nil:
		next.apps = s.apps.with(now.app.Key, now.app)
	case now.sub != nil:
		next.subs = s.subs.with(now.sub.ID, now.sub)
	case old.app != nil:
		next.apps = s.apps.without(old.app.Key)
	case old.sub != nil:
		next.subs = s.subs.without(old.sub.ID)
	case now.mqtt != nil:
		next.mqttUsers = s.mqttUsers.with(now.mqtt.Name, now.mqtt)
	case old.mqtt != nil:
		next.mqttUsers = s.mqttUsers.without(old.mqtt.Name)
	case now.source != nil || old.source != nil:
		next.changeSource(old.source, now.source)
	default: // there are few tokens, and they hardly ever change
		next.tokens, next.byHash = maps.Clone(s.tokens), maps.Clone(s.byHash)
		if t := old.token; t != nil {
			delete(next.tokens, t.ID)
			delete(next.byHash, t.hash)
		}
		if t := now.token; t != nil {
			next.tokens[t.ID] = *t
			next.byHash[t.hash] = auth.Principal{ID: t.ID, Name: t.Name, Scopes: t.Scopes}
		}
	}
	return &next
}

// changeSource puts now in the place of old; one of them may be nil. There are
// few sources, so that their maps are copied whole.
func (s *snapshot) changeSource(old, now *gatecast.Source) {
	s.sources, s.bySourceToken = maps.Clone(s.sources), maps.Clone(s.bySourceToken)
	if old != nil {
		delete(s.sources, old.Name)
		delete(s.bySourceToken, auth.HashToken(old.Token))
		delete(s.bySourceToken, auth.HashToken(old.Former.Value))
	}
	if now == nil {
		return
	}
	s.sources[now.Name] = now
	for _, token := range []string{now.Token, now.Former.Value} {
		if token != "" {
			s.bySourceToken[auth.HashToken(token)] = now
		}
	}
}

// removal returns a channel that closes when the watch tells that key is gone,
// which means that it has told everything written before, too. The caller calls
// done in the end.
func (c *cache) removal(key string) (told <-chan struct{}, done func()) {
	ch := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removals[ch] = key
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.removals, ch)
	}
}

// toldGone tells those who wait for the removal of key. The caller holds mu.
func (c *cache) toldGone(key string) {
	for ch, k := range c.removals {
		if k == key {
			close(ch)
			delete(c.removals, ch)
		}
	}
}
