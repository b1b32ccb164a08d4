package registry

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
	"github.com/google/go-cmp/cmp"
)

func testConcurrentUpdates(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	s := subscribe(t, r, "")
	changes := []func(*gatecast.SubscriptionSettings){
		func(s *gatecast.SubscriptionSettings) { s.Rate = 7 },
		func(s *gatecast.SubscriptionSettings) { s.Order = gatecast.OrderStrict },
		func(s *gatecast.SubscriptionSettings) { s.Headers = map[string]string{"X-Door": "north"} },
		func(s *gatecast.SubscriptionSettings) { s.Filter.Devices = []string{"d1"} },
		func(s *gatecast.SubscriptionSettings) { s.Timeout = time.Second },
	}
	var group sync.WaitGroup
	for i, change := range changes {
		node := []*Registry{r, other}[i%2]
		group.Go(func() {
			_, err := node.UpdateSubscription(t.Context(), s.ID, func(s *gatecast.SubscriptionSettings) error { change(s); return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := *s
	for _, change := range changes {
		change(&want.Settings)
	}
	for _, node := range []*Registry{r, other} {
		eventually(t, "all updates seen", func() bool {
			got, _ := node.Subscription(s.ID)
			return cmp.Equal(&want, got)
		})
	}
}

func testRefusedUpdate(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	s := subscribe(t, r, "")
	no := errors.New("no")
	for path, change := range map[string]func(*gatecast.SubscriptionSettings) error{
		"/url":    func(s *gatecast.SubscriptionSettings) error { s.URL = ""; return nil },
		"/rate":   func(s *gatecast.SubscriptionSettings) error { s.Rate = -1; return nil },
		"by hand": func(s *gatecast.SubscriptionSettings) error { s.Rate = 5; return no },
	} {
		_, err := r.UpdateSubscription(t.Context(), s.ID, change)
		if path != "by hand" {
			wantCode(t, err, gatecast.Invalid, path)
		} else if !errors.Is(err, no) {
			t.Errorf("the error of the change became %v", err)
		}
	}
	for _, overlap := range []time.Duration{-time.Second, 91 * 24 * time.Hour} {
		_, err := r.RotateSubscription(t.Context(), s.ID, overlap)
		wantCode(t, err, gatecast.Invalid, "/overlap")
	}
	if got, _ := r.Subscription(s.ID); !cmp.Equal(s, got) {
		t.Error(cmp.Diff(s, got))
	}
	got, err := r.UpdateSubscription(t.Context(), s.ID, func(s *gatecast.SubscriptionSettings) error { s.Concurrency = 0; return nil })
	if err != nil || got.Settings.Concurrency != 8 {
		t.Errorf("a setting at zero became %+v, %v", got, err)
	}
}

func testUpdateShares(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	headers, devices := map[string]string{"X-A": "1"}, []string{"d1"}
	settings := quiet()
	settings.Headers, settings.Filter.Devices = headers, devices
	s, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	spoil := func() { headers["X-A"], devices[0] = "spoiled", "spoiled" }
	spoil()
	if got, _ := r.Subscription(s.ID); got.Settings.Headers["X-A"] != "1" || got.Settings.Filter.Devices[0] != "d1" {
		t.Errorf("what was handed in is kept itself: %+v", got.Settings)
	}
	headers, devices = map[string]string{"X-A": "2"}, []string{"d2"}
	_, err = r.UpdateSubscription(t.Context(), s.ID, func(s *gatecast.SubscriptionSettings) error {
		s.Headers["X-A"], s.Filter.Devices[0] = "never", "never" // of a copy
		s.Headers, s.Filter.Devices = headers, devices
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	spoil()
	if got, _ := r.Subscription(s.ID); got.Settings.Headers["X-A"] != "2" || got.Settings.Filter.Devices[0] != "d2" {
		t.Errorf("what a change put in is kept itself: %+v", got.Settings)
	}
	if s.Settings.Headers["X-A"] != "1" || s.Settings.Filter.Devices[0] != "d1" {
		t.Errorf("an update changed what was handed out before: %+v", s.Settings)
	}
}

func testPause(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	id := subscribe(t, r, "").ID
	paused := func(reason, want string) {
		t.Helper()
		s, err := r.PauseSubscription(t.Context(), id, reason)
		if err != nil || s.Paused != want {
			t.Errorf("paused: %+v, %v, want %q", s, err, want)
		}
		eventually(t, "the other node hears of it", func() bool { s, ok := other.Subscription(id); return ok && s.Paused == want })
	}
	resume := func(n int) {
		t.Helper()
		for range n {
			if s, err := other.ResumeSubscription(t.Context(), id); err != nil || s.Paused != "" {
				t.Errorf("resumed: %+v, %v", s, err)
			}
		}
	}
	paused("", "paused by hand")
	before, err := r.store.Get(t.Context(), subscriptionEntry+id)
	if err != nil {
		t.Fatal(err)
	}
	paused("410 Gone", "paused by hand")
	if e, err := r.store.Get(t.Context(), before.Key); err != nil || e.Rev != before.Rev {
		t.Errorf("a pause of a paused subscription was written: %v", err)
	}
	resume(1)
	if before, err = r.store.Get(t.Context(), before.Key); err != nil {
		t.Fatal(err)
	}
	resume(1)
	if e, err := r.store.Get(t.Context(), before.Key); err != nil || e.Rev != before.Rev {
		t.Errorf("a resumption of a running subscription was written: %v", err)
	}
	paused("410 Gone", "410 Gone")
	resume(1)
	paused(" two\nlines\xff ", "two lines")
	resume(1)
	paused(strings.Repeat("門", 101), strings.Repeat("門", 100))
	resume(1)
	paused(strings.Repeat("x", 299)+"門", strings.Repeat("x", 299))
}

func testRotateSubscription(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := c.node(t, Options{Now: func() time.Time { return now }})
	first := subscribe(t, r, "")
	count := func(s *gatecast.Subscription, want int, what string) {
		t.Helper()
		if len(s.Secrets) != want || len(s.Keys) != want {
			t.Errorf("%s: %+v, %+v", what, s.Secrets, s.Keys)
		}
	}
	rotate := func(overlap time.Duration) *gatecast.Subscription {
		t.Helper()
		s, err := r.RotateSubscription(t.Context(), first.ID, overlap)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	second := rotate(time.Hour)
	count(second, 2, "after the first rotation")
	old := gatecast.Secret{Value: first.Secrets[0].Value, Created: first.Created, Expires: now.Add(time.Hour)}
	if second.Secrets[1] != old || second.Keys[1].Value != first.Keys[0].Value || second.Keys[1].Expires != old.Expires {
		t.Errorf("the old ones: %+v, %+v", second.Secrets[1], second.Keys[1])
	}
	if second.Secrets[0].Value == old.Value || second.Keys[0].Value == first.Keys[0].Value {
		t.Error("the new ones are the old ones")
	}
	if webhook.ValidSecret(second.Secrets[0].Value) != nil {
		t.Errorf("a rotation made no valid secret: %v", webhook.ValidSecret(second.Secrets[0].Value))
	}
	now = now.Add(time.Hour - time.Millisecond)
	got, _ := r.Subscription(first.ID)
	count(got, 2, "within the overlap")
	now = now.Add(time.Millisecond)
	got, _ = r.Subscription(first.ID)
	count(got, 1, "after the overlap")
	count(r.Subscriptions()[0], 1, "after the overlap, listed")
	third, fourth := rotate(time.Hour), rotate(time.Hour)
	count(fourth, 2, "twice within an overlap")
	if fourth.Secrets[1].Value != third.Secrets[0].Value || fourth.Keys[1].Value != third.Keys[0].Value {
		t.Error("the secret before the last survived a second rotation")
	}
	count(rotate(0), 1, "without overlap")
}
