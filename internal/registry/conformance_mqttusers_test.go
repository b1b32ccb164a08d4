package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/google/go-cmp/cmp"
)

// The suite below holds for both, like that about apps.
func TestMQTTUsersInMem(t *testing.T) { runMQTTUserSuite(t, memCluster) }

func TestMQTTUsersInJetStream(t *testing.T) { runMQTTUserSuite(t, jetStreamCluster) }

func runMQTTUserSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ACreatedUserIsSeenAtOnce":              testAddMQTTUser,
		"ARefusalNamesTheField":                 testAddMQTTUserInvalid,
		"ANameBelongsToOneUser":                 testMQTTUserNames,
		"AnotherPasswordEndsTheFormer":          testRotateMQTTUser,
		"ADeletedUserIsGoneEverywhere":          testDeleteMQTTUser,
		"WhatIsNotThereIsToldWithItsRemedy":     testNoMQTTUser,
		"ADamagedEntryLeavesTheOthersAlone":     testDamagedMQTTUser,
		"TheLimitIsHeld":                        testMQTTUserLimit,
		"AUserAndAnAppOfOneNameLeaveOneAnother": testMQTTUserAndApp,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func addMQTTUser(t *testing.T, r *Registry, name string, devices ...string) (*gatecast.MQTTUser, string) {
	t.Helper()
	u, password, err := r.CreateMQTTUser(t.Context(), gatecast.MQTTUserSpec{Name: name, Devices: devices})
	if err != nil {
		t.Fatal(err)
	}
	return u, password
}

// knownMQTTUser waits until a node has a user as it should be; nil: not at all.
func knownMQTTUser(t *testing.T, r *Registry, name string, want *gatecast.MQTTUser) {
	t.Helper()
	eventually(t, fmt.Sprintf("user %s is %+v", name, want), func() bool { u, _ := r.MQTTUser(name); return cmp.Equal(want, u) })
}

func testAddMQTTUser(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	r := c.node(t, Options{Now: func() time.Time { return now }})
	devices := []string{"SPS-2", "SPS-*"}
	u, password := addMQTTUser(t, r, "yard", devices...)
	devices[0] = "changed by its owner"
	at := time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC)
	want := &gatecast.MQTTUser{Name: "yard", Devices: []string{"SPS-2", "SPS-*"}, Password: auth.HashToken(password), Created: at, Rotated: at}
	if diff := cmp.Diff(want, u); diff != "" || len(password) != 32 {
		t.Errorf("password of %d characters, %s", len(password), diff)
	}
	other, second := addMQTTUser(t, r, "Yard", "*")
	if second == password {
		t.Error("two users have one password")
	}
	for _, node := range []*Registry{r, c.node(t, Options{})} {
		knownMQTTUser(t, node, "yard", u)
		if diff := cmp.Diff([]*gatecast.MQTTUser{other, u}, node.MQTTUsers()); diff != "" {
			t.Error(diff)
		}
	}
	e, err := r.store.Get(t.Context(), mqttUserEntry+"yard")
	if err != nil || !json.Valid(e.Value) || strings.Contains(string(e.Value), password) {
		t.Errorf("in the store lies %s, %v", e.Value, err)
	}
}

func testAddMQTTUserInvalid(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	u, _ := addMQTTUser(t, r, "yard", "a")
	_, _, err := r.CreateMQTTUser(t.Context(), gatecast.MQTTUserSpec{Name: "a.b", Devices: []string{"a"}})
	wantCode(t, err, gatecast.Invalid, "/name")
	_, err = r.SetMQTTDevices(t.Context(), "yard", []string{"a", "a"})
	wantCode(t, err, gatecast.Invalid, "/devices/1")
	if diff := cmp.Diff([]*gatecast.MQTTUser{u}, r.MQTTUsers()); diff != "" {
		t.Error(diff)
	}
}

func testMQTTUserNames(t *testing.T, c cluster) {
	nodes := []*Registry{c.node(t, Options{}), c.node(t, Options{})}
	errs := make([]error, 2)
	var group sync.WaitGroup
	for i, node := range nodes {
		group.Go(func() {
			_, _, errs[i] = node.CreateMQTTUser(t.Context(), gatecast.MQTTUserSpec{Name: "yard", Devices: []string{"a"}})
		})
	}
	group.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("of two nodes at the same moment: %v, %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			wantCode(t, err, gatecast.Conflict, "/name")
		}
	}
}

func testRotateMQTTUser(t *testing.T, c cluster) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r, other := c.node(t, Options{Now: func() time.Time { return now }}), c.node(t, Options{})
	first, password := addMQTTUser(t, r, "yard", "a")
	knownMQTTUser(t, other, "yard", first)
	now = now.Add(time.Hour)
	second, again, err := r.RotateMQTTUser(t.Context(), "yard")
	want := &gatecast.MQTTUser{Name: "yard", Devices: first.Devices, Password: auth.HashToken(again), Created: first.Created, Rotated: now}
	if diff := cmp.Diff(want, second); diff != "" || err != nil || again == password {
		t.Errorf("%v, %s", err, diff)
	}
	third, err := r.SetMQTTDevices(t.Context(), "yard", []string{"b", "c"})
	want.Devices = []string{"b", "c"}
	if diff := cmp.Diff(want, third); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if first.Devices[0] != "a" || first.Password != auth.HashToken(password) {
		t.Error("a change changed what was handed out before")
	}
	knownMQTTUser(t, other, "yard", want)
}

func testDeleteMQTTUser(t *testing.T, c cluster) {
	r, other := c.node(t, Options{}), c.node(t, Options{})
	for range 3 {
		u, _ := addMQTTUser(t, r, "yard", "a")
		knownMQTTUser(t, other, "yard", u)
		if err := other.DeleteMQTTUser(t.Context(), "yard"); err != nil {
			t.Fatal(err)
		}
		if _, ok := other.MQTTUser("yard"); ok {
			t.Error("the user is still there on the node that deleted it")
		}
		knownMQTTUser(t, r, "yard", nil)
	}
}

func testNoMQTTUser(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	for _, name := range []string{"yard", "", "*", ">", "a.b", "../x", strings.Repeat("x", 5000)} {
		for what, call := range map[string]func(context.Context) error{
			"devices": func(ctx context.Context) error { _, err := r.SetMQTTDevices(ctx, name, []string{"a"}); return err },
			"rotate":  func(ctx context.Context) error { _, _, err := r.RotateMQTTUser(ctx, name); return err },
			"delete":  func(ctx context.Context) error { return r.DeleteMQTTUser(ctx, name) },
		} {
			err := call(t.Context())
			wantCode(t, err, gatecast.NotFound, "")
			if err == nil || !strings.Contains(err.Error(), "list them with: gatecast mqtt user list") || len(err.Error()) > 200 {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func testDamagedMQTTUser(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	a, _ := addMQTTUser(t, r, "aa", "d")
	b, _ := addMQTTUser(t, r, "bb", "d")
	e, err := r.store.Get(t.Context(), mqttUserEntry+a.Name)
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
	for _, value := range []string{
		`{`, `{"v":2}`, strings.Replace(good, `"aa"`, `"bb"`, 1), strings.Replace(good, `"sha256":"`, `"sha256":"0`, 1), strings.Replace(good, `["d"]`, `[]`, 1),
	} {
		put(value)
		knownMQTTUser(t, r, "aa", nil)
		if diff := cmp.Diff([]*gatecast.MQTTUser{b}, r.MQTTUsers()); diff != "" {
			t.Error(diff)
		}
		put(good)
		knownMQTTUser(t, r, "aa", a)
	}
	put(`{`)
	if _, _, err := r.RotateMQTTUser(t.Context(), "aa"); gatecast.CodeOf(err) != gatecast.Internal {
		t.Errorf("a damaged user was changed: %v", err)
	}
	if err := r.DeleteMQTTUser(t.Context(), "aa"); err != nil {
		t.Errorf("a damaged user cannot be deleted: %v", err)
	}
}

func testMQTTUserLimit(t *testing.T, c cluster) {
	r := c.node(t, Options{MaxMQTTUsers: 1})
	addMQTTUser(t, r, "yard", "a")
	_, _, err := r.CreateMQTTUser(t.Context(), gatecast.MQTTUserSpec{Name: "gate", Devices: []string{"a"}})
	wantCode(t, err, gatecast.Conflict, "")
	if err := r.DeleteMQTTUser(t.Context(), "yard"); err != nil {
		t.Fatal(err)
	}
	addMQTTUser(t, r, "gate", "a")
}

func testMQTTUserAndApp(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	create(t, r, "gate")
	addSource(t, r, "gate", followed())
	addMQTTUser(t, r, "gate", "a")
	if err := r.DeleteMQTTUser(t.Context(), "gate"); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Source("gate"); !ok || len(r.Apps()) != 1 {
		t.Error("what has the same name is gone too")
	}
}

func TestEverythingOfAUserForMQTTSurvivesTheStore(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	want := &gatecast.MQTTUser{Name: "gate", Devices: []string{"東門", "a*"}, Password: [32]byte{1, 31: 2}, Created: at, Rotated: at.Add(time.Hour)}
	if z := zeroes(reflect.ValueOf(struct {
		Name    string
		Devices []string
		Created time.Time
		Rotated time.Time
	}{want.Name, want.Devices, want.Created, want.Rotated}), ""); len(z) != 0 || reflect.TypeFor[gatecast.MQTTUser]().NumField() != 5 {
		t.Errorf("fields at zero, or not in this test: %v", z)
	}
	value, err := encodeMQTTUser(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeMQTTUser(value)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}
