package registry

import (
	"context"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

// testSubscriptionChanges makes one change after the other, and the next only
// when the one before was told.
func testSubscriptionChanges(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	early := subscribe(t, r, "")
	known(t, other, early.ID, true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // a change that is never told ends the loops
	defer cancel()
	lasting, end := context.WithTimeout(t.Context(), 2*time.Minute)
	defer end()
	changes, apps := other.SubscriptionChanges(ctx), other.Changes(lasting)
	app := create(t, r, "gate")
	id := subscribe(t, r, app.Key).ID
	steps := []func() error{
		func() error {
			_, err := r.UpdateSubscription(ctx, id, func(s *gatecast.SubscriptionSettings) error { s.Rate = 1; return nil })
			return err
		},
		func() error { _, err := r.PauseSubscription(ctx, id, ""); return err },
		func() error {
			for range 3 { // none of these changes anything
				if _, err := r.PauseSubscription(ctx, id, "once more"); err != nil {
					return err
				}
			}
			_, err := r.ResumeSubscription(ctx, id)
			return err
		},
		func() error { _, err := r.RotateSubscription(ctx, id, 0); return err },
		func() error { return r.DeleteApp(ctx, app.Key) },
		func() error { cancel(); return nil },
	}
	yields := 0
	for got := range changes {
		yields++
		if got != id {
			t.Fatalf("change of %q", got)
		}
		if err := steps[0](); err != nil {
			t.Fatal(err)
		}
		steps = steps[1:]
	}
	if yields != 6 {
		t.Errorf("%d changes were told, want 6", yields)
	}
	last := create(t, r, "last")
	eventually(t, "the last app reaches the other node", func() bool { _, ok := other.App(last.Key); return ok })
	heard := map[string]bool{}
	for key := range apps {
		if heard[key] = true; len(heard) == 2 {
			break
		}
	}
	if diff := cmp.Diff(map[string]bool{app.Key: true, last.Key: true}, heard); diff != "" {
		t.Errorf("changes of apps: %s", diff)
	}
	closing := other.SubscriptionChanges(t.Context())
	other.Close()
	for id := range closing {
		t.Errorf("a closed registry yields %q", id)
	}
}
