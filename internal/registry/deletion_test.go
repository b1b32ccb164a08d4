package registry

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
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
	e, err := r.store.Get(t.Context(), key)
	if err == nil {
		err = r.store.Delete(t.Context(), key, e.Rev)
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
	e, err := r.store.Get(t.Context(), appEntry+app.Key)
	if err == nil {
		_, err = r.store.Put(t.Context(), e.Key, []byte(strings.Replace(string(e.Value), `"v":1`, `"v":99`, 1)), e.Rev)
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
	st := &buckettest.Line{Bucket: &bucket.Mem{}}
	r := start(t.Context(), st, newSealer(newKey()), Options{}.withDefaults())
	defer r.Close()
	app := create(t, r, "gate")
	s := subscribe(t, r, app.Key)
	hook(st, func(key string) error {
		if strings.HasPrefix(key, subscriptionEntry) {
			return unavailable(nil)
		}
		return nil
	})
	wantCode(t, r.DeleteApp(t.Context(), app.Key), gatecast.Unavailable, "")
	if _, ok := r.App(app.Key); ok {
		t.Error("the app is there")
	}
	st.Spoil(nil)
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
	mem, seal := &bucket.Mem{}, newSealer(newKey())
	other := openMem(mem, seal, Options{})
	defer other.Close()
	st := &buckettest.Line{Bucket: mem}
	r := start(t.Context(), st, seal, Options{}.withDefaults())
	defer r.Close()
	app := create(t, other, "gate")
	hook(st, func(string) error {
		st.Spoil(nil)
		return other.DeleteApp(t.Context(), app.Key)
	})
	_, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: app.Key, Settings: quiet()})
	wantCode(t, err, gatecast.Invalid, "/app_key")
	if left := buckettest.Entries(t, mem); countLive(left) != 0 {
		t.Errorf("something is left of it: %+v", left)
	}
}

func countLive(entries []bucket.Entry) (n int) {
	for _, e := range entries {
		if strings.HasPrefix(e.Key, subscriptionEntry) && !e.Gone {
			n++
		}
	}
	return n
}

// TestADeletionWaitsForWhatItHasNotHeardOfYet deletes an app on a node whose
// watch is behind by one subscription of it.
func TestADeletionWaitsForWhatItHasNotHeardOfYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, seal := &bucket.Mem{}, newSealer(newKey())
		st := &lateStore{Mem: mem, hold: make(chan struct{})}
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
		if _, err := mem.Get(t.Context(), subscriptionEntry+s.ID); err == nil {
			t.Error("a subscription that the node had not heard of outlives its app")
		}
	})
}

// hook has f decide on each write of a subscription's entry, and on each removal;
// what it returns is the write's error.
func hook(l *buckettest.Line, f func(key string) error) {
	l.Spoil(func(r buckettest.Request) buckettest.Fault {
		if r.Op == "delete" || r.Op == "put" && strings.HasPrefix(r.Key, subscriptionEntry) {
			return buckettest.Fault{Lost: f(r.Key)}
		}
		return buckettest.Fault{}
	})
}

// lateStore tells nothing of what changes until hold is closed.
type lateStore struct {
	*bucket.Mem
	hold chan struct{}
}

func (s *lateStore) Watch(ctx context.Context, what bucket.What, tell func(bucket.Entry) bool) error {
	return s.Mem.Watch(ctx, what, func(e bucket.Entry) bool {
		if !e.Synced {
			<-s.hold
		}
		return tell(e)
	})
}
