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

// fullSource has no field at zero, but for those that exclude others.
func fullSource() *gatecast.Source {
	return &gatecast.Source{
		Name: "office", Token: strings.Repeat("ab", 32), Former: gatecast.Secret{
			Value: strings.Repeat("cd", 32), Created: time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC), Expires: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC),
		}, Paused: "p", Created: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		Settings: gatecast.SourceSettings{
			Kind: gatecast.SourceSubscription, Description: "the 門 in the north", Company: 1 << 60, AppKey: "key", AppSecret: "secret-of-the-north",
			REST: gatecast.SourceREST{
				URL: "https://[fd00::1]", Style: gatecast.RESTv4, Every: 1500*time.Second + 1, Lookback: 7 * time.Hour, Zone: "Asia/Tokyo",
			},
		},
	}
}

func TestEverythingOfASourceSurvivesTheStore(t *testing.T) {
	seal := newSealer(newKey())
	posts, pushes := fullSource(), fullSource()
	pushes.Settings.Kind, pushes.Settings.URL, pushes.Token = gatecast.SourceWebSocket, "wss://host", ""
	pushes.Former = gatecast.Secret{}
	if diff := cmp.Diff([]string{".Settings.URL"}, zeroes(reflect.ValueOf(*posts), "")); diff != "" {
		t.Errorf("fields at zero: %s", diff)
	}
	for _, want := range []*gatecast.Source{posts, pushes} {
		value, err := encodeSource(want, seal)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeSource(value, seal)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestASourcesRecordThatIsNotAsWrittenIsNotRead(t *testing.T) {
	seal := newSealer(newKey())
	in := func(rec map[string]any, name string) map[string]any { return rec[name].(map[string]any) }
	for name, change := range map[string]func(map[string]any){
		"of a later version":        func(rec map[string]any) { rec["v"] = 2 },
		"of another source":         func(rec map[string]any) { rec["name"] = "yard" },
		"with no name":              func(rec map[string]any) { rec["name"] = "" },
		"of an unknown kind":        func(rec map[string]any) { rec["kind"] = "mqtt" },
		"without a token":           func(rec map[string]any) { in(rec, "private")["token"] = nil },
		"with a token too many":     func(rec map[string]any) { rec["kind"], rec["url"] = "websocket", "ws://host" },
		"without a secret":          func(rec map[string]any) { in(rec, "private")["app_secret"] = nil },
		"with a token for a secret": func(rec map[string]any) { in(rec, "private")["app_secret"] = in(rec, "private")["token"] },
		"with a secret for a token": func(rec map[string]any) { in(rec, "private")["token"] = in(rec, "private")["app_secret"] },
		"with a bad time":           func(rec map[string]any) { in(rec, "rest")["every"] = "5" },
		"with a bad reach":          func(rec map[string]any) { in(rec, "rest")["lookback"] = "x" },
		"of an unknown style":       func(rec map[string]any) { in(rec, "rest")["style"] = "v6" },
	} {
		value, err := encodeSource(fullSource(), seal)
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
		_, err = decodeSource(value, seal)
		if err == nil {
			t.Errorf("a record %s was read", name)
			continue
		}
		if told := err.Error(); strings.Contains(told, "of-the-north") || strings.Contains(told, "abab") {
			t.Errorf("the error tells what is private: %v", err)
		}
	}
}

func testSourceEncrypted(t *testing.T, c cluster) {
	r := c.node(t, Options{})
	full := fullSource()
	s := addSource(t, r, full.Name, full.Settings)
	e, err := r.store.Get(t.Context(), sourceEntry+s.Name)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(e.Value) || !bytes.Contains(e.Value, []byte(s.Settings.REST.URL)) {
		t.Errorf("this is not the record: %s", e.Value)
	}
	for _, private := range []string{s.Token, s.Settings.AppSecret} {
		if private == "" || bytes.Contains(e.Value, []byte(private)) {
			t.Errorf("%q lies in the clear in %s", private, e.Value)
		}
	}
}
