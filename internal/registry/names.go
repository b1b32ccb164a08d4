package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// nameEntry begins the keys of reservations. A reservation says which entry
// has a name: the store compares revisions of one key only, so a name that no
// two apps may have needs a key of its own. What is reserved but never used,
// because a node died between, is taken over by the next who wants the name.
const nameEntry = "name."

func reservationKey(owner, name string) string {
	sort, _, _ := strings.Cut(owner, ".")
	sum := sha256.Sum256([]byte(name)) // names may hold characters that store keys may not
	return nameEntry + sort + "." + hex.EncodeToString(sum[:16])
}

// reserve makes name belong to owner, which is a store key, or returns a
// Conflict if another entry of its sort has it.
func (r *Registry) reserve(ctx context.Context, owner, name string) error {
	key := reservationKey(owner, name)
	for range attempts {
		e, err := r.store.Get(ctx, key)
		if err != nil && !errors.Is(err, bucket.ErrMissing) {
			return fmt.Errorf("look up name: %w", err)
		}
		if err == nil {
			used, usedErr := r.uses(ctx, string(e.Value), name)
			if usedErr != nil {
				return fmt.Errorf("look up owner of name: %w", usedErr)
			}
			if used && string(e.Value) != owner {
				return nameTaken(owner, name)
			}
		}
		_, err = r.store.Put(ctx, key, []byte(owner), e.Rev)
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
	return contended()
}

// uses reports whether the entry at owner exists and has the name.
func (r *Registry) uses(ctx context.Context, owner, name string) (bool, error) {
	e, err := r.store.Get(ctx, owner)
	if errors.Is(err, bucket.ErrMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	it, err := decodeItem(e, r.seal)
	switch {
	case err != nil:
		return true, nil // unreadable: it may well use the name
	case it.app != nil:
		return it.app.Name == name, nil
	case it.token != nil:
		return it.token.Name == name, nil
	}
	return false, nil
}

// confirm returns a Conflict if somebody took over owner's reservation before
// owner was written. Reserve, write, confirm: then the name is owner's alone.
// Confirming writes the reservation again, since another node may have looked
// for owner just before it was written, and be about to take the name over;
// the new revision makes it look again.
func (r *Registry) confirm(ctx context.Context, owner, name string) error {
	key := reservationKey(owner, name)
	for range attempts {
		e, err := r.store.Get(ctx, key)
		if err != nil && !errors.Is(err, bucket.ErrMissing) {
			return fmt.Errorf("confirm name: %w", err)
		}
		if string(e.Value) != owner {
			return nameTaken(owner, name)
		}
		_, err = r.store.Put(ctx, key, e.Value, e.Rev)
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
	return contended()
}

// release gives a name up. Failing is harmless: see nameEntry.
func (r *Registry) release(ctx context.Context, owner, name string) {
	key := reservationKey(owner, name)
	e, err := r.store.Get(ctx, key)
	if err == nil && string(e.Value) == owner {
		err = r.store.Delete(ctx, key, e.Rev)
	}
	if err != nil && !errors.Is(err, bucket.ErrMissing) && !errors.Is(err, bucket.ErrChanged) {
		r.opts.Log.Debug("a name stays reserved until somebody wants it", "name", name, "err", err)
	}
}

func nameTaken(owner, name string) error {
	sort, _, _ := strings.Cut(owner, ".")
	return &gatecast.Error{
		Code:    gatecast.Conflict,
		Message: fmt.Sprintf("there is another %s with the name %q", sort, name),
		Remedy:  "choose another name, or change or delete the other " + sort,
		At:      &gatecast.Place{Index: -1, Path: "/name", Found: name, Expected: "a name no other " + sort + " has"},
	}
}
