package registry

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

// fullSettings has no field at zero, but for those that exclude others.
func fullSettings() gatecast.SubscriptionSettings {
	return gatecast.SubscriptionSettings{
		URL: "https://host.example/events?door=1", Description: "the 門 in the north",
		Filter:      gatecast.Filter{Kinds: []gatecast.Kind{gatecast.Record, gatecast.Notice}, Devices: []string{"d1"}, Groups: []int64{-1, 1 << 60}},
		Traits:      gatecast.TraitFilter{UserTypes: []int{1}, AbnormalTypes: []int{2}, AlarmCodes: []int{3}, AlarmLevels: []int{4}},
		Order:       gatecast.OrderStrict,
		Concurrency: 3, Rate: 4, CatchUpRate: 5, Timeout: 1500*time.Millisecond + 1, Success: gatecast.SuccessAny,
		Headers:   map[string]string{"X-Tenant": "tenant-of-the-north"},
		Auth:      gatecast.ReceiverAuth{Username: "user-of-the-north", Password: "password-of-the-north"},
		EventType: gatecast.EventTypeString, OwnFields: true, MarkReplay: true, Ed25519: true,
		Batch: gatecast.Batch{Max: 6, Wait: 7 * time.Second},
	}
}

func fullSubscription() *gatecast.Subscription {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	return &gatecast.Subscription{
		ID: "sub_00112233445566ff", App: "ff66554433221100", Settings: fullSettings(),
		Secrets: []gatecast.Secret{{Value: "whsec_new", Created: at}, {Value: "whsec_old", Created: at, Expires: at.Add(time.Hour)}},
		Keys:    []gatecast.Secret{{Value: "whsk_new", Created: at}, {Value: "whsk_old", Created: at, Expires: at.Add(time.Hour)}},
		After:   8, Epoch: "e", Paused: "p", Created: at,
	}
}

// zeroes names the fields of v that are zero, which the test that uses v would
// not notice the loss of.
func zeroes(v reflect.Value, path string) (names []string) {
	if v.IsZero() {
		return []string{path}
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range v.NumField() {
		names = append(names, zeroes(v.Field(i), path+"."+v.Type().Field(i).Name)...)
	}
	return names
}

func TestEverythingOfASubscriptionSurvivesTheStore(t *testing.T) {
	seal := newSealer(newKey())
	basic, bearer := fullSubscription(), fullSubscription()
	bearer.Settings.Auth = gatecast.ReceiverAuth{Bearer: "bearer-of-the-north"}
	if diff := cmp.Diff([]string{".Settings.Auth.Bearer"}, zeroes(reflect.ValueOf(*basic), "")); diff != "" {
		t.Errorf("fields at zero: %s", diff)
	}
	for _, want := range []*gatecast.Subscription{basic, bearer} {
		value, err := encodeSubscription(want, seal)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeSubscription(value, seal)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestASubscriptionsRecordThatIsNotAsWrittenIsNotRead(t *testing.T) {
	seal := newSealer(newKey())
	at := func(rec map[string]any, path ...string) map[string]any {
		for _, name := range path {
			rec = rec[name].(map[string]any)
		}
		return rec
	}
	for name, change := range map[string]func(map[string]any){
		"of a later version":      func(rec map[string]any) { rec["v"] = 2 },
		"of another subscription": func(rec map[string]any) { rec["id"] = "sub_ff66554433221100" },
		"with no id":              func(rec map[string]any) { rec["id"] = "00112233445566ff" },
		"without secrets":         func(rec map[string]any) { rec["secrets"] = nil },
		"without keys":            func(rec map[string]any) { rec["keys"] = nil },
		"with keys for secrets":   func(rec map[string]any) { rec["secrets"] = rec["keys"] },
		"with secrets for keys":   func(rec map[string]any) { rec["keys"] = rec["secrets"] },
		"without what is private": func(rec map[string]any) { rec["private"] = nil },
		"with what is private as a secret": func(rec map[string]any) {
			rec["secrets"].([]any)[0].(map[string]any)["box"] = rec["private"]
		},
		"without a URL":       func(rec map[string]any) { at(rec, "settings")["url"] = "" },
		"of an unknown order": func(rec map[string]any) { at(rec, "settings")["order"] = "random" },
		"with a bad timeout":  func(rec map[string]any) { at(rec, "settings", "pace")["timeout"] = "5" },
		"with a bad wait":     func(rec map[string]any) { at(rec, "settings", "pace")["batch_wait"] = "x" },
	} {
		value, err := encodeSubscription(fullSubscription(), seal)
		if err != nil {
			t.Fatal(err)
		}
		var rec map[string]any
		if err := json.Unmarshal(value, &rec); err != nil {
			t.Fatal(err)
		}
		change(rec)
		if value, err = json.Marshal(rec); err != nil {
			t.Fatal(err)
		}
		_, err = decodeSubscription(value, seal)
		if err == nil {
			t.Errorf("a record %s was read", name)
			continue
		}
		for _, private := range []string{"of-the-north", "whsec_", "whsk_"} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("the error tells what is private: %v", err)
			}
		}
	}
}

// TestSecretsThatAnEarlierVersionSealedOpen holds the binding of apps' secrets
// to what lies in the buckets there are.
func TestSecretsThatAnEarlierVersionSealedOpen(t *testing.T) {
	s := newSealer(newKey())
	box := s.aead.Seal(nil, nil, []byte("x"), []byte("gatecast app secret\x0000112233445566ff"))
	if got, err := s.open(appSecret("00112233445566ff"), box); string(got) != "x" || err != nil {
		t.Errorf("opened %q, %v", got, err)
	}
}

func testSubscriptionEncrypted(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	s, err := r.CreateSubscription(t.Context(), gatecast.SubscriptionSpec{Settings: fullSettings()})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = r.RotateSubscription(t.Context(), s.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	e, err := r.store.Get(t.Context(), subscriptionEntry+s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(e.Value) || !bytes.Contains(e.Value, []byte(s.Settings.URL)) {
		t.Errorf("this is not the record: %s", e.Value)
	}
	a := s.Settings.Auth
	for _, private := range []string{
		s.Secrets[0].Value, s.Secrets[1].Value, s.Keys[0].Value, s.Keys[1].Value, s.Settings.Headers["X-Tenant"], a.Username, a.Password,
	} {
		bare := private[strings.Index(private, "_")+1:] // without whsec_
		if private == "" || bytes.Contains(e.Value, []byte(bare)) {
			t.Errorf("%q lies in the clear in %s", private, e.Value)
		}
	}
}

func testDamagedSubscription(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	a, b := subscribe(t, r, ""), subscribe(t, r, "")
	e, err := r.store.Get(t.Context(), subscriptionEntry+a.ID)
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
	for _, value := range []string{`{`, `{"v":2}`, strings.Replace(good, a.ID, b.ID, 1)} {
		put(value)
		known(t, r, a.ID, false)
		if got := r.Subscriptions(); !cmp.Equal([]*gatecast.Subscription{b}, got) {
			t.Error(cmp.Diff([]*gatecast.Subscription{b}, got))
		}
		put(good)
		known(t, r, a.ID, true)
	}
	put(`{`)
	if _, err := r.PauseSubscription(t.Context(), a.ID, ""); gatecast.CodeOf(err) != gatecast.Internal {
		t.Errorf("a damaged subscription was changed: %v", err)
	}
	if err := r.DeleteSubscription(t.Context(), a.ID); err != nil {
		t.Errorf("a damaged subscription cannot be deleted: %v", err)
	}
}
