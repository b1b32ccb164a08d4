// Package auth says who is calling and what they may do.
//
// It owns scopes, principals, the form of a token and the HTTP guard in front
// of a handler. It never stores a token (see registry) and knows nothing of
// the apps that sign in by SenseLink's protocol. Start at [Guard].
package auth

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Scope is something a token may be allowed to do.
type Scope string

const (
	// Admin may do everything, whatever the other scopes say.
	Admin Scope = "admin"
	// Ingest may append events.
	Ingest Scope = "ingest"
	// Read may read events and the server's state, and change nothing.
	Read Scope = "read"
)

// Scopes lists every scope there is.
func Scopes() []Scope { return []Scope{Admin, Ingest, Read} }

// Valid reports whether s is one of the scopes above.
func (s Scope) Valid() bool { return slices.Contains(Scopes(), s) }

// ParseScope reads the name of a scope. Its error is Invalid and lists them all.
func ParseScope(s string) (Scope, error) {
	if scope := Scope(s); scope.Valid() {
		return scope, nil
	}
	err := gatecast.Errorf(gatecast.Invalid, "there is no scope %q", s)
	err.Remedy = "use one of " + JoinScopes(Scopes())
	return "", err
}

// JoinScopes writes scopes for people: "admin, ingest, read".
func JoinScopes(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// Principal is a caller that has proved who it is.
type Principal struct {
	ID     string  // of its token, for logs
	Name   string  // of its token, for people
	Scopes []Scope // what it may do
}

// Has reports whether the principal may do what scope names.
func (p Principal) Has(scope Scope) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, Admin)
}

// Token is what is known of a token once it has been handed out: everything
// but the token itself.
type Token struct {
	ID      string
	Name    string // for people, 1 to 100 characters, unique
	Scopes  []Scope
	Created time.Time // UTC, to the millisecond
}

// principalKey is the context key of the calling principal.
type principalKey struct{}

// WithPrincipal returns a context that carries p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the principal whom a [Guard] let in, and whether there is one.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
