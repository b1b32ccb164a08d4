package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The suite below holds for both, like that about apps.
func TestSubscriptionsInMem(t *testing.T) { runSubscriptionSuite(t, memCluster) }

func TestSubscriptionsInJetStream(t *testing.T) { runSubscriptionSuite(t, jetStreamCluster) }

func runSubscriptionSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ACreatedSubscriptionIsSeenAtOnce":                 testSubscribe,
		"AnImportedOneKeepsItsIDAndSecret":                 testSubscribeAs,
		"ARefusalNamesTheFieldAndRepeatsNoSecret":          testSubscribeInvalid,
		"ListsBeginWithTheOldest":                          testSubscriptionOrder,
		"UpdatesAtTheSameMomentAllTakeEffect":              testConcurrentUpdates,
		"ARefusedUpdateLeavesNoTrace":                      testRefusedUpdate,
		"NobodyCanReachIntoWhatIsKept":                     testUpdateShares,
		"APausedSubscriptionKeepsItsFirstReason":           testPause,
		"ARotationKeepsTwoSecretsAndTwoKeysForAWhile":      testRotateSubscription,
		"ADeletedSubscriptionIsGoneEverywhere":             testDeleteSubscription,
		"WhatIsNotThereIsToldWithItsRemedy":                testNoSubscription,
		"ADeletedAppTakesItsSubscriptionsWithIt":           testDeleteAppWithSubscriptions,
		"ASubscriptionWhoseAppWasDeletedIsGoneAtTheOpen":   testOrphans,
		"ASubscriptionWhoseAppCannotBeReadStays":           testUnreadableApp,
		"ChangesOfAppsAndOfSubscriptionsAreToldSeparately": testSubscriptionChanges,
		"NothingSecretLiesInTheBucket":                     testSubscriptionEncrypted,
		"ADamagedEntryLeavesTheOthersAlone":                testDamagedSubscription,
		"TheLimitIsHeld":                                   testSubscriptionLimit,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// quiet is the least that a subscription can be made with.
func quiet() gatecast.SubscriptionSettings {
	return gatecast.SubscriptionSettings{URL: "https://host.example/events"}
}

func subscribe(t *testing.T, r *Registry, app string) *gatecast.Subscription {
	t.Helper()
	s, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: app, Settings: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// known waits until a node has heard of a subscription.
func known(t *testing.T, r *Registry, id string, there bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("subscription %s there: %v", id, there), func() bool { _, ok := r.Subscription(id); return ok == there })
}

func testSubscribe(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	r := c.node(t, Options{Now: func() time.Time { return now }})
	app := create(t, r, "gate")
	settings := fullSettings()
	settings.Filter.Kinds = gatecast.Kinds() // of notices an app sees none
	s, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: app.Key, Settings: settings, After: 7, Epoch: "e"})
	if err != nil {
		t.Fatal(err)
	}
	stored := time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC)
	want := &gatecast.Subscription{
		App: app.Key, Settings: settings, After: 7, Epoch: "e", Created: stored,
		Secrets: []gatecast.Secret{{Created: stored}}, Keys: []gatecast.Secret{{Created: stored}},
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(gatecast.Subscription{}, "ID"), cmpopts.IgnoreFields(gatecast.Secret{}, "Value")}
	if diff := cmp.Diff(want, s, ignore); diff != "" {
		t.Error(diff)
	}
	if err := webhook.ValidSecret(s.Secrets[0].Value); err != nil || !gatecast.ValidSubscriptionID(s.ID) {
		t.Errorf("id %q, secret: %v", s.ID, err)
	}
	if _, err := webhook.PublicKey(s.Keys[0].Value); err != nil {
		t.Error(err)
	}
	if got, ok := r.Subscription(s.ID); !ok || !cmp.Equal(s, got) {
		t.Error(ok, cmp.Diff(s, got))
	}
	other := c.node(t, Options{Now: func() time.Time { return now }})
	if diff := cmp.Diff([]*gatecast.Subscription{s}, other.Subscriptions()); diff != "" {
		t.Errorf("another node: %s", diff)
	}
	plain := subscribe(t, r, "")
	if diff := cmp.Diff(quiet().WithDefaults(), plain.Settings); diff != "" {
		t.Errorf("defaults: %s", diff)
	}
	if plain.ID == s.ID || plain.Secrets[0].Value == s.Secrets[0].Value || plain.Keys[0].Value == s.Keys[0].Value {
		t.Errorf("two subscriptions have something in common: %+v", plain)
	}
}

func testSubscribeAs(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	app := create(t, r, "gate")
	spec := gatecast.SubscriptionSpec{
		ID: gatecast.DefaultSubscriptionID(app.Key), App: app.Key, Settings: quiet(), Secret: webhook.NewSecret(),
	}
	for range 2 {
		s, err := other.CreateSubscription(t.Context(), spec)
		if err != nil || s.ID != spec.ID || s.Secrets[0].Value != spec.Secret {
			t.Fatalf("subscription %+v, %v", s, err)
		}
		_, err = r.CreateSubscription(t.Context(), spec)
		wantCode(t, err, gatecast.Conflict, "/id")
		if err := other.DeleteSubscription(t.Context(), spec.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func testSubscribeInvalid(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	const secret = "whsec_c2hvcnQ="
	spec := func(change func(*gatecast.SubscriptionSpec)) gatecast.SubscriptionSpec {
		s := gatecast.SubscriptionSpec{Settings: quiet()}
		change(&s)
		return s
	}
	for path, s := range map[string]gatecast.SubscriptionSpec{
		"/url":         spec(func(s *gatecast.SubscriptionSpec) { s.Settings.URL = "ftp://host.example" }),
		"/concurrency": spec(func(s *gatecast.SubscriptionSpec) { s.Settings.Concurrency = 257 }),
		"/id":          spec(func(s *gatecast.SubscriptionSpec) { s.ID = "sub_>" }),
		"/app_key":     spec(func(s *gatecast.SubscriptionSpec) { s.App = "00112233445566ff" }),
		"/secret":      spec(func(s *gatecast.SubscriptionSpec) { s.Secret = secret }),
	} {
		_, err := r.CreateSubscription(t.Context(), s)
		wantCode(t, err, gatecast.Invalid, path)
		if strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("the error repeats the secret: %v", err)
		}
		var e *gatecast.Error
		if errors.As(err, &e); e != nil && strings.Contains(e.At.Found, secret) {
			t.Errorf("the error repeats the secret in %+v", e.At)
		}
	}
	a, err := r.CreateApp(t.Context(), gatecast.AppSpec{Name: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	notices := gatecast.SubscriptionSpec{App: a.Key, Settings: quiet()}
	notices.Settings.Filter.Kinds = []gatecast.Kind{gatecast.Record, gatecast.Notice}
	_, err = r.CreateSubscription(t.Context(), notices)
	wantCode(t, err, gatecast.Invalid, "/kinds/1")
	for _, key := range []string{"*", "x.y", strings.Repeat("f", 5000)} {
		_, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{App: key, Settings: quiet()})
		wantCode(t, err, gatecast.Invalid, "/app_key")
	}
	if got := r.Subscriptions(); len(got) != 0 {
		t.Errorf("refused ones are there: %+v", got)
	}
}

func testSubscriptionOrder(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := c.node(t, Options{Now: func() time.Time { return now }})
	ids := []string{"sub_ffffffffffffffff", "sub_000000000000000a", "sub_000000000000000b", "sub_0000000000000000"}
	for i, id := range []int{0, 2, 1, 3} { // the middle two at the same moment
		if i != 2 {
			now = now.Add(time.Second)
		}
		if _, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{ID: ids[id], Settings: quiet()}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range r.Subscriptions() {
		got = append(got, s.ID)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
}

func testDeleteSubscription(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	spec := gatecast.SubscriptionSpec{ID: "sub_00112233445566ff", Settings: quiet()}
	for range 3 {
		if _, err := r.CreateSubscription(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		known(t, other, spec.ID, true)
		if err := other.DeleteSubscription(t.Context(), spec.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := other.Subscription(spec.ID); ok {
			t.Error("the subscription is still there on the node that deleted it")
		}
		known(t, r, spec.ID, false)
	}
}

func testNoSubscription(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	for _, id := range []string{"sub_00112233445566ff", "", "sub_", "*", ">", "sub_../x", "00112233445566ff"} {
		for name, call := range map[string]func(context.Context) error{
			"update": func(ctx context.Context) error {
				_, err := r.UpdateSubscription(ctx, id, func(*gatecast.SubscriptionSettings) error { t.Error("called"); return nil })
				return err
			},
			"pause":  func(ctx context.Context) error { _, err := r.PauseSubscription(ctx, id, ""); return err },
			"resume": func(ctx context.Context) error { _, err := r.ResumeSubscription(ctx, id); return err },
			"rotate": func(ctx context.Context) error { _, err := r.RotateSubscription(ctx, id, 0); return err },
			"delete": func(ctx context.Context) error { return r.DeleteSubscription(ctx, id) },
		} {
			err := call(t.Context())
			wantCode(t, err, gatecast.NotFound, "")
			if err == nil || !strings.Contains(err.Error(), "list them with: gatecast sub list") {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
		if _, ok := r.Subscription(id); ok {
			t.Errorf("%q was found", id)
		}
	}
}

func testSubscriptionLimit(t *testing.T, c cluster) {
	r := c.node(t, Options{MaxSubscriptions: 1})
	s := subscribe(t, r, "")
	_, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{Settings: quiet()})
	wantCode(t, err, gatecast.Conflict, "")
	if err := r.DeleteSubscription(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	subscribe(t, r, "")
}
