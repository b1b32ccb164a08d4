package registry

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gatecast/gatecast"
)

func testDeleteAppWithSubscriptions(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	app, stays := create(t, r, "gate"), create(t, r, "stays")
	kept := []string{subscribe(t, r, stays.Key).ID, subscribe(t, r, "").ID}
	gone := []string{subscribe(t, other, app.Key).ID, subscribe(t, r, app.Key).ID}
	if _, err := r.PauseSubscription(t.Context(), gone[1], ""); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteApp(t.Context(), app.Key); err != nil {
		t.Fatal(err)
	}
	for _, id := range gone {
		if _, ok := r.Subscription(id); ok {
			t.Errorf("%s outlives its app", id)
		}
		known(t, other, id, false)
	}
	for _, id := range kept {
		if _, ok := r.Subscription(id); !ok {
			t.Errorf("%s went with an app that is none of its own", id)
		}
	}
	_, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: app.Key, Settings: quiet()})
	wantCode(t, err, gatecast.Invalid, "/app_key")
	wantCode(t, r.DeleteApp(t.Context(), app.Key), gatecast.NotFound, "")
}

// removeEntry leaves behind what a node leaves that dies while it deletes an app.
func removeEntry(t *testing.T, r *Registry, key string) {
	t.Helper()
	e, err := r.store.get(t.Context(), key)
	if err == nil {
		err = r.store.del(t.Context(), key, e.rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func testOrphans(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	app, stays := create(t, r, "gate"), create(t, r, "stays")
	gone, kept, free := subscribe(t, r, app.Key), subscribe(t, r, stays.Key), subscribe(t, r, "")
	removeEntry(t, r, appEntry+app.Key)
	other := c.node(t, Options{})
	for _, node := range []*Registry{r, other} {
		known(t, node, gone.ID, false)
		for _, s := range []*gatecast.Subscription{kept, free} {
			if _, ok := node.Subscription(s.ID); !ok {
				t.Errorf("%s, of app %q, is gone", s.ID, s.App)
			}
		}
	}
}

func testUnreadableApp(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	app := create(t, r, "gate")
	s := subscribe(t, r, app.Key)
	e, err := r.store.get(t.Context(), appEntry+app.Key)
	if err == nil {
		_, err = r.store.put(t.Context(), e.key, []byte(strings.Replace(string(e.value), `"v":1`, `"v":99`, 1)), e.rev)
	}
	if err != nil {
		t.Fatal(err)
	}
	other := c.node(t, Options{})
	if _, ok := other.App(app.Key); ok {
		t.Fatal("the app can be read")
	}
	if _, ok := other.Subscription(s.ID); !ok {
		t.Error("a subscription was removed with an app that another version may read")
	}
}

// TestADeletionThatFailedHalfwayCanBeRepeated takes a store that refuses to
// remove subscriptions for a while.
func TestADeletionThatFailedHalfwayCanBeRepeated(t *testing.T) {
	st := &hookStore{memStore: newMemStore()}
	r := start(t.Context(), st, newSealer(newKey()), Options{}.withDefaults())
	defer r.Close()
	app := create(t, r, "gate")
	s := subscribe(t, r, app.Key)
	st.set(func(key string) error {
		if strings.HasPrefix(key, subscriptionEntry) {
			return unavailable(nil)
		}
		return nil
	})
	wantCode(t, r.DeleteApp(t.Context(), app.Key), gatecast.Unavailable, "")
	if _, ok := r.App(app.Key); ok {
		t.Error("the app is there")
	}
	st.set(nil)
	if err := r.DeleteApp(t.Context(), app.Key); err != nil {
		t.Error(err)
	}
	if _, ok := r.Subscription(s.ID); ok {
		t.Error("the subscription outlives its app")
	}
}

// TestASubscriptionMadeWhileItsAppIsDeletedIsRefused deletes the app on another
// node between the look at the app and the write.
func TestASubscriptionMadeWhileItsAppIsDeletedIsRefused(t *testing.T) {
	mem, seal := newMemStore(), newSealer(newKey())
	other := openMem(mem, seal, Options{})
	defer other.Close()
	st := &hookStore{memStore: mem}
	r := start(t.Context(), st, seal, Options{}.withDefaults())
	defer r.Close()
	app := create(t, other, "gate")
	st.set(func(key string) error {
		st.set(nil)
		return other.DeleteApp(t.Context(), app.Key)
	})
	_, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: app.Key, Settings: quiet()})
	wantCode(t, err, gatecast.Invalid, "/app_key")
	if left, _ := mem.since(0); countLive(left) != 0 {
		t.Errorf("something is left of it: %+v", left)
	}
}

func countLive(entries []entry) (n int) {
	for _, e := range entries {
		if strings.HasPrefix(e.key, subscriptionEntry) && !e.gone {
			n++
		}
	}
	return n
}

// TestADeletionWaitsForWhatItHasNotHeardOfYet deletes an app on a node whose
// watch is behind by one subscription of it.
func TestADeletionWaitsForWhatItHasNotHeardOfYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, seal := newMemStore(), newSealer(newKey())
		st := &lateStore{memStore: mem, hold: make(chan struct{})}
		r := start(t.Context(), st, seal, Options{}.withDefaults())
		defer r.Close()
		other := openMem(mem, seal, Options{})
		defer other.Close()
		app := create(t, other, "gate")
		s := subscribe(t, other, app.Key)
		var deleting sync.WaitGroup
		deleting.Go(func() {
			if err := r.DeleteApp(t.Context(), app.Key); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(st.hold)
		deleting.Wait()
		if _, err := mem.get(t.Context(), subscriptionEntry+s.ID); err == nil {
			t.Error("a subscription that the node had not heard of outlives its app")
		}
	})
}

// hookStore calls a hook before each write of a subscription's entry and before
// each removal; what the hook returns is the write's error.
type hookStore struct {
	*memStore
	mu   sync.Mutex // guards hook, which is called without it
	hook func(key string) error
}

func (s *hookStore) set(hook func(string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *hookStore) before(key string) error {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(key)
}

func (s *hookStore) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if strings.HasPrefix(key, subscriptionEntry) {
		if err := s.before(key); err != nil {
			return 0, err
		}
	}
	return s.memStore.put(ctx, key, value, rev)
}

func (s *hookStore) del(ctx context.Context, key string, rev uint64) error {
	if err := s.before(key); err != nil {
		return err
	}
	return s.memStore.del(ctx, key, rev)
}

// lateStore tells nothing of what changes until hold is closed.
type lateStore struct {
	*memStore
	hold chan struct{}
}

func (s *lateStore) watch(ctx context.Context, tell func(entry)) error {
	return s.memStore.watch(ctx, func(e entry) {
		if !e.synced {
			<-s.hold
		}
		tell(e)
	})
}
