package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
)

// CreateToken makes an API token. The plain token is returned here and never
// again: only its hash is stored. Errors: Invalid with the field, Conflict if
// the name is taken.
func (r *Registry) CreateToken(ctx context.Context, name string, scopes []auth.Scope) (auth.Token, string, error) {
	if err := gatecast.ValidateName(name); err != nil {
		return auth.Token{}, "", err
	}
	if err := validateScopes(scopes); err != nil {
		return auth.Token{}, "", err
	}
	if n := len(r.cache.load().tokens); n >= r.opts.MaxTokens {
		return auth.Token{}, "", full("tokens", n)
	}
	plain, hash := auth.NewToken()
	t := tokenItem{
		Token: auth.Token{ID: randomHex(6), Name: name, Scopes: slices.Sorted(slices.Values(scopes)), Created: r.now()},
		hash:  hash,
	}
	value, err := encodeToken(t)
	if err == nil {
		err = r.create(ctx, bucket.Entry{Key: tokenEntry + t.ID, Value: value}, name)
	}
	if err != nil {
		return auth.Token{}, "", fmt.Errorf("create token %q: %w", name, err)
	}
	return t.Token, plain, nil
}

func validateScopes(scopes []auth.Scope) error {
	want := "some of " + auth.JoinScopes(auth.Scopes())
	invalid := func(path, found, message string) error {
		return &gatecast.Error{
			Code: gatecast.Invalid, Message: message, Remedy: "give " + want,
			At: &gatecast.Place{Index: -1, Path: path, Found: found, Expected: want},
		}
	}
	if len(scopes) == 0 {
		return invalid("/scopes", "[]", "a token without a scope may do nothing")
	}
	for i, s := range scopes {
		path := "/scopes/" + strconv.Itoa(i)
		if !s.Valid() {
			return invalid(path, string(s), "there is no such scope")
		}
		if slices.Contains(scopes[:i], s) {
			return invalid(path, string(s), "the scope is listed twice")
		}
	}
	return nil
}

// Tokens returns all tokens, ordered by name. It costs no I/O.
func (r *Registry) Tokens() []auth.Token {
	all := r.cache.load().tokens
	tokens := make([]auth.Token, 0, len(all))
	for _, t := range all {
		tokens = append(tokens, t.Token)
	}
	slices.SortFunc(tokens, func(a, b auth.Token) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return tokens
}

// DeleteToken makes a token invalid: on this node at once, on others as soon
// as they hear of it. The last one with the scope admin is refused as a
// Conflict, for nobody could make another. Error: NotFound.
func (r *Registry) DeleteToken(ctx context.Context, id string) error {
	all := r.cache.load().tokens
	t, ok := all[id]
	if !ok {
		err := gatecast.Errorf(gatecast.NotFound, "there is no token with the id %q", id)
		err.Remedy = "list the tokens with: gatecast token list"
		return err
	}
	if isAdmin(t) && !otherAdmin(all, id) {
		return &gatecast.Error{
			Code:    gatecast.Conflict,
			Message: fmt.Sprintf("%q is the only token with the scope admin", t.Name),
			Remedy:  "make another one first: gatecast token create NAME --scope admin",
		}
	}
	name, err := r.remove(ctx, tokenEntry+id)
	if errors.Is(err, bucket.ErrMissing) {
		return gatecast.Errorf(gatecast.NotFound, "there is no token with the id %q", id)
	}
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	r.release(ctx, tokenEntry+id, name)
	return nil
}

func isAdmin(t tokenItem) bool { return slices.Contains(t.Scopes, auth.Admin) }

func otherAdmin(all map[string]tokenItem, id string) bool {
	for other, t := range all {
		if other != id && isAdmin(t) {
			return true
		}
	}
	return false
}

// PrincipalByTokenHash returns who the token with this SHA-256 hash belongs
// to. It costs no I/O; see [auth.HashToken] for why a map lookup is safe.
// Error: NotFound.
func (r *Registry) PrincipalByTokenHash(_ context.Context, hash [32]byte) (auth.Principal, error) {
	p, ok := r.cache.load().byHash[hash]
	if !ok {
		return auth.Principal{}, gatecast.Errorf(gatecast.NotFound, "there is no such token")
	}
	return p, nil
}
