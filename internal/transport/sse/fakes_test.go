package sse

import (
	"context"
	"iter"
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// fakeApps is a list of apps that tests change.
type fakeApps struct {
	mu      sync.Mutex
	apps    map[string]*gatecast.App
	changed chan string
}

func newFakeApps(apps ...gatecast.App) *fakeApps {
	f := &fakeApps{apps: make(map[string]*gatecast.App), changed: make(chan string, 10)}
	for _, a := range apps {
		f.apps[a.Key] = &a
	}
	return f
}

func (f *fakeApps) App(key string) (*gatecast.App, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[key]
	return a, ok
}

// quietly changes the list without telling anybody.
func (f *fakeApps) quietly(change func(map[string]*gatecast.App)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.apps)
}

func (f *fakeApps) set(a gatecast.App) {
	f.quietly(func(apps map[string]*gatecast.App) { apps[a.Key] = &a })
	f.changed <- a.Key
}

func (f *fakeApps) Changes(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case key := <-f.changed:
				if !yield(key) {
					return
				}
			}
		}
	}
}

func anApp() gatecast.App {
	return gatecast.App{
		Key: key, Name: "desk", Enabled: true, Window: gatecast.DefaultWindow,
		Secrets: []gatecast.Secret{{Value: secret}},
	}
}

// fakeTokens is a store of tokens that can be taken away or break.
type fakeTokens struct {
	mu   sync.Mutex
	held map[[32]byte]auth.Principal
	fail error
}

func newFakeTokens() *fakeTokens {
	return &fakeTokens{held: map[[32]byte]auth.Principal{
		auth.HashToken(token):       {ID: "1", Name: "dashboard", Scopes: []auth.Scope{auth.Read}},
		auth.HashToken("gct_other"): {ID: "2", Name: "doors", Scopes: []auth.Scope{auth.Ingest}},
	}}
}

func (s *fakeTokens) PrincipalByTokenHash(_ context.Context, hash [32]byte) (auth.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return auth.Principal{}, s.fail
	}
	p, ok := s.held[hash]
	if !ok {
		return p, gatecast.Errorf(gatecast.NotFound, "there is no such token")
	}
	return p, nil
}

func (s *fakeTokens) change(f func(*fakeTokens)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}
