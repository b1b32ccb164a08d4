package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// CreateApp makes an enabled app and returns it with its secret. Errors:
// Invalid with the field, Conflict if the name or an imported key is taken.
func (r *Registry) CreateApp(ctx context.Context, spec gatecast.AppSpec) (*gatecast.App, error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if n := r.cache.load().apps.len(); n >= r.opts.MaxApps {
		return nil, full("apps", n)
	}
	now := r.now()
	a := &gatecast.App{
		Key:      cmp.Or(spec.Key, randomHex(8)),
		Name:     spec.Name,
		Enabled:  true,
		Secrets:  []gatecast.Secret{{Value: cmp.Or(spec.Secret, randomHex(16)), Created: now}},
		MaxConns: spec.MaxConns,
		Window:   spec.Window,
		Kinds:    slices.Sorted(slices.Values(spec.Kinds)),
		CatchUp:  spec.CatchUp,
		Created:  now,
	}
	value, err := encodeApp(a, r.seal)
	if err != nil {
		return nil, fmt.Errorf("encode app: %w", err)
	}
	e := bucket.Entry{Key: appEntry + a.Key, Value: value}
	if err := r.create(ctx, e, a.Name); err != nil {
		if errors.Is(err, bucket.ErrChanged) {
			return nil, keyTaken(a.Key)
		}
		return nil, fmt.Errorf("create app %q: %w", a.Name, err)
	}
	return r.written(a.Key)
}

// create writes a new entry under a name of its own. The error bucket.ErrChanged
// means that the entry exists.
func (r *Registry) create(ctx context.Context, e bucket.Entry, name string) error {
	// Looked at first, so that importing an app twice tells the clash of keys.
	if _, err := r.store.Get(ctx, e.Key); !errors.Is(err, bucket.ErrMissing) {
		return cmp.Or(err, bucket.ErrChanged)
	}
	if err := r.reserve(ctx, e.Key, name); err != nil {
		return err
	}
	rev, err := r.store.Put(ctx, e.Key, e.Value, 0)
	if err != nil {
		return err // the entry may exist all the same, so the name stays reserved
	}
	e.Rev = rev
	if err := r.confirm(ctx, e.Key, name); err != nil {
		return errors.Join(err, r.store.Delete(ctx, e.Key, rev))
	}
	r.cache.wrote(e, r.decode(e))
	return nil
}

// App returns the app with the key, and whether there is one; a disabled app
// is one. It costs no I/O. The app's secrets are those valid now. Nobody may
// change what it points to.
func (r *Registry) App(key string) (*gatecast.App, bool) {
	a, ok := r.cache.load().apps.get(key)
	if !ok {
		return nil, false
	}
	return validSecrets(a, r.opts.Now()), true
}

// Apps returns all apps, ordered by name. It costs no I/O. Nobody may change
// what they point to.
func (r *Registry) Apps() []*gatecast.App {
	now := r.opts.Now()
	all := r.cache.load().apps
	apps := make([]*gatecast.App, 0, all.len())
	for a := range all.all() {
		apps = append(apps, validSecrets(a, now))
	}
	slices.SortFunc(apps, func(a, b *gatecast.App) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	return apps
}

// validSecrets returns a, or a copy of it without the secrets that have
// expired: nothing is written when an overlap ends.
func validSecrets(a *gatecast.App, now time.Time) *gatecast.App {
	if !anyExpired(a.Secrets, now) {
		return a
	}
	b := *a
	b.Secrets = unexpired(a.Secrets, now)
	return &b
}

// UpdateApp changes an app and returns it as it then is. Two patches at the
// same moment both take effect. Errors: Invalid with the field, NotFound,
// Conflict if the name is taken.
func (r *Registry) UpdateApp(ctx context.Context, key string, patch gatecast.AppPatch) (*gatecast.App, error) {
	var before, after string // names; after is empty unless the name changes
	owner := appEntry + key
	err := r.modify(ctx, key, func(a *gatecast.App) error {
		before = a.Name
		patch.Apply(a)
		spec := gatecast.AppSpec{Name: a.Name, MaxConns: a.MaxConns, Window: a.Window, Kinds: a.Kinds, CatchUp: a.CatchUp}
		if err := spec.Validate(); err != nil {
			return err
		}
		slices.Sort(a.Kinds)
		if a.Name == before || a.Name == after {
			return nil
		}
		after = a.Name
		return r.reserve(ctx, owner, after)
	})
	if err == nil && after != "" {
		err = r.finishRename(ctx, key, before, after)
	}
	if err != nil {
		return nil, err
	}
	return r.written(key)
}

// finishRename frees the old name, or goes back to it if another app got the
// new one.
func (r *Registry) finishRename(ctx context.Context, key, before, after string) error {
	owner := appEntry + key
	taken := r.confirm(ctx, owner, after)
	if taken == nil {
		if before != after {
			r.release(ctx, owner, before)
		}
		return nil
	}
	err := r.modify(ctx, key, func(a *gatecast.App) error {
		if a.Name != after {
			return bucket.ErrChanged // renamed again since, and the name given up: all is well
		}
		a.Name = before
		return nil
	})
	if errors.Is(err, bucket.ErrChanged) {
		return nil
	}
	return errors.Join(taken, err)
}

// RotateApp gives the app a new secret and lets the old one expire after the
// overlap, 0 to Options.MaxOverlap; 0 makes it invalid at once. A secret that
// was already expiring goes at once, so that at most two are valid. It returns
// the app with the new secret first. Errors: Invalid, NotFound.
func (r *Registry) RotateApp(ctx context.Context, key string, overlap time.Duration) (*gatecast.App, error) {
	if err := r.checkOverlap(overlap); err != nil {
		return nil, err
	}
	err := r.modify(ctx, key, func(a *gatecast.App) error {
		a.Secrets = rotated(a.Secrets, randomHex(16), r.now(), overlap)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.written(key)
}

// RevealSecret returns the newest secret of an app. Error: NotFound.
func (r *Registry) RevealSecret(_ context.Context, key string) (string, error) {
	a, ok := r.App(key)
	if !ok {
		return "", noApp(key)
	}
	return a.Secrets[0].Value, nil
}

// modify lets change work on an app, and writes it: see rewrite.
func (r *Registry) modify(ctx context.Context, key string, change func(*gatecast.App) error) error {
	if !gatecast.ValidAppKey(key) {
		return noApp(key)
	}
	err := r.rewrite(ctx, appEntry+key, func(value []byte) ([]byte, error) {
		a, err := decodeApp(value, r.seal)
		if err != nil {
			return nil, fmt.Errorf("read app %s: %w", key, err)
		}
		if err := change(a); err != nil {
			return nil, err
		}
		return encodeApp(validSecrets(a, r.opts.Now()), r.seal)
	})
	if errors.Is(err, bucket.ErrMissing) {
		return noApp(key)
	}
	return err
}

// written returns an app that was written a moment ago.
func (r *Registry) written(key string) (*gatecast.App, error) {
	a, ok := r.App(key)
	if !ok {
		return nil, noApp(key) // deleted by somebody else since
	}
	return a, nil
}

func noApp(key string) error {
	err := gatecast.Errorf(gatecast.NotFound, "there is no app with the key %q", key)
	err.Remedy = "list the apps with: gatecast app list"
	return err
}

func keyTaken(key string) error {
	return &gatecast.Error{
		Code:    gatecast.Conflict,
		Message: fmt.Sprintf("there is an app with the key %q already", key),
		Remedy:  "change or delete that app, or import under another key",
		At:      &gatecast.Place{Index: -1, Path: "/app_key", Found: key, Expected: "a key no other app has"},
	}
}

func full(what string, n int) error {
	return &gatecast.Error{
		Code:    gatecast.Conflict,
		Message: fmt.Sprintf("there are %d %s, and no more are allowed", n, what),
		Remedy:  "delete some, or raise the limit in the registry's configuration",
	}
}

// randomHex returns n random bytes in lower-case hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
