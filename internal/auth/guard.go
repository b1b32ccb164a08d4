package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatecast/gatecast"
)

// TokenStore finds who a token belongs to. An unknown hash is an error with
// the code NotFound or Unauthenticated; any other error means that the store
// could not look.
type TokenStore interface {
	PrincipalByTokenHash(ctx context.Context, hash [32]byte) (Principal, error)
}

// Guard lets requests through that carry a good bearer token (RFC 6750).
type Guard struct {
	Tokens TokenStore
	// Fail answers a refused request; the server uses problem.Write here. If
	// nil, the answer is plain text.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// Require returns a handler that calls next only for callers with the scope,
// with their [Principal] in the request's context. The others are refused as
// Unauthenticated (no token, or an unknown one) or Forbidden (no such scope).
func (g Guard) Require(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.authenticate(r)
		if err == nil && !p.Has(scope) {
			err = lacks(p, scope)
		}
		if err != nil {
			g.fail(w, r, scope, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithPrincipal(r.Context(), p)))
	})
}

func (g Guard) authenticate(r *http.Request) (Principal, error) {
	plain, err := bearer(r.Header)
	if err != nil {
		return Principal{}, err
	}
	p, err := g.Tokens.PrincipalByTokenHash(r.Context(), HashToken(plain))
	if err == nil {
		return p, nil
	}
	switch gatecast.CodeOf(err) {
	case gatecast.NotFound, gatecast.Unauthenticated:
		return Principal{}, &gatecast.Error{
			Code:    gatecast.Unauthenticated,
			Message: "the bearer token is not known here",
			Remedy:  "it may have been deleted; make a new one with: gatecast token create NAME --scope SCOPE",
			Cause:   err,
		}
	default:
		return Principal{}, fmt.Errorf("look up bearer token: %w", err)
	}
}

// bearer returns the token of the Authorization header. The scheme's name is
// case-insensitive (RFC 9110, section 11.1).
func bearer(h http.Header) (string, error) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(h.Get("Authorization")), " ")
	token = strings.TrimSpace(token)
	if strings.EqualFold(scheme, "Bearer") && token != "" {
		return token, nil
	}
	message := "this request needs a bearer token and has none"
	if scheme != "" {
		message = "the Authorization header holds no bearer token"
	}
	return "", &gatecast.Error{
		Code:    gatecast.Unauthenticated,
		Message: message,
		Remedy:  "send the header \"Authorization: Bearer " + TokenPrefix + "...\"; make a token with: gatecast token create NAME --scope SCOPE",
	}
}

func lacks(p Principal, scope Scope) error {
	return &gatecast.Error{
		Code:    gatecast.Forbidden,
		Message: fmt.Sprintf("the token %q lacks the scope %q; it has: %s", p.Name, scope, JoinScopes(p.Scopes)),
		Remedy:  fmt.Sprintf("use a token made with: gatecast token create NAME --scope %s", scope),
	}
}

// fail sets the challenge that RFC 6750, section 3, wants for each refusal:
// no error code if the request had no token at all.
func (g Guard) fail(w http.ResponseWriter, r *http.Request, scope Scope, err error) {
	challenge := `Bearer realm="gatecast"`
	switch gatecast.CodeOf(err) {
	case gatecast.Unauthenticated:
		if r.Header.Get("Authorization") != "" {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case gatecast.Forbidden:
		w.Header().Set("WWW-Authenticate", challenge+fmt.Sprintf(`, error="insufficient_scope", scope="%s"`, scope))
	}
	if g.Fail != nil {
		g.Fail(w, r, err)
		return
	}
	status := http.StatusServiceUnavailable
	switch gatecast.CodeOf(err) {
	case gatecast.Unauthenticated:
		status = http.StatusUnauthorized
	case gatecast.Forbidden:
		status = http.StatusForbidden
	default:
		err = gatecast.Errorf(gatecast.Unavailable, "tokens cannot be checked at the moment")
	}
	http.Error(w, err.Error(), status)
}
