package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
)

// CreateSource makes a source and returns it. Errors: Invalid with the field,
// Conflict if the name is taken or there are too many.
func (r *Registry) CreateSource(ctx context.Context, spec gatecast.SourceSpec) (*gatecast.Source, error) {
	spec.Settings = spec.Settings.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if n := len(r.cache.load().sources); n >= r.opts.MaxSources {
		return nil, full("sources", n)
	}
	s := &gatecast.Source{Name: spec.Name, Settings: spec.Settings, Created: r.now()}
	keepToken(s)
	value, err := encodeSource(s, r.seal)
	if err != nil {
		return nil, fmt.Errorf("encode source: %w", err)
	}
	e := bucket.Entry{Key: sourceEntry + s.Name, Value: value}
	e.Rev, err = r.store.Put(ctx, e.Key, e.Value, 0)
	if errors.Is(err, bucket.ErrChanged) {
		return nil, nameTaken(e.Key, s.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("create source %s: %w", s.Name, err)
	}
	r.cache.wrote(e, r.decode(e))
	return r.source(s.Name)
}

// keepToken makes sure that a server that posts has a URL to post to, and that
// there is none that nobody should use.
func keepToken(s *gatecast.Source) {
	switch {
	case s.Settings.Kind != gatecast.SourceSubscription:
		s.Token, s.Former = "", gatecast.Secret{}
	case s.Token == "":
		s.Token = randomHex(32)
	}
}

// Source returns the source with the name, and whether there is one; a paused
// one is one. It costs no I/O. Nobody may change what it points to.
func (r *Registry) Source(name string) (*gatecast.Source, bool) {
	s, ok := r.cache.load().sources[name]
	return s, ok
}

// SourceByToken returns the source whose token has this hash (see
// [auth.HashToken], also for why a map lookup is safe), and whether there is
// one; a paused one is one. The token before it counts until it expires. It costs no I/O. Nobody may change what it points
// to.
func (r *Registry) SourceByToken(hash [32]byte) (*gatecast.Source, bool) {
	s, ok := r.cache.load().bySourceToken[hash]
	if ok && auth.HashToken(s.Token) != hash && !s.Former.ValidAt(r.now()) {
		return nil, false
	}
	return s, ok
}

// Sources returns all sources, ordered by name. It costs no I/O. Nobody may
// change what they point to.
func (r *Registry) Sources() []*gatecast.Source {
	all := r.cache.load().sources
	list := make([]*gatecast.Source, 0, len(all))
	for _, s := range all {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *gatecast.Source) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// UpdateSource lets change work on a copy of a source's settings, and returns
// the source as it then is. If somebody else changes it at the same moment,
// change is called again with what they made of it. A setting left at zero goes
// back to its default. A source that becomes a [gatecast.SourceSubscription]
// gets a token, and one that no longer is one loses it. Errors: those of change,
// Invalid with the field, NotFound.
func (r *Registry) UpdateSource(ctx context.Context, name string, change func(*gatecast.SourceSettings) error) (*gatecast.Source, error) {
	return r.changeSource(ctx, name, func(s *gatecast.Source) error {
		if err := change(&s.Settings); err != nil {
			return err
		}
		s.Settings = s.Settings.WithDefaults()
		keepToken(s)
		return s.Settings.Validate()
	})
}

// PauseSource takes nothing from a source until [Registry.ResumeSource], by the
// rules of [Registry.PauseSubscription]. Error: NotFound.
func (r *Registry) PauseSource(ctx context.Context, name, reason string) (*gatecast.Source, error) {
	return r.changeSource(ctx, name, func(s *gatecast.Source) error {
		if s.Paused != "" {
			return errSame
		}
		s.Paused = cmp.Or(oneLine(reason), "paused by hand")
		return nil
	})
}

// ResumeSource goes on with a paused source. Error: NotFound.
func (r *Registry) ResumeSource(ctx context.Context, name string) (*gatecast.Source, error) {
	return r.changeSource(ctx, name, func(s *gatecast.Source) error {
		if s.Paused == "" {
			return errSame
		}
		s.Paused = ""
		return nil
	})
}

// RotateSource gives a source that posts a new token, by the rules of
// [Registry.RotateApp]: the old one is good for the overlap, and one that was
// already expiring goes at once. Errors: Invalid, NotFound, and Conflict if the
// source has no token.
func (r *Registry) RotateSource(ctx context.Context, name string, overlap time.Duration) (*gatecast.Source, error) {
	if err := r.checkOverlap(overlap); err != nil {
		return nil, err
	}
	return r.changeSource(ctx, name, func(s *gatecast.Source) error {
		if s.Token == "" {
			e := gatecast.Errorf(gatecast.Conflict, "this source has no token: gatecast connects to it")
			e.Remedy = "for another secret of its app: gatecast source update NAME --app-secret"
			return e
		}
		old := gatecast.Secret{Value: s.Token}
		s.Token, s.Former = randomHex(32), gatecast.Secret{}
		if overlap > 0 {
			old.Expires = r.now().Add(overlap)
			s.Former = old
		}
		return nil
	})
}

// DeleteSource removes a source for good; its name is free again, and its token
// worth nothing. Events that came from it stay. Error: NotFound.
func (r *Registry) DeleteSource(ctx context.Context, name string) error {
	if !gatecast.ValidSourceName(name) {
		return noSource(name)
	}
	_, err := r.remove(ctx, sourceEntry+name)
	if errors.Is(err, bucket.ErrMissing) {
		return noSource(name)
	}
	if err != nil {
		return fmt.Errorf("delete source %s: %w", name, err)
	}
	return nil
}

// changeSource lets change work on a source, writes it (see rewrite) and returns
// it.
func (r *Registry) changeSource(ctx context.Context, name string, change func(*gatecast.Source) error) (*gatecast.Source, error) {
	if !gatecast.ValidSourceName(name) {
		return nil, noSource(name)
	}
	err := r.rewrite(ctx, sourceEntry+name, func(value []byte) ([]byte, error) {
		s, err := decodeSource(value, r.seal)
		if err != nil {
			return nil, fmt.Errorf("read source %s: %w", name, err)
		}
		if err := change(s); err != nil {
			return nil, err
		}
		return encodeSource(s, r.seal)
	})
	if errors.Is(err, bucket.ErrMissing) {
		return nil, noSource(name)
	}
	if err != nil {
		return nil, err
	}
	return r.source(name)
}

// source returns one that was written a moment ago.
func (r *Registry) source(name string) (*gatecast.Source, error) {
	s, ok := r.Source(name)
	if !ok {
		return nil, noSource(name) // deleted by somebody else since
	}
	return s, nil
}

func noSource(name string) error {
	err := gatecast.Errorf(gatecast.NotFound, "there is no source with the name %q", cut(name, 40))
	err.Remedy = "list them with: gatecast source list"
	return err
}
