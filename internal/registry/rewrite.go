package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// errSame is what a change returns that leaves an entry as it is.
var errSame = errors.New("nothing to change")

// rewrite reads an entry from the store, lets change make its new value and
// writes that, again and again until nobody has written it between. Errors:
// bucket.ErrMissing, and those of change; errSame of it counts as success.
func (r *Registry) rewrite(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	for range attempts {
		e, err := r.store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		e.Value, err = change(e.Value)
		if errors.Is(err, errSame) {
			return nil
		}
		if err != nil {
			return err
		}
		e.Rev, err = r.store.Put(ctx, key, e.Value, e.Rev)
		if err == nil {
			r.cache.wrote(e, r.decode(e))
			return nil
		}
		if !errors.Is(err, bucket.ErrChanged) {
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
	return contended()
}

// attempts bounds how often a change is tried anew because somebody else was
// faster. Each failure means that another change went through, so running out
// takes as many changes of one entry at the same moment.
const attempts = 64

func contended() error {
	return &gatecast.Error{
		Code:    gatecast.Conflict,
		Message: "the entry is being changed by many others at this moment",
		Remedy:  "try again",
	}
}
