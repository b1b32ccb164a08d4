package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/google/go-cmp/cmp"
)

// tokens is a store of one token per scope.
type tokens map[[32]byte]auth.Principal

func (s tokens) PrincipalByTokenHash(_ context.Context, hash [32]byte) (auth.Principal, error) {
	if p, ok := s[hash]; ok {
		return p, nil
	}
	return auth.Principal{}, gatecast.Errorf(gatecast.NotFound, "no such token")
}

type brokenStore struct{ err error }

func (s brokenStore) PrincipalByTokenHash(context.Context, [32]byte) (auth.Principal, error) {
	return auth.Principal{}, s.err
}

func (s tokens) add(name string, scopes ...auth.Scope) string {
	plain, hash := auth.NewToken()
	s[hash] = auth.Principal{ID: name + "-id", Name: name, Scopes: scopes}
	return plain
}

func call(g auth.Guard, scope auth.Scope, header string) (*httptest.ResponseRecorder, *auth.Principal) {
	var seen *auth.Principal
	h := g.Require(scope, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if p, ok := auth.PrincipalFrom(r.Context()); ok {
			seen = &p
		}
	}))
	r := httptest.NewRequest("GET", "/", nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, seen
}

func TestGuardHandsThePrincipalOn(t *testing.T) {
	s := tokens{}
	plain := s.add("doors", auth.Ingest)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
		w, seen := call(auth.Guard{Tokens: s}, auth.Ingest, scheme+plain)
		want := &auth.Principal{ID: "doors-id", Name: "doors", Scopes: []auth.Scope{auth.Ingest}}
		if diff := cmp.Diff(want, seen); diff != "" || w.Code != 200 {
			t.Errorf("status %d, principal: %s", w.Code, diff)
		}
	}
}

func TestAdminIncludesEveryScopeAndNoOtherScopeDoes(t *testing.T) {
	s := tokens{}
	plain := map[auth.Scope]string{}
	for _, scope := range auth.Scopes() {
		plain[scope] = s.add(string(scope), scope)
	}
	for held, token := range plain {
		for _, needed := range auth.Scopes() {
			w, seen := call(auth.Guard{Tokens: s}, needed, "Bearer "+token)
			if allowed := held == needed || held == auth.Admin; allowed != (seen != nil) || allowed != (w.Code == 200) {
				t.Errorf("%s on a route for %s: status %d", held, needed, w.Code)
			}
		}
	}
}

func TestRefusalsTellMissingUnknownAndLackingApart(t *testing.T) {
	s := tokens{}
	reader := s.add("dashboard", auth.Read)
	cases := []struct {
		name, header string
		status       int
		challenge    string
		says         string
	}{
		{"missing", "", 401, `Bearer realm="gatecast"`, "has none"},
		{"other scheme", "Basic Zm9vOmJhcg==", 401, `Bearer realm="gatecast", error="invalid_token"`, "holds no bearer token"},
		{"empty", "Bearer ", 401, `Bearer realm="gatecast", error="invalid_token"`, "holds no bearer token"},
		{"unknown", "Bearer gct_nobody", 401, `Bearer realm="gatecast", error="invalid_token"`, "not known here"},
		{
			"lacking", "Bearer " + reader, 403, `Bearer realm="gatecast", error="insufficient_scope", scope="ingest"`,
			"gatecast token create NAME --scope ingest",
		},
	}
	for _, fail := range []func(http.ResponseWriter, *http.Request, error){nil, problem.Write} {
		for _, c := range cases {
			w, seen := call(auth.Guard{Tokens: s, Fail: fail}, auth.Ingest, c.header)
			if w.Code != c.status || seen != nil {
				t.Errorf("%s: status %d, want %d; let in: %v", c.name, w.Code, c.status, seen)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != c.challenge {
				t.Errorf("%s: challenge %q, want %q", c.name, got, c.challenge)
			}
			if !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%s: body lacks %q: %s", c.name, c.says, w.Body)
			}
		}
	}
}

func TestStoreFailureIsNotTakenForABadToken(t *testing.T) {
	down := gatecast.Errorf(gatecast.Unavailable, "no leader")
	for err, want := range map[error]int{down: 503, errors.New("disk /secret"): 500} {
		w, seen := call(auth.Guard{Tokens: brokenStore{err}, Fail: problem.Write}, auth.Read, "Bearer gct_x")
		if w.Code != want || seen != nil {
			t.Errorf("status %d, want %d; let in: %v", w.Code, want, seen)
		}
	}
	w, _ := call(auth.Guard{Tokens: brokenStore{errors.New("disk /secret")}}, auth.Read, "Bearer gct_x")
	if w.Code != 503 || strings.Contains(w.Body.String(), "/secret") {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

func TestTokensAreLongDistinctAndHashAlike(t *testing.T) {
	form := regexp.MustCompile(`^gct_[a-z2-7]{40}$`)
	seen := map[string]bool{}
	for range 1000 {
		plain, hash := auth.NewToken()
		if !form.MatchString(plain) || seen[plain] || auth.HashToken(plain) != hash {
			t.Fatalf("token %q, seen before: %v", plain, seen[plain])
		}
		seen[plain] = true
	}
}

func TestParseScopeListsTheScopesThereAre(t *testing.T) {
	for _, s := range auth.Scopes() {
		if got, err := auth.ParseScope(string(s)); got != s || err != nil {
			t.Errorf("ParseScope(%q) = %q, %v", s, got, err)
		}
	}
	_, err := auth.ParseScope("root")
	if gatecast.CodeOf(err) != gatecast.Invalid || !strings.Contains(err.Error(), "admin, ingest, read") {
		t.Errorf("error = %v", err)
	}
}
