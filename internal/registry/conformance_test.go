package registry

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster opens nodes that share one store.
type cluster struct {
	node func(t *testing.T, o Options) *Registry
}

// The suite below holds for both: each of its tests gets a cluster of its own.
func TestMem(t *testing.T) { runSuite(t, memCluster) }

func memCluster(*testing.T) cluster {
	st, seal := &bucket.Mem{}, newSealer(newKey())
	return cluster{func(t *testing.T, o Options) *Registry {
		r := openMem(st, seal, o)
		t.Cleanup(r.Close)
		return r
	}}
}

func runSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ACreatedAppIsSeenAtOnce":             testCreate,
		"AnImportedAppKeepsItsKeyAndSecret":   testImport,
		"ARefusalNamesTheField":               testInvalid,
		"ANameBelongsToOneApp":                testNames,
		"OfTwoNodesOneGetsTheName":            testNameRace,
		"AnAbandonedReservationIsTakenOver":   testAbandonedName,
		"PatchesAtTheSameMomentAllTakeEffect": testConcurrentPatches,
		"ARotationKeepsTwoSecretsForAWhile":   testRotate,
		"ADeletedAppIsGoneEverywhere":         testDelete,
		"ChangesReachEveryNode":               testChanges,
		"SecretsAreEncryptedAtRest":           testEncrypted,
		"TokensWorkOnEveryNodeUntilDeleted":   testTokens,
		"TheLastAdminTokenStays":              testLastAdmin,
		"LimitsAreHeld":                       testLimits,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// eventually waits for what another node learns by itself.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

func create(t *testing.T, r *Registry, name string) *gatecast.App {
	t.Helper()
	a, err := r.CreateApp(t.Context(), gatecast.AppSpec{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantCode(t *testing.T, err error, code gatecast.Code, path string) {
	t.Helper()
	if gatecast.CodeOf(err) != code || err == nil {
		t.Errorf("error %v has code %v, want %v", err, gatecast.CodeOf(err), code)
		return
	}
	var e *gatecast.Error
	errors.As(err, &e)
	if e.Remedy == "" && code != gatecast.NotFound {
		t.Errorf("error %v names no remedy", err)
	}
	if got := place(e); got != path {
		t.Errorf("error %v points to %q, want %q", err, got, path)
	}
}

func place(e *gatecast.Error) string {
	if e.At == nil {
		return ""
	}
	return e.At.Path
}

func testCreate(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	r := c.node(t, Options{Now: func() time.Time { return now }})
	a, err := r.CreateApp(t.Context(), gatecast.AppSpec{
		Name: "Turnstile 門", MaxConns: 3, Kinds: []gatecast.Kind{gatecast.Alarm, gatecast.Record},
	})
	if err != nil {
		t.Fatal(err)
	}
	stored := time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC)
	want := &gatecast.App{
		Name: "Turnstile 門", Enabled: true, MaxConns: 3, Window: gatecast.DefaultWindow,
		Kinds: []gatecast.Kind{gatecast.Record, gatecast.Alarm}, Created: stored,
		CatchUp: gatecast.CatchUp{Window: gatecast.DefaultLookback, First: gatecast.FirstLatest, Cursors: gatecast.CursorByApp},
		Secrets: []gatecast.Secret{{Created: stored}},
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(gatecast.App{}, "Key"), cmpopts.IgnoreFields(gatecast.Secret{}, "Value")}
	if diff := cmp.Diff(want, a, ignore); diff != "" {
		t.Error(diff)
	}
	if !gatecast.ValidAppKey(a.Key) || len(a.Secrets[0].Value) != 32 {
		t.Errorf("key %q, secret %q", a.Key, a.Secrets[0].Value)
	}
	got, ok := r.App(a.Key)
	if diff := cmp.Diff(a, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	secret, err := r.RevealSecret(t.Context(), a.Key)
	if secret != a.Secrets[0].Value || err != nil {
		t.Errorf("revealed %q, %v", secret, err)
	}
	other := c.node(t, Options{Now: func() time.Time { return now }})
	if diff := cmp.Diff([]*gatecast.App{a}, other.Apps()); diff != "" {
		t.Errorf("another node: %s", diff)
	}
	if _, ok := r.App("0000000000000000"); ok {
		t.Error("an unknown key was found")
	}
}

func testImport(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	spec := gatecast.AppSpec{
		Name: "old", Key: "00112233445566ff", Secret: "e30af86f8f4e75d128ba4288597dea3c", Window: gatecast.WindowOff,
	}
	a, err := r.CreateApp(t.Context(), spec)
	if err != nil || a.Key != spec.Key || a.Secrets[0].Value != spec.Secret || a.Window != gatecast.WindowOff {
		t.Fatalf("app = %+v, %v", a, err)
	}
	_, err = r.CreateApp(t.Context(), spec)
	wantCode(t, err, gatecast.Conflict, "/app_key")
	spec.Name = "new"
	_, err = r.CreateApp(t.Context(), spec)
	wantCode(t, err, gatecast.Conflict, "/app_key")
}

func testInvalid(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	secret := "e30af86f8f4e75d128ba4288597dea3c"
	for path, specs := range map[string][]gatecast.AppSpec{
		"/name": {
			{},
			{Name: " x"},
			{Name: "a\nb"},
			{Name: "a\xffb"},
			{Name: string(bytes.Repeat([]byte("x"), 101))},
		},
		"/max_connections":  {{Name: "x", MaxConns: -1}, {Name: "x", MaxConns: gatecast.MaxAppConns + 1}},
		"/timestamp_window": {{Name: "x", Window: -2}},
		"/kinds/0":          {{Name: "x", Kinds: []gatecast.Kind{1}}},
		"/kinds/1":          {{Name: "x", Kinds: []gatecast.Kind{gatecast.Alarm, gatecast.Alarm}}},
		"/catch_up":         {{Name: "x", CatchUp: gatecast.CatchUp{Window: -3}}},
		"/first_connection": {{Name: "x", CatchUp: gatecast.CatchUp{First: "middle"}}},
		"/cursors":          {{Name: "x", CatchUp: gatecast.CatchUp{Cursors: "port"}}},
		"/app_key": {
			{Name: "x", Secret: secret},
			{Name: "x", Key: "00112233445566FF", Secret: secret},
			{Name: "x", Key: "00112233445566f", Secret: secret},
		},
		"/app_secret": {
			{Name: "x", Key: "00112233445566ff"},
			{Name: "x", Key: "00112233445566ff", Secret: "short"},
			{Name: "x", Key: "00112233445566ff", Secret: secret + "#"},
		},
	} {
		for _, spec := range specs {
			_, err := r.CreateApp(t.Context(), spec)
			wantCode(t, err, gatecast.Invalid, path)
		}
	}
	a := create(t, r, "x")
	for path, patch := range map[string]gatecast.AppPatch{
		"/name":             {Name: new("")},
		"/max_connections":  {MaxConns: new(-1)},
		"/timestamp_window": {Window: new(gatecast.Window(0))},
		"/kinds/0":          {Kinds: &[]gatecast.Kind{7}},
		"/catch_up":         {Lookback: new(gatecast.Lookback(0))},
		"/first_connection": {First: new(gatecast.First(""))},
		"/cursors":          {Cursors: new(gatecast.CursorBy(""))},
	} {
		_, err := r.UpdateApp(t.Context(), a.Key, patch)
		wantCode(t, err, gatecast.Invalid, path)
	}
	_, err := r.RotateApp(t.Context(), a.Key, -time.Second)
	wantCode(t, err, gatecast.Invalid, "/overlap")
	_, err = r.RotateApp(t.Context(), a.Key, 91*24*time.Hour)
	wantCode(t, err, gatecast.Invalid, "/overlap")
	if got, _ := r.App(a.Key); cmp.Diff(a, got) != "" {
		t.Errorf("refused changes left a trace: %s", cmp.Diff(a, got))
	}
	for _, key := range []string{"0000000000000000", "", "name.app.x", "../x", "*", ">"} {
		_, err := r.UpdateApp(t.Context(), key, gatecast.AppPatch{})
		wantCode(t, err, gatecast.NotFound, "")
		_, err = r.RotateApp(t.Context(), key, 0)
		wantCode(t, err, gatecast.NotFound, "")
		_, err = r.RevealSecret(t.Context(), key)
		wantCode(t, err, gatecast.NotFound, "")
		wantCode(t, r.DeleteApp(t.Context(), key), gatecast.NotFound, "")
		wantCode(t, r.DeleteToken(t.Context(), key), gatecast.NotFound, "")
	}
}

func testNames(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	a := create(t, r, "gate")
	_, err := other.CreateApp(t.Context(), gatecast.AppSpec{Name: "gate"})
	wantCode(t, err, gatecast.Conflict, "/name")
	b := create(t, other, "door")
	_, err = other.UpdateApp(t.Context(), b.Key, gatecast.AppPatch{Name: new("gate"), MaxConns: new(5)})
	wantCode(t, err, gatecast.Conflict, "/name")
	if got, _ := other.App(b.Key); got.Name != "door" || got.MaxConns != 0 {
		t.Errorf("a refused rename left %+v", got)
	}
	for _, name := range []string{"gate", "portal", "gate", "portal"} { // to itself, away, back, away
		if _, err := r.UpdateApp(t.Context(), a.Key, gatecast.AppPatch{Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := other.UpdateApp(t.Context(), b.Key, gatecast.AppPatch{Name: new("gate")}); err != nil || got.Name != "gate" {
		t.Errorf("the freed name: %+v, %v", got, err)
	}
	if _, _, err := r.CreateToken(t.Context(), "gate", []auth.Scope{auth.Read}); err != nil {
		t.Errorf("a token with the name of an app: %v", err)
	}
	_, _, err = other.CreateToken(t.Context(), "gate", []auth.Scope{auth.Read})
	wantCode(t, err, gatecast.Conflict, "/name")
}

func testNameRace(t *testing.T, c cluster) {
	nodes := []*Registry{c.node(t, Options{}), c.node(t, Options{}), c.node(t, Options{})}
	for round := range 20 {
		name := "race " + strconv.Itoa(round)
		errs := make([]error, len(nodes))
		var group sync.WaitGroup
		for i, r := range nodes {
			group.Go(func() { _, errs[i] = r.CreateApp(t.Context(), gatecast.AppSpec{Name: name}) })
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if gatecast.CodeOf(err) != gatecast.Conflict {
				t.Errorf("lost with %v", err)
			}
		}
		apps := 0
		for _, a := range c.node(t, Options{}).Apps() {
			if a.Name == name {
				apps++
			}
		}
		if won != 1 || apps != 1 {
			t.Errorf("%d nodes won, %d apps have the name", won, apps)
		}
	}
}

func testAbandonedName(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	if err := r.reserve(t.Context(), appEntry+"ffffffffffffffff", "gate"); err != nil {
		t.Fatal(err)
	}
	a := create(t, r, "gate")
	err := r.confirm(t.Context(), appEntry+"ffffffffffffffff", "gate")
	wantCode(t, err, gatecast.Conflict, "/name")
	if err := r.confirm(t.Context(), appEntry+a.Key, "gate"); err != nil {
		t.Error(err)
	}
}

func testConcurrentPatches(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	a := create(t, r, "gate")
	patches := []gatecast.AppPatch{
		{MaxConns: new(7)},
		{Enabled: new(false)},
		{Window: new(gatecast.WindowOff)},
		{Kinds: &[]gatecast.Kind{gatecast.Alarm}},
		{Name: new("portal")},
	}
	var group sync.WaitGroup
	for i, patch := range patches {
		node := []*Registry{r, other}[i%2]
		group.Go(func() {
			if _, err := node.UpdateApp(t.Context(), a.Key, patch); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := *a
	for _, patch := range patches {
		patch.Apply(&want)
	}
	for _, node := range []*Registry{r, other} {
		eventually(t, "all patches seen", func() bool {
			got, _ := node.App(a.Key)
			return cmp.Equal(&want, got)
		})
	}
}

func testRotate(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := c.node(t, Options{Now: func() time.Time { return now }})
	a := create(t, r, "gate")
	first := a.Secrets[0].Value
	a, err := r.RotateApp(t.Context(), a.Key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second := a.Secrets[0].Value
	if len(a.Secrets) != 2 || a.Secrets[1].Value != first || second == first || !a.Secrets[1].Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("after the first rotation: %+v", a.Secrets)
	}
	now = now.Add(time.Hour - time.Millisecond)
	if got, _ := r.App(a.Key); len(got.Secrets) != 2 {
		t.Errorf("within the overlap: %+v", got.Secrets)
	}
	now = now.Add(time.Millisecond)
	if got, _ := r.App(a.Key); len(got.Secrets) != 1 || got.Secrets[0].Value != second {
		t.Errorf("after the overlap: %+v", got.Secrets)
	}
	if got := r.Apps()[0]; len(got.Secrets) != 1 {
		t.Errorf("after the overlap, listed: %+v", got.Secrets)
	}
	for range 2 { // the second of these must drop the one still expiring
		if a, err = r.RotateApp(t.Context(), a.Key, time.Hour); err != nil || len(a.Secrets) != 2 {
			t.Fatalf("secrets %+v, %v", a.Secrets, err)
		}
	}
	if a.Secrets[1].Value == second {
		t.Error("the secret before the last survived a second rotation")
	}
	if a, err = r.RotateApp(t.Context(), a.Key, 0); err != nil || len(a.Secrets) != 1 {
		t.Errorf("without overlap: %+v, %v", a.Secrets, err)
	}
}

func testDelete(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	spec := gatecast.AppSpec{Name: "gate", Key: "00112233445566ff", Secret: "e30af86f8f4e75d128ba4288597dea3c"}
	for range 3 {
		if _, err := r.CreateApp(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the app reaches the other node", func() bool { _, ok := other.App(spec.Key); return ok })
		if err := other.DeleteApp(t.Context(), spec.Key); err != nil {
			t.Fatal(err)
		}
		if _, ok := other.App(spec.Key); ok {
			t.Error("the app is still there on the node that deleted it")
		}
		eventually(t, "the app is gone on the other node", func() bool { _, ok := r.App(spec.Key); return !ok })
	}
}

func testChanges(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	early := create(t, r, "before")
	eventually(t, "the app reaches the other node", func() bool { _, ok := other.App(early.Key); return ok })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := other.Changes(ctx)
	a := create(t, r, "gate")
	steps := []func() error{
		func() error {
			_, err := r.UpdateApp(ctx, a.Key, gatecast.AppPatch{Enabled: new(false)})
			return err
		},
		func() error { _, err := r.RotateApp(ctx, a.Key, 0); return err },
		func() error { return r.DeleteApp(ctx, a.Key) },
		func() error { cancel(); return nil },
	}
	yields := 0
	for key := range changes {
		yields++
		if key != a.Key {
			t.Fatalf("change of %q", key)
		}
		if err := steps[0](); err != nil { // the next change only when this one was told
			t.Fatal(err)
		}
		steps = steps[1:]
	}
	if yields != 4 {
		t.Errorf("%d changes were told, want 4", yields)
	}
	for key := range changes {
		t.Errorf("an ended sequence yields %q", key)
	}
	closing := other.Changes(t.Context())
	other.Close()
	for key := range closing {
		t.Errorf("a closed registry yields %q", key)
	}
}

func testEncrypted(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	a, b := create(t, r, "a"), create(t, r, "b")
	_, plain, err := r.CreateToken(t.Context(), "t", []auth.Scope{auth.Ingest})
	if err != nil {
		t.Fatal(err)
	}
	entries := buckettest.Entries(t, r.store)
	for _, e := range entries {
		for _, secret := range []string{a.Secrets[0].Value, b.Secrets[0].Value, plain} {
			if bytes.Contains(e.Value, []byte(secret)) {
				t.Errorf("%s holds a secret in the clear", e.Key)
			}
		}
	}
	if len(entries) < 6 {
		t.Errorf("only %d entries were looked at", len(entries))
	}
	// A sealed secret that is moved to another app must not open there.
	box := r.seal.seal(appSecret(a.Key), []byte("x"))
	if _, err := r.seal.open(appSecret(b.Key), box); err == nil {
		t.Error("a secret opened under another app's key")
	}
	if got, err := r.seal.open(appSecret(a.Key), box); string(got) != "x" || err != nil {
		t.Errorf("a secret did not open: %q, %v", got, err)
	}
}

func testTokens(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	tok, plain, err := r.CreateToken(t.Context(), "doors", []auth.Scope{auth.Read, auth.Ingest})
	if err != nil {
		t.Fatal(err)
	}
	want := auth.Principal{ID: tok.ID, Name: "doors", Scopes: []auth.Scope{auth.Ingest, auth.Read}}
	got, err := r.PrincipalByTokenHash(t.Context(), auth.HashToken(plain))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	known := func(r *Registry) bool {
		_, err := r.PrincipalByTokenHash(t.Context(), auth.HashToken(plain))
		return err == nil
	}
	eventually(t, "the token works on the other node", func() bool { return known(other) })
	if diff := cmp.Diff([]auth.Token{tok}, other.Tokens()); diff != "" {
		t.Error(diff)
	}
	if err := other.DeleteToken(t.Context(), tok.ID); err != nil {
		t.Fatal(err)
	}
	if known(other) {
		t.Error("a deleted token still works")
	}
	eventually(t, "the token is gone on the first node", func() bool { return !known(r) })
	_, err = r.PrincipalByTokenHash(t.Context(), auth.HashToken(plain))
	wantCode(t, err, gatecast.NotFound, "")
	for path, scopes := range map[string][]auth.Scope{
		"/scopes": nil, "/scopes/0": {"root"}, "/scopes/1": {auth.Read, auth.Read},
	} {
		_, _, err := r.CreateToken(t.Context(), "x", scopes)
		wantCode(t, err, gatecast.Invalid, path)
	}
	_, _, err = r.CreateToken(t.Context(), "", []auth.Scope{auth.Read})
	wantCode(t, err, gatecast.Invalid, "/name")
}

func testLastAdmin(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	first, _, err := r.CreateToken(t.Context(), "first", []auth.Scope{auth.Admin})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.DeleteToken(t.Context(), first.ID), gatecast.Conflict, "")
	if _, _, err := r.CreateToken(t.Context(), "second", []auth.Scope{auth.Admin}); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteToken(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
}

func testLimits(t *testing.T, c cluster) {
	r := c.node(t, Options{MaxApps: 1, MaxTokens: 1})
	a := create(t, r, "a")
	_, err := r.CreateApp(t.Context(), gatecast.AppSpec{Name: "b"})
	wantCode(t, err, gatecast.Conflict, "")
	if err := r.DeleteApp(t.Context(), a.Key); err != nil {
		t.Fatal(err)
	}
	create(t, r, "b")
	if _, _, err := r.CreateToken(t.Context(), "a", []auth.Scope{auth.Read}); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.CreateToken(t.Context(), "b", []auth.Scope{auth.Read})
	wantCode(t, err, gatecast.Conflict, "")
}
