package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The suite below holds for both, like that about apps.
func TestSourcesInMem(t *testing.T) { runSourceSuite(t, memCluster) }

func TestSourcesInJetStream(t *testing.T) { runSourceSuite(t, jetStreamCluster) }

func runSourceSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ACreatedSourceIsSeenAtOnce":                testAddSource,
		"ARefusalNamesTheFieldAndRepeatsNoSecret":   testAddSourceInvalid,
		"ANameBelongsToOneSource":                   testSourceNames,
		"ListsAreOrderedByName":                     testSourceOrder,
		"UpdatesAtTheSameMomentAllTakeEffect":       testConcurrentSourceUpdates,
		"ARefusedUpdateLeavesNoTrace":               testRefusedSourceUpdate,
		"ATokenLivesAsLongAsTheServerPosts":         testSourceToken,
		"APausedSourceKeepsItsFirstReason":          testPauseSource,
		"ADeletedSourceIsGoneEverywhere":            testDeleteSource,
		"WhatIsNotThereIsToldWithItsRemedy":         testNoSource,
		"ChangesOfSourcesAreToldAndOfNothingElse":   testSourceChanges,
		"NothingSecretLiesInTheBucket":              testSourceEncrypted,
		"ADamagedEntryLeavesTheOthersAlone":         testDamagedSource,
		"TheTokenBeforeIsGoodForAWhile":             testSourceRotation,
		"TheLimitIsHeld":                            testSourceLimit,
		"ASourceAndAnAppOfOneNameLeaveOneAnotherBe": testSourceAndApp,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func followed() gatecast.SourceSettings {
	return gatecast.SourceSettings{URL: "ws://10.1.2.3:9000", AppKey: "0123456789abcdef", AppSecret: "secret-of-the-north"}
}

func posted() gatecast.SourceSettings {
	return gatecast.SourceSettings{Kind: gatecast.SourceSubscription}
}

func addSource(t *testing.T, r *Registry, name string, settings gatecast.SourceSettings) *gatecast.Source {
	t.Helper()
	s, err := r.CreateSource(t.Context(), gatecast.SourceSpec{Name: name, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// knownSource waits until a node has heard of a source.
func knownSource(t *testing.T, r *Registry, name string, there bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("source %s there: %v", name, there), func() bool { _, ok := r.Source(name); return ok == there })
}

func testAddSource(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	r := c.node(t, Options{Now: func() time.Time { return now }})
	s := addSource(t, r, "office", followed())
	want := &gatecast.Source{
		Name: "office", Settings: followed().WithDefaults(), Created: time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC),
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	yard := addSource(t, r, "yard", posted())
	other := addSource(t, r, "zoo", posted())
	if b, err := hex.DecodeString(yard.Token); err != nil || len(b) != 32 || yard.Token == other.Token {
		t.Errorf("tokens %q and %q, %v", yard.Token, other.Token, err)
	}
	second := c.node(t, Options{})
	for _, node := range []*Registry{r, second} {
		if diff := cmp.Diff([]*gatecast.Source{s, yard, other}, node.Sources()); diff != "" {
			t.Error(diff)
		}
		if got, ok := node.SourceByToken(auth.HashToken(yard.Token)); !ok || !cmp.Equal(yard, got) {
			t.Error(ok, cmp.Diff(yard, got))
		}
		for _, token := range []string{"", "x", strings.ToUpper(yard.Token)} {
			if got, ok := node.SourceByToken(auth.HashToken(token)); ok {
				t.Errorf("the token %q is that of %s", token, got.Name)
			}
		}
	}
}

func testAddSourceInvalid(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	for path, change := range map[string]func(*gatecast.SourceSpec){
		"/name":       func(s *gatecast.SourceSpec) { s.Name = "a.b" },
		"/kind":       func(s *gatecast.SourceSpec) { s.Settings.Kind = "mqtt" },
		"/url":        func(s *gatecast.SourceSpec) { s.Settings.URL = "" },
		"/app_secret": func(s *gatecast.SourceSpec) { s.Settings.AppSecret += " " },
		"/rest/every": func(s *gatecast.SourceSpec) { s.Settings.REST.Every = 1 },
	} {
		spec := gatecast.SourceSpec{Name: "office", Settings: followed()}
		change(&spec)
		_, err := r.CreateSource(t.Context(), spec)
		wantCode(t, err, gatecast.Invalid, path)
		var e *gatecast.Error
		if errors.As(err, &e); strings.Contains(fmt.Sprintf("%v %+v", err, e.At), "of-the-north") {
			t.Errorf("the error repeats the secret: %v %+v", err, e.At)
		}
	}
	if got := r.Sources(); len(got) != 0 {
		t.Errorf("refused ones are there: %+v", got)
	}
}

func testSourceNames(t *testing.T, c cluster) {
	nodes := []*Registry{c.node(t, Options{}), c.node(t, Options{})}
	for range 3 {
		errs := make([]error, 2)
		var group sync.WaitGroup
		for i, node := range nodes {
			group.Go(func() {
				_, errs[i] = node.CreateSource(t.Context(), gatecast.SourceSpec{Name: "office", Settings: followed()})
			})
		}
		group.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("of two nodes at the same moment: %v, %v", errs[0], errs[1])
		}
		wantCode(t, errors.Join(errs...), gatecast.Conflict, "/name")
		if err := nodes[0].DeleteSource(t.Context(), "office"); err != nil {
			t.Fatal(err)
		}
	}
}

func testSourceOrder(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	for _, name := range []string{"b", "a-2", "a", "c"} {
		addSource(t, r, name, followed())
	}
	var got []string
	for _, s := range r.Sources() {
		got = append(got, s.Name)
	}
	if diff := cmp.Diff([]string{"a", "a-2", "b", "c"}, got); diff != "" {
		t.Error(diff)
	}
}

func testConcurrentSourceUpdates(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	s := addSource(t, r, "office", followed())
	changes := []func(*gatecast.SourceSettings){
		func(s *gatecast.SourceSettings) { s.Company = 7 },
		func(s *gatecast.SourceSettings) { s.AppSecret = "another" },
		func(s *gatecast.SourceSettings) { s.REST.URL = "http://10.1.2.3:9000" },
		func(s *gatecast.SourceSettings) { s.REST.Every = time.Minute },
		func(s *gatecast.SourceSettings) { s.Description = "the office" },
	}
	var group sync.WaitGroup
	for i, change := range changes {
		node := []*Registry{r, other}[i%2]
		group.Go(func() {
			_, err := node.UpdateSource(t.Context(), s.Name, func(s *gatecast.SourceSettings) error { change(s); return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := *s
	for _, change := range changes {
		change(&want.Settings)
	}
	for _, node := range []*Registry{r, other} {
		eventually(t, "all updates seen", func() bool { got, _ := node.Source(s.Name); return cmp.Equal(&want, got) })
	}
	if s.Settings.Company != 0 {
		t.Error("an update changed what was handed out before")
	}
}

func testRefusedSourceUpdate(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	s := addSource(t, r, "office", followed())
	no := errors.New("no")
	for path, change := range map[string]func(*gatecast.SourceSettings) error{
		"/url":    func(s *gatecast.SourceSettings) error { s.Kind = gatecast.SourceSubscription; return nil },
		"/kind":   func(s *gatecast.SourceSettings) error { s.Kind = "mqtt"; return nil },
		"by hand": func(s *gatecast.SourceSettings) error { s.Company = 5; return no },
	} {
		_, err := r.UpdateSource(t.Context(), s.Name, change)
		if path != "by hand" {
			wantCode(t, err, gatecast.Invalid, path)
		} else if !errors.Is(err, no) {
			t.Errorf("the error of the change became %v", err)
		}
	}
	if got, _ := r.Source(s.Name); !cmp.Equal(s, got) {
		t.Error(cmp.Diff(s, got))
	}
	got, err := r.UpdateSource(t.Context(), s.Name, func(s *gatecast.SourceSettings) error { s.REST = gatecast.SourceREST{}; return nil })
	if err != nil || got.Settings.REST.Every != 5*time.Minute {
		t.Errorf("a setting at zero became %+v, %v", got, err)
	}
}

func testSourceToken(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	first := addSource(t, r, "yard", posted())
	knownSource(t, other, "yard", true)
	update := func(settings gatecast.SourceSettings) *gatecast.Source {
		t.Helper()
		s, err := other.UpdateSource(t.Context(), "yard", func(s *gatecast.SourceSettings) error { *s = settings; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	owner := func(r *Registry, token string) string {
		if s, ok := r.SourceByToken(auth.HashToken(token)); ok {
			return s.Name + " " + s.Settings.Description
		}
		return ""
	}
	described := posted()
	described.Description = "the yard"
	if s := update(described); s.Token != first.Token || owner(other, first.Token) != "yard the yard" {
		t.Errorf("after another change the token is of %q", owner(other, first.Token))
	}
	eventually(t, "the change of the source", func() bool { return owner(r, first.Token) == "yard the yard" })
	if s := update(followed()); s.Token != "" || owner(other, first.Token) != "" {
		t.Errorf("a server that is followed can post: %q", owner(other, first.Token))
	}
	second := update(posted())
	if second.Token == "" || second.Token == first.Token || owner(other, first.Token) != "" || owner(other, second.Token) == "" {
		t.Errorf("the second token is %v the first", second.Token == first.Token)
	}
	eventually(t, "the second token", func() bool { return owner(r, second.Token) != "" && owner(r, first.Token) == "" })
	if err := r.DeleteSource(t.Context(), "yard"); err != nil || owner(r, second.Token) != "" {
		t.Errorf("a deleted source can post: %v", err)
	}
	if again := addSource(t, r, "yard", posted()); again.Token == second.Token {
		t.Error("a new source has the token of a deleted one")
	}
}

func testPauseSource(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	token := addSource(t, r, "yard", posted()).Token
	for _, step := range []struct {
		do   func(context.Context) (*gatecast.Source, error)
		want string
	}{
		{func(ctx context.Context) (*gatecast.Source, error) { return r.PauseSource(ctx, "yard", "two\nlines") }, "two lines"},
		{func(ctx context.Context) (*gatecast.Source, error) { return other.PauseSource(ctx, "yard", "later") }, "two lines"},
		{func(ctx context.Context) (*gatecast.Source, error) { return other.ResumeSource(ctx, "yard") }, ""},
		{func(ctx context.Context) (*gatecast.Source, error) { return r.ResumeSource(ctx, "yard") }, ""},
		{func(ctx context.Context) (*gatecast.Source, error) { return r.PauseSource(ctx, "yard", "") }, "paused by hand"},
	} {
		s, err := step.do(t.Context())
		if err != nil || s.Paused != step.want || s.Token != token {
			t.Errorf("paused: %+v, %v, want %q", s, err, step.want)
		}
		for _, node := range []*Registry{r, other} {
			eventually(t, "the node hears of it", func() bool {
				s, ok := node.SourceByToken(auth.HashToken(token))
				return ok && s.Paused == step.want
			})
		}
	}
}

func testDeleteSource(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	for range 3 {
		addSource(t, r, "office", followed())
		knownSource(t, other, "office", true)
		if err := other.DeleteSource(t.Context(), "office"); err != nil {
			t.Fatal(err)
		}
		if _, ok := other.Source("office"); ok {
			t.Error("the source is still there on the node that deleted it")
		}
		knownSource(t, r, "office", false)
	}
}

func testNoSource(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	for _, name := range []string{"office", "", "*", ">", "a.b", "../x", "push", strings.Repeat("x", 5000)} {
		for what, call := range map[string]func(context.Context) error{
			"update": func(ctx context.Context) error {
				_, err := r.UpdateSource(ctx, name, func(*gatecast.SourceSettings) error { t.Error("called"); return nil })
				return err
			},
			"pause":  func(ctx context.Context) error { _, err := r.PauseSource(ctx, name, ""); return err },
			"resume": func(ctx context.Context) error { _, err := r.ResumeSource(ctx, name); return err },
			"delete": func(ctx context.Context) error { return r.DeleteSource(ctx, name) },
		} {
			err := call(t.Context())
			wantCode(t, err, gatecast.NotFound, "")
			if err == nil || !strings.Contains(err.Error(), "list them with: gatecast source list") || len(err.Error()) > 200 {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
		if _, ok := r.Source(name); ok {
			t.Errorf("%q was found", name)
		}
	}
}

func testSourceChanges(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	addSource(t, r, "early", followed())
	knownSource(t, other, "early", true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // a change that is never told ends the loop
	defer cancel()
	changes := other.SourceChanges(ctx)
	create(t, r, "gate")
	subscribe(t, r, "")
	addSource(t, r, "office", followed())
	steps := []func() error{
		func() error {
			_, err := r.UpdateSource(ctx, "office", func(s *gatecast.SourceSettings) error { s.Company = 1; return nil })
			return err
		},
		func() error { _, err := r.PauseSource(ctx, "office", ""); return err },
		func() error { _, err := r.ResumeSource(ctx, "office"); return err },
		func() error { return r.DeleteSource(ctx, "office") },
		func() error { cancel(); return nil },
	}
	yields := 0
	for got := range changes {
		if got != "office" {
			t.Fatalf("change of %q", got)
		}
		if err := steps[yields](); err != nil {
			t.Fatal(err)
		}
		yields++
	}
	if yields != len(steps) {
		t.Errorf("%d changes were told, want %d", yields, len(steps))
	}
}

func testDamagedSource(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	a, b := addSource(t, r, "aa", posted()), addSource(t, r, "bb", posted())
	e, err := r.store.Get(t.Context(), sourceEntry+a.Name)
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string) {
		t.Helper()
		if e.Rev, err = r.store.Put(t.Context(), e.Key, []byte(value), e.Rev); err != nil {
			t.Fatal(err)
		}
	}
	good := string(e.Value)
	for _, value := range []string{`{`, `{"v":2}`, strings.Replace(good, `"aa"`, `"bb"`, 1)} {
		put(value)
		knownSource(t, r, "aa", false)
		if diff := cmp.Diff([]*gatecast.Source{b}, r.Sources()); diff != "" {
			t.Error(diff)
		}
		if _, ok := r.SourceByToken(auth.HashToken(a.Token)); ok {
			t.Error("a source that cannot be read can post")
		}
		put(good)
		knownSource(t, r, "aa", true)
	}
	put(`{`)
	if _, err := r.PauseSource(t.Context(), "aa", ""); gatecast.CodeOf(err) != gatecast.Internal {
		t.Errorf("a damaged source was changed: %v", err)
	}
	if err := r.DeleteSource(t.Context(), "aa"); err != nil {
		t.Errorf("a damaged source cannot be deleted: %v", err)
	}
}

func testSourceRotation(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var clock atomic.Int64
	r := c.node(t, Options{Now: func() time.Time { return now.Add(time.Duration(clock.Load())) }})
	first := addSource(t, r, "yard", posted()).Token
	good := func(want string) {
		t.Helper()
		for _, token := range strings.Fields(want) {
			token, out := strings.CutSuffix(token, "-")
			if _, ok := r.SourceByToken(auth.HashToken(token)); ok == out {
				t.Errorf("token %.8s is good: %v", token, ok)
			}
		}
	}
	rotate := func(overlap time.Duration) string {
		t.Helper()
		s, err := r.RotateSource(t.Context(), "yard", overlap)
		if err != nil {
			t.Fatal(err)
		}
		return s.Token
	}
	second := rotate(time.Hour)
	good(first + " " + second)
	clock.Store(int64(time.Hour - 1))
	good(first + " " + second)
	clock.Store(int64(time.Hour))
	good(first + "- " + second)
	third := rotate(time.Hour)
	fourth := rotate(time.Minute)
	good(first + "- " + second + "- " + third + " " + fourth)
	fifth := rotate(0)
	good(third + "- " + fourth + "- " + fifth)
	sixth := rotate(time.Hour)
	if _, err := r.UpdateSource(t.Context(), "yard", func(s *gatecast.SourceSettings) error { *s = followed(); return nil }); err != nil {
		t.Fatal(err)
	}
	good(fifth + "- " + sixth + "-")
	_, err := r.RotateSource(t.Context(), "yard", time.Hour)
	wantCode(t, err, gatecast.Conflict, "")
	_, err = r.RotateSource(t.Context(), "yard", -1)
	wantCode(t, err, gatecast.Invalid, "/overlap")
	_, err = r.RotateSource(t.Context(), "none", 0)
	wantCode(t, err, gatecast.NotFound, "")
}

func testSourceLimit(t *testing.T, c cluster) {
	r := c.node(t, Options{MaxSources: 1})
	addSource(t, r, "office", followed())
	_, err := r.CreateSource(t.Context(), gatecast.SourceSpec{Name: "yard", Settings: followed()})
	wantCode(t, err, gatecast.Conflict, "")
	if err := r.DeleteSource(t.Context(), "office"); err != nil {
		t.Fatal(err)
	}
	addSource(t, r, "yard", followed())
}

func testSourceAndApp(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	app := create(t, r, "gate")
	addSource(t, r, "gate", followed())
	if err := r.DeleteSource(t.Context(), "gate"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*gatecast.App{app}, r.Apps(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	_, err := r.CreateApp(t.Context(), gatecast.AppSpec{Name: "gate"})
	wantCode(t, err, gatecast.Conflict, "/name")
}
