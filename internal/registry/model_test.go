package registry

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestAnySequenceOfChangesAgreesWithTheModel drives two nodes over one store
// by random changes and compares each with a plain map after every step.
func TestAnySequenceOfChangesAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel()
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create, "update": m.update, "rotate": m.rotate, "delete": m.delete, "wait": m.wait,
			"": m.check,
		})
	})
}

type model struct {
	nodes []*Registry
	now   time.Time
	apps  map[string]gatecast.App
}

func newModel() *model {
	m := &model{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), apps: map[string]gatecast.App{}}
	st, seal := &bucket.Mem{}, newSealer(newKey())
	for range 2 {
		m.nodes = append(m.nodes, openMem(st, seal, Options{Now: func() time.Time { return m.now }}))
	}
	return m
}

func (m *model) close() {
	for _, r := range m.nodes {
		r.Close()
	}
}

func (m *model) node(t *rapid.T) *Registry { return rapid.SampledFrom(m.nodes).Draw(t, "node") }

var (
	names = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	kinds = rapid.SliceOfNDistinct(rapid.SampledFrom(gatecast.Kinds()), 0, 2, rapid.ID)
	// Sub-second parts survive being written as text.
	lookbacks = rapid.OneOf(
		rapid.SampledFrom([]gatecast.Lookback{gatecast.LookbackOff, gatecast.LookbackAll}),
		rapid.Custom(func(t *rapid.T) gatecast.Lookback {
			return gatecast.Lookback(rapid.Int64Min(int64(time.Second)).Draw(t, "ns"))
		}),
	)
)

func (m *model) key(t *rapid.T) string {
	if len(m.apps) == 0 {
		t.Skip("no app")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.apps))).Draw(t, "key")
}

func (m *model) taken(name, by string) bool {
	for key, a := range m.apps {
		if a.Name == name && key != by {
			return true
		}
	}
	return false
}

func (m *model) create(t *rapid.T) {
	spec := gatecast.AppSpec{
		Name: names.Draw(t, "name"), MaxConns: rapid.IntRange(0, 9).Draw(t, "conns"), Kinds: kinds.Draw(t, "kinds"),
		CatchUp: gatecast.CatchUp{Window: lookbacks.Draw(t, "catch-up"), First: gatecast.FirstEarliest},
	}
	a, err := m.node(t).CreateApp(t.Context(), spec)
	if m.taken(spec.Name, "") {
		if gatecast.CodeOf(err) != gatecast.Conflict {
			t.Fatalf("create with a taken name: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.apps[a.Key] = *a
}

func (m *model) update(t *rapid.T) {
	key := m.key(t)
	var patch gatecast.AppPatch
	if rapid.Bool().Draw(t, "rename") {
		patch.Name = new(names.Draw(t, "name"))
	}
	if rapid.Bool().Draw(t, "switch") {
		patch.Enabled = new(rapid.Bool().Draw(t, "enabled"))
	}
	if rapid.Bool().Draw(t, "choose") {
		patch.Kinds = new(kinds.Draw(t, "kinds"))
	}
	if rapid.Bool().Draw(t, "remember") {
		patch.Lookback, patch.Cursors = new(lookbacks.Draw(t, "catch-up")), new(gatecast.CursorByAddress)
	}
	_, err := m.node(t).UpdateApp(t.Context(), key, patch)
	if patch.Name != nil && m.taken(*patch.Name, key) {
		if gatecast.CodeOf(err) != gatecast.Conflict {
			t.Fatalf("rename to a taken name: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	a := m.apps[key]
	patch.Apply(&a)
	slices.Sort(a.Kinds)
	m.apps[key] = a
}

func (m *model) rotate(t *rapid.T) {
	key, overlap := m.key(t), time.Duration(rapid.IntRange(0, 3).Draw(t, "hours"))*time.Hour
	got, err := m.node(t).RotateApp(t.Context(), key, overlap)
	if err != nil {
		t.Fatal(err)
	}
	a := m.apps[key]
	old := a.Secrets[0]
	old.Expires = m.now.Add(overlap)
	a.Secrets = []gatecast.Secret{{Value: got.Secrets[0].Value, Created: m.now}, old}
	m.apps[key] = a
}

func (m *model) delete(t *rapid.T) {
	key := m.key(t)
	if err := m.node(t).DeleteApp(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	delete(m.apps, key)
}

func (m *model) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 4).Draw(t, "hours")) * time.Hour)
}

// check waits for both nodes to have heard of everything: the store's own
// revision says when.
func (m *model) check(t *rapid.T) {
	want := map[string]*gatecast.App{}
	for key, a := range m.apps {
		a.Secrets = slices.DeleteFunc(slices.Clone(a.Secrets), func(s gatecast.Secret) bool { return !s.ValidAt(m.now) })
		want[key] = &a
	}
	for i, r := range m.nodes {
		m.settle(t, r)
		got := map[string]*gatecast.App{}
		for _, a := range r.Apps() {
			got[a.Key] = a
			if one, ok := r.App(a.Key); !ok || !cmp.Equal(one, a) {
				t.Fatalf("App and Apps disagree about %s", a.Key)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("node %d: %s", i, diff)
		}
	}
}

func (m *model) settle(t buckettest.T, r *Registry) {
	tick := time.NewTicker(50 * time.Microsecond)
	defer tick.Stop()
	for {
		rev := buckettest.Revision(t, r.store)
		r.cache.mu.Lock()
		seen := r.cache.seen
		r.cache.mu.Unlock()
		if seen >= rev {
			return
		}
		<-tick.C
	}
}

// flakyStore loses its first watches at once after they have told everything.
type flakyStore struct {
	*bucket.Mem
	mu   sync.Mutex
	left int
}

func (s *flakyStore) Watch(ctx context.Context, what bucket.What, tell func(bucket.Entry) bool) error {
	s.mu.Lock()
	s.left--
	lose := s.left >= 0
	s.mu.Unlock()
	if !lose {
		return s.Mem.Watch(ctx, what, tell)
	}
	err := s.Mem.Watch(ctx, what, func(e bucket.Entry) bool { return tell(e) && !e.Synced })
	return errors.Join(errors.New("lost"), err)
}

func TestALostWatchIsBegunAnewAndMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, seal := &bucket.Mem{}, newSealer(newKey())
		writer := openMem(st, seal, Options{})
		defer writer.Close()
		kept, gone := create(t, writer, "kept"), create(t, writer, "gone")
		reader := start(t.Context(), &flakyStore{Mem: st, left: 2}, seal, Options{}.withDefaults())
		defer reader.Close()
		synctest.Wait() // the first watch is lost, the second waits for its turn
		if reader.Healthy() == nil {
			t.Error("a lost watch counts as healthy")
		}
		if len(reader.Apps()) != 2 {
			t.Errorf("apps while the watch is lost: %v", reader.Apps())
		}
		changes := reader.Changes(t.Context())
		if err := writer.DeleteApp(t.Context(), gone.Key); err != nil {
			t.Fatal(err)
		}
		added := create(t, writer, "added")
		heard := map[string]bool{}
		for key := range changes { // simulated time passes while it waits for the next attempt
			if heard[key] = true; len(heard) == 2 {
				break
			}
		}
		if !heard[gone.Key] || !heard[added.Key] || heard[kept.Key] {
			t.Errorf("heard of %v", heard)
		}
		if _, ok := reader.App(gone.Key); ok {
			t.Error("an app deleted while the watch was lost is still there")
		}
		synctest.Wait()
		for reader.Healthy() != nil {
			time.Sleep(time.Second) // simulated
		}
	})
}

// TestANodeNeverGoesBackInTime feeds the cache the orders in which a node's own
// writes and the watch can reach it.
func TestANodeNeverGoesBackInTime(t *testing.T) {
	app := func(name string) item {
		return item{app: &gatecast.App{Key: "00112233445566ff", Name: name}}
	}
	at := func(rev uint64) bucket.Entry { return bucket.Entry{Key: "app.00112233445566ff", Rev: rev} }
	gone := func(rev uint64) bucket.Entry { return bucket.Entry{Key: "app.00112233445566ff", Rev: rev, Gone: true} }
	const none = ""
	for name, c := range map[string]struct {
		steps func(*cache)
		want  string
	}{
		"own write, then the watch tells an older one": {func(c *cache) {
			c.wrote(at(5), app("new"))
			c.watched(at(4), app("old"))
		}, "new"},
		"the watch is ahead of an own write": {func(c *cache) {
			c.watched(at(5), app("old"))
			c.watched(at(6), app("new"))
			c.wrote(at(5), app("old"))
		}, "new"},
		"the watch tells an own write and its removal before the writer does": {func(c *cache) {
			c.watched(at(5), app("old"))
			c.watched(gone(6), item{})
			c.wrote(at(5), app("old"))
		}, none},
		"own removal, then the watch tells the write before it": {func(c *cache) {
			c.wrote(at(5), app("old"))
			c.removed("app.00112233445566ff", 5)
			c.watched(at(5), app("old"))
		}, none},
		"own removal, made anew, then the watch tells the removal": {func(c *cache) {
			c.wrote(at(5), app("old"))
			c.removed("app.00112233445566ff", 5)
			c.wrote(at(7), app("new"))
			c.watched(at(5), app("old"))
			c.watched(gone(6), item{})
		}, "new"},
		"own removal of what the watch has yet to tell": {func(c *cache) {
			c.removed("app.00112233445566ff", 5)
			c.watched(at(5), app("old"))
		}, none},
		"a removal is told late by its maker": {func(c *cache) {
			c.watched(at(5), app("old"))
			c.watched(gone(6), item{})
			c.watched(at(7), app("new"))
			c.removed("app.00112233445566ff", 5)
		}, "new"},
	} {
		c2 := newCache()
		c2.beginSync()
		c2.endSync()
		c.steps(c2)
		got := none
		if a, there := c2.load().apps.get("00112233445566ff"); there {
			got = a.Name
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
