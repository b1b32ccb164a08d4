package registry

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestAnySequenceOfChangesToSubscriptionsAgreesWithTheModel does for them, and
// for the apps they belong to, what the test for apps does.
func TestAnySequenceOfChangesToSubscriptionsAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &subscriptionModel{model: newModel(), subs: map[string]gatecast.Subscription{}}
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"create app": m.create, "delete app": m.deleteApp, "subscribe": m.subscribe, "update": m.update, "pause": m.pause,
			"resume": m.resume, "rotate": m.rotate, "delete": m.delete, "wait": m.wait,
			"": m.check,
		})
	})
}

type subscriptionModel struct {
	*model
	subs map[string]gatecast.Subscription
}

func (m *subscriptionModel) id(t *rapid.T) string {
	if len(m.subs) == 0 {
		t.Skip("no subscription")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.subs))).Draw(t, "id")
}

func drawSettings(t *rapid.T, s *gatecast.SubscriptionSettings) {
	s.URL = "https://" + rapid.StringMatching("[a-z]{1,3}").Draw(t, "host") + ".example/"
	s.Filter.Kinds = kinds.Draw(t, "kinds")
	s.Filter.Groups = rapid.SliceOfN(rapid.Int64(), 0, 2).Draw(t, "groups")
	s.Timeout = time.Duration(rapid.Int64Range(int64(gatecast.MinDeliveryTimeout), int64(gatecast.MaxDeliveryTimeout)).Draw(t, "timeout"))
	s.Headers = rapid.MapOfN(rapid.StringMatching("X-[A-Z]"), rapid.StringMatching("[ -~]{0,9}"), 0, 3).Draw(t, "headers")
	s.Auth.Password = rapid.String().Draw(t, "password")
	s.Auth.Username = "user"
}

func (m *subscriptionModel) subscribe(t *rapid.T) {
	spec := gatecast.SubscriptionSpec{After: gatecast.Seq(rapid.Uint64().Draw(t, "after"))}
	drawSettings(t, &spec.Settings)
	if len(m.apps) > 0 && rapid.Bool().Draw(t, "of an app") {
		spec.App = m.key(t)
		spec.ID = gatecast.DefaultSubscriptionID(spec.App)
	}
	s, err := m.node(t).CreateSubscription(t.Context(), spec)
	if _, taken := m.subs[spec.ID]; taken {
		if gatecast.CodeOf(err) != gatecast.Conflict {
			t.Fatalf("create with a taken ID: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	spec.Settings = spec.Settings.WithDefaults()
	m.subs[s.ID] = gatecast.Subscription{
		ID: s.ID, App: spec.App, Settings: spec.Settings.Clone(), After: spec.After, Created: m.now,
		Secrets: []gatecast.Secret{{Value: s.Secrets[0].Value, Created: m.now}},
		Keys:    []gatecast.Secret{{Value: s.Keys[0].Value, Created: m.now}},
	}
}

func (m *subscriptionModel) update(t *rapid.T) {
	s := m.subs[m.id(t)]
	var settings gatecast.SubscriptionSettings
	drawSettings(t, &settings)
	_, err := m.node(t).UpdateSubscription(t.Context(), s.ID, func(s *gatecast.SubscriptionSettings) error {
		*s = settings
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Settings = settings.WithDefaults().Clone()
	m.subs[s.ID] = s
}

func (m *subscriptionModel) pause(t *rapid.T) {
	s, reason := m.subs[m.id(t)], rapid.SampledFrom([]string{"one", "another"}).Draw(t, "reason")
	if _, err := m.node(t).PauseSubscription(t.Context(), s.ID, reason); err != nil {
		t.Fatal(err)
	}
	if s.Paused == "" {
		s.Paused = reason
	}
	m.subs[s.ID] = s
}

func (m *subscriptionModel) resume(t *rapid.T) {
	s := m.subs[m.id(t)]
	if _, err := m.node(t).ResumeSubscription(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	s.Paused = ""
	m.subs[s.ID] = s
}

func (m *subscriptionModel) rotate(t *rapid.T) {
	s, overlap := m.subs[m.id(t)], time.Duration(rapid.IntRange(0, 3).Draw(t, "hours"))*time.Hour
	got, err := m.node(t).RotateSubscription(t.Context(), s.ID, overlap)
	if err != nil {
		t.Fatal(err)
	}
	next := func(now, before []gatecast.Secret) []gatecast.Secret {
		old := before[0]
		old.Expires = m.now.Add(overlap)
		return []gatecast.Secret{{Value: now[0].Value, Created: m.now}, old}
	}
	s.Secrets, s.Keys = next(got.Secrets, s.Secrets), next(got.Keys, s.Keys)
	m.subs[s.ID] = s
}

func (m *subscriptionModel) delete(t *rapid.T) {
	id := m.id(t)
	if err := m.node(t).DeleteSubscription(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	delete(m.subs, id)
}

func (m *subscriptionModel) deleteApp(t *rapid.T) {
	key := m.key(t)
	if err := m.node(t).DeleteApp(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	delete(m.apps, key)
	maps.DeleteFunc(m.subs, func(_ string, s gatecast.Subscription) bool { return s.App == key })
}

func (m *subscriptionModel) check(t *rapid.T) {
	valid := func(all []gatecast.Secret) []gatecast.Secret {
		return slices.DeleteFunc(slices.Clone(all), func(s gatecast.Secret) bool { return !s.ValidAt(m.now) })
	}
	want := map[string]*gatecast.Subscription{}
	for id, s := range m.subs {
		s.Secrets, s.Keys = valid(s.Secrets), valid(s.Keys)
		want[id] = &s
	}
	for i, r := range m.nodes {
		m.settle(t, r)
		got := map[string]*gatecast.Subscription{}
		for _, s := range r.Subscriptions() {
			got[s.ID] = s
			if one, ok := r.Subscription(s.ID); !ok || !cmp.Equal(one, s) {
				t.Fatalf("Subscription and Subscriptions disagree about %s", s.ID)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("node %d: %s", i, diff)
		}
	}
}
