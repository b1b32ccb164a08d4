package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/webhook"
)

// CreateSubscription makes a subscription and returns it with its secret and
// its key. Errors: Invalid with the field, Conflict if the ID is taken or there
// are too many.
func (r *Registry) CreateSubscription(ctx context.Context, spec gatecast.SubscriptionSpec) (*gatecast.Subscription, error) {
	spec.Settings = spec.Settings.WithDefaults()
	if err := r.checkSpec(ctx, spec); err != nil {
		return nil, err
	}
	if n := r.cache.load().subs.len(); n >= r.opts.MaxSubscriptions {
		return nil, full("subscriptions", n)
	}
	s := r.newSubscription(spec)
	value, err := encodeSubscription(s, r.seal)
	if err != nil {
		return nil, fmt.Errorf("encode subscription: %w", err)
	}
	e := bucket.Entry{Key: subscriptionEntry + s.ID, Value: value}
	e.Rev, err = r.store.Put(ctx, e.Key, e.Value, 0)
	if errors.Is(err, bucket.ErrChanged) {
		return nil, idTaken(s.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("create subscription %s: %w", s.ID, err)
	}
	// Looked at once more, now that the subscription is written: whoever deletes
	// the app meanwhile finds the one, or is found by the other.
	if err := r.checkApp(ctx, s.App); err != nil {
		return nil, errors.Join(err, r.store.Delete(ctx, e.Key, e.Rev))
	}
	r.cache.wrote(e, r.decode(e))
	return r.subscription(s.ID)
}

func (r *Registry) newSubscription(spec gatecast.SubscriptionSpec) *gatecast.Subscription {
	now := r.now()
	private, _ := webhook.NewKey()
	return &gatecast.Subscription{
		ID:       cmp.Or(spec.ID, gatecast.DefaultSubscriptionID(randomHex(8))),
		App:      spec.App,
		Settings: spec.Settings,
		Secrets:  []gatecast.Secret{{Value: cmp.Or(spec.Secret, webhook.NewSecret()), Created: now}},
		Keys:     []gatecast.Secret{{Value: private, Created: now}},
		After:    spec.After,
		Epoch:    spec.Epoch,
		Created:  now,
	}
}

func (r *Registry) checkSpec(ctx context.Context, spec gatecast.SubscriptionSpec) error {
	if err := spec.Settings.Validate(); err != nil {
		return err
	}
	if spec.ID != "" && !gatecast.ValidSubscriptionID(spec.ID) {
		const want = `"sub_" and 16 lower-case hexadecimal characters`
		return &gatecast.Error{
			Code: gatecast.Invalid, Message: "this is not the id of a subscription", Remedy: "give " + want,
			At: &gatecast.Place{Index: -1, Path: "/id", Found: cut(spec.ID, 40), Expected: want},
		}
	}
	if spec.Secret != "" {
		if err := webhook.ValidSecret(spec.Secret); err != nil {
			return badSecret(spec.Secret)
		}
	}
	if err := checkNotices(spec.App, &spec.Settings); err != nil {
		return err
	}
	return r.checkApp(ctx, spec.App)
}

// badSecret says that a secret cannot be used, and never repeats it: errors end
// up in logs.
func badSecret(secret string) error {
	const want = `"whsec_" and base64 of 24 to 64 bytes`
	return &gatecast.Error{
		Code: gatecast.Invalid, Message: "this is not a signing secret", Remedy: "give " + want + ", or none to have one made",
		At: &gatecast.Place{Index: -1, Path: "/secret", Found: fmt.Sprintf("%d bytes", len(secret)), Expected: want},
	}
}

// checkApp asks the store, not the snapshot: the app may have been made on
// another node a moment ago.
func (r *Registry) checkApp(ctx context.Context, key string) error {
	if key == "" {
		return nil
	}
	there, err := r.appExists(ctx, key)
	if err != nil {
		return fmt.Errorf("look up app %s: %w", key, err)
	}
	if there {
		return nil
	}
	return &gatecast.Error{
		Code:    gatecast.Invalid,
		Message: fmt.Sprintf("there is no app with the key %q", cut(key, 40)),
		Remedy:  "list the apps with: gatecast app list",
		At:      &gatecast.Place{Index: -1, Path: "/app_key", Found: cut(key, 40), Expected: "the key of an app"},
	}
}

// Subscription returns the subscription with the ID, and whether there is one; a
// paused one is one. It costs no I/O. Its secrets and keys are those valid now.
// Nobody may change what it points to.
func (r *Registry) Subscription(id string) (*gatecast.Subscription, bool) {
	s, ok := r.cache.load().subs.get(id)
	if !ok {
		return nil, false
	}
	return validSubscription(s, r.opts.Now()), true
}

// Subscriptions returns all subscriptions, the oldest first. It costs no I/O.
// Nobody may change what they point to.
func (r *Registry) Subscriptions() []*gatecast.Subscription {
	now := r.opts.Now()
	all := r.cache.load().subs
	list := make([]*gatecast.Subscription, 0, all.len())
	for s := range all.all() {
		list = append(list, validSubscription(s, now))
	}
	slices.SortFunc(list, func(a, b *gatecast.Subscription) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// validSubscription does for a subscription what validSecrets does for an app.
func validSubscription(s *gatecast.Subscription, now time.Time) *gatecast.Subscription {
	if !anyExpired(s.Secrets, now) && !anyExpired(s.Keys, now) {
		return s
	}
	t := *s
	t.Secrets, t.Keys = unexpired(s.Secrets, now), unexpired(s.Keys, now)
	return &t
}

// subscription returns one that was written a moment ago.
func (r *Registry) subscription(id string) (*gatecast.Subscription, error) {
	s, ok := r.Subscription(id)
	if !ok {
		return nil, noSubscription(id) // deleted by somebody else since
	}
	return s, nil
}

func noSubscription(id string) error {
	err := gatecast.Errorf(gatecast.NotFound, "there is no subscription with the id %q", cut(id, 40))
	err.Remedy = "list them with: gatecast sub list"
	return err
}

func idTaken(id string) error {
	return &gatecast.Error{
		Code:    gatecast.Conflict,
		Message: fmt.Sprintf("there is a subscription with the id %q already", id),
		Remedy:  "change or delete that one, or leave the id out to have one made",
		At:      &gatecast.Place{Index: -1, Path: "/id", Found: id, Expected: "an id no other subscription has"},
	}
}
