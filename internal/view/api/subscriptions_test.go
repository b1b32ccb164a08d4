package api_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

const (
	subsPath = "/api/v1/subscriptions"
	whsec    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
)

// subscribe makes a subscription and returns its path.
func (w *world) subscribe(settings string) string {
	w.t.Helper()
	a := w.do("POST", subsPath, settings)
	if a.status != 201 {
		w.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// plain is the settings of a subscription that was made with a URL alone, as
// they are shown.
const plain = `"kinds":[],"devices":[],"groups":[],"user_types":[],"abnormal_types":[],"alarm_codes":[],"alarm_levels":[],` +
	`"order":"per-device","concurrency":8,"rate":0,"catch_up_rate":0,"timeout":"5s","success":"200","batch":{"max":0,"wait":"0s"},` +
	`"headers":{},"auth":{"type":"none"},"event_type":"number","own_fields":false,"mark_replay":false,"ed25519":false,`

const idle = `"state":{"status":"active","position":0,"lag_events":0,"lag_seconds":0,"pending":0,"in_flight":0,` +
	`"delivered":0,"failed":0,"dead_letters":0,"lost":0,"recent":{"attempts":0,"succeeded":0,"p50_ms":0,"p99_ms":0}},` +
	`"freshness":{"state":"quiet","why":"nothing was delivered yet"}`

func TestASubscriptionIsCreatedShownChangedRotatedPausedAndDeleted(t *testing.T) {
	w := newWorld(t)
	const created = `"created":"2026-01-02T03:04:05Z"`
	a := w.do("POST", subsPath, `{"url":"https://host.example/in"}`)
	w.want(a, 201, `{"id":"U","app_key":"","url":"https://host.example/in","description":"",`+plain+created+`,"paused":"",`+
		`"secrets":[{`+created+`,"secret":"S"}],`+idle+`}`)
	sub := a.header.Get("Location")
	if !regexp.MustCompile(`^/api/v1/subscriptions/sub_[0-9a-f]{16}$`).MatchString(sub) {
		t.Errorf("Location = %q", sub)
	}
	shown := `{"id":"U","app_key":"","url":"https://host.example/in","description":"",` + plain + created + `,"paused":"",` +
		`"secrets":[{` + created + `}],` + idle + `}`
	w.want(w.read(sub), 200, shown)
	w.want(w.read(subsPath), 200, `{"subscriptions":[`+shown+`]}`)

	secret := a.json(t)["secrets"].([]any)[0].(map[string]any)["secret"]
	a = w.do("GET", sub+"/secret", "")
	w.want(a, 200, `{"id":"U","secret":"S","public_key":"P"}`)
	if a.json(t)["secret"] != secret || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("revealed %s, made with %v", a.body, secret)
	}

	w.want(w.do("PATCH", sub, `{"description":"the office","ed25519":true}`), 200,
		`{"id":"U","app_key":"","url":"https://host.example/in","description":"the office",`+
			strings.Replace(plain, `"ed25519":false`, `"ed25519":true`, 1)+created+`,"paused":"",`+
			`"secrets":[{`+created+`}],"public_key":"P",`+idle+`}`)

	a = w.do("POST", sub+"/rotate", `{"overlap":"1h"}`)
	secrets := a.json(t)["secrets"].([]any)
	if len(secrets) != 2 || secrets[1].(map[string]any)["secret"] != secret || secrets[0].(map[string]any)["secret"] == secret ||
		secrets[1].(map[string]any)["expires"] != "2026-01-02T04:04:05Z" {
		t.Errorf("after the rotation: %s", a.body)
	}

	paused := w.do("POST", sub+"/pause", `{"reason":"moving"}`).json(t)
	state := paused["state"].(map[string]any)
	if paused["paused"] != "moving" || state["status"] != "paused" || state["reason"] != "moving" {
		t.Errorf("paused: %v", paused)
	}
	if a := w.do("POST", sub+"/resume", ""); a.status != 200 || a.json(t)["paused"] != "" {
		t.Errorf("resumed: %+v", a)
	}
	if a := w.do("POST", sub+"/pause", ""); a.status != 200 || a.json(t)["paused"] == "" {
		t.Errorf("paused without a reason: %+v", a)
	}

	w.want(w.do("DELETE", sub, ""), 204, "")
	w.refused(w.do("GET", sub, ""), 404, "not_found", "")
	w.want(w.do("GET", subsPath, ""), 200, `{"subscriptions":[]}`)
}

// everything is every setting with a value that is not its default.
const everything = `{"url":"http://host.example:8080/in?a=b","description":"all of it","kinds":[30000,50000],"devices":["SPSP-1"],` +
	`"groups":[7,8],"user_types":[1],"abnormal_types":[10001],"alarm_codes":[10002],"alarm_levels":[1],"order":"none","concurrency":20,` +
	`"rate":100,"catch_up_rate":10,"timeout":"30s","success":"2xx","headers":{"X-Key":"very secret"},` +
	`"auth":{"username":"gate","password":"very secret"},"event_type":"string","own_fields":true,"mark_replay":true,"ed25519":true,` +
	`"batch":{"max":100,"wait":"2s"}`

func TestEverySettingIsKeptAndNoCredentialIsShown(t *testing.T) {
	w := newWorld(t)
	var asked, got map[string]any
	sub := w.subscribe(everything + `}`)
	for _, text := range []struct {
		body string
		into *map[string]any
	}{{everything + `}`, &asked}, {w.read(sub).body, &got}} {
		if err := json.Unmarshal([]byte(text.body), text.into); err != nil {
			t.Fatal(err)
		}
	}
	asked["headers"] = map[string]any{"X-Key": "***"}
	asked["auth"] = map[string]any{"type": "basic", "username": "gate"}
	for name, want := range asked {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	w.do("PATCH", sub, `{"auth":{"bearer":"very-secret"}}`)
	if got := w.read(sub).json(t)["auth"]; !cmp.Equal(got, map[string]any{"type": "bearer"}) {
		t.Errorf("auth = %v", got)
	}
	for _, path := range []string{sub, subsPath} {
		if body := w.read(path).body; strings.Contains(body, "secret\"") || strings.Contains(body, "very") {
			t.Errorf("%s shows a credential: %s", path, body)
		}
	}
}

func TestAPatchChangesWhatItNamesAndNullMeansTheDefault(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(everything + `}`)
	id := sub[strings.LastIndexByte(sub, '/')+1:]
	before := w.settings(id)
	if w.do("PATCH", sub, `{}`); !cmp.Equal(before, w.settings(id)) {
		t.Errorf("an empty patch: %s", cmp.Diff(before, w.settings(id)))
	}
	want := before.Clone()
	want.Rate, want.Filter.Devices, want.Batch.Wait, want.MarkReplay = 5, []string{"A", "B"}, 0, false
	w.do("PATCH", sub, `{"rate":5,"devices":["A","B"],"batch":{"max":100},"mark_replay":false}`)
	if diff := cmp.Diff(want, w.settings(id)); diff != "" {
		t.Error(diff)
	}
	if a := w.do("PATCH", sub, `{"description":null,"kinds":null,"devices":null,"groups":null,"user_types":null,"abnormal_types":null,`+
		`"alarm_codes":null,"alarm_levels":null,"order":null,"concurrency":null,"rate":null,"catch_up_rate":null,"timeout":null,`+
		`"success":null,"headers":null,"auth":null,"event_type":null,"own_fields":null,"mark_replay":null,"ed25519":null,"batch":null}`); a.status != 200 {
		t.Fatalf("with nulls: %s", a.body)
	}
	defaults := gatecast.SubscriptionSettings{URL: before.URL}.WithDefaults()
	empty := func(s gatecast.SubscriptionSettings) string { return fmt.Sprintf("%+v", s) } // nil or not is all the same
	if diff := cmp.Diff(empty(defaults), empty(w.settings(id))); diff != "" {
		t.Error(diff)
	}
}

// settings are a subscription's as they are kept, with its secrets.
func (w *world) settings(id string) gatecast.SubscriptionSettings {
	w.t.Helper()
	sub, ok := w.reg.Subscription(id)
	if !ok {
		w.t.Fatalf("no subscription %q", id)
	}
	return sub.Settings.Clone()
}

func TestAHeaderCanBeKeptWithoutKnowingItsValue(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/","headers":{"X-A":"one","X-B":"two"}}`)
	if a := w.do("PATCH", sub, `{"headers":{"x-a":"***","X-C":"three"}}`); !strings.Contains(a.body, `"headers":{"X-C":"***","x-a":"***"}`) {
		t.Errorf("the answer: %s", a.body)
	}
	id := sub[strings.LastIndexByte(sub, '/')+1:]
	if diff := cmp.Diff(map[string]string{"x-a": "one", "X-C": "three"}, w.settings(id).Headers); diff != "" {
		t.Error(diff)
	}
	w.refused(w.do("PATCH", sub, `{"headers":{"X-B":"***"}}`), 422, "invalid", "/headers/X-B")
	w.refused(w.do("PATCH", sub, `{"headers":{"X-D":"1","x-d":"2"}}`), 422, "invalid", "/headers/x-d")
	w.refused(w.do("POST", subsPath, `{"url":"https://host.example/","headers":{"X-B":"***"}}`), 422, "invalid", "/headers/X-B")
}

func TestASubscriptionStartsWhereItIsAskedTo(t *testing.T) {
	w := newWorld(t)
	w.hooks.extent = gatecast.Extent{Epoch: "e", First: 11, Last: 90}
	w.hooks.since = map[time.Time]gatecast.Seq{at(5): 42}
	for start, want := range map[string]gatecast.Seq{
		``: 90, `"latest"`: 90, `null`: 90, `""`: 90, `"earliest"`: 10, `17`: 17, `"17"`: 17, `0`: 0, `90`: 90,
		`"2026-01-02T03:04:05Z"`: 42, `"2026-01-02T12:04:05+09:00"`: 42,
	} {
		body := `{"url":"https://host.example/"}`
		if start != "" {
			body = `{"url":"https://host.example/","start":` + start + `}`
		}
		sub, ok := w.reg.Subscription(strings.TrimPrefix(w.subscribe(body), subsPath+"/"))
		if !ok || sub.After != want || sub.Epoch != "e" {
			t.Errorf("start %s: after %d of %q, want %d", start, sub.After, sub.Epoch, want)
		}
	}
	for _, start := range []string{`91`, `-1`, `1.5`, `1e3`, `"soon"`, `true`, `{"seq":1}`, `"2026-01-02"`, `18446744073709551616`} {
		w.refused(w.do("POST", subsPath, `{"url":"https://host.example/","start":`+start+`}`), 422, "invalid", "/start")
	}
	w.hooks.extent = gatecast.Extent{Epoch: "e", First: 1}
	sub, _ := w.reg.Subscription(strings.TrimPrefix(w.subscribe(`{"url":"https://host.example/","start":"earliest"}`), subsPath+"/"))
	if sub.After != 0 {
		t.Errorf("earliest of an empty journal: after %d", sub.After)
	}
}

func TestAnAddressThatIsNotAllowedIsRefusedAtTheURL(t *testing.T) {
	w := newWorld(t)
	key := w.app("gate")
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	for _, r := range []struct{ method, path string }{
		{"POST", subsPath}, {"PATCH", sub}, {"PUT", "/api/v1/apps/" + key + "/subscription"},
	} {
		a := w.do(r.method, r.path, `{"url":"http://10.0.0.1/"}`)
		w.refused(a, 422, "invalid", "/url")
		if doc := a.json(t); doc["detail"] != "10.0.0.1 is a private address" || !strings.Contains(doc["remedy"].(string), "hooks.allow") {
			t.Errorf("%s: %s", r.method, a.body)
		}
	}
	w.hooks.took()
	if w.do("PATCH", sub, `{"url":"https://host.example/","rate":5}`); w.hooks.took() != "" {
		t.Error("a URL that stays is checked again")
	}
}

func TestASubscriptionIsShownBeforeAnythingWasSent(t *testing.T) {
	w := newWorld(t)
	w.hooks.extent = gatecast.Extent{Epoch: "e", First: 11, Last: 90}
	state := w.do("POST", subsPath, `{"url":"https://host.example/"}`).json(t)["state"].(map[string]any)
	if state["status"] != "active" || state["position"] != 90.0 {
		t.Errorf("state = %v", state)
	}
}

func TestAPauseIsShownAtOnceAndSoIsItsEnd(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	w.hooks.state = gatecast.SubscriptionState{Status: gatecast.SubscriptionDegraded, Since: at(1), Reason: "connection refused", NextTry: at(9)}
	for _, step := range []struct{ action, state string }{
		{"/pause", `"state":{"status":"paused","reason":"paused by hand","position"`},
		{"/resume", `"state":{"status":"degraded","since":"2026-01-02T03:04:01Z","reason":"connection refused","next_try"`},
	} {
		if body := w.do("POST", sub+step.action, "").body; !strings.Contains(body, step.state) {
			t.Errorf("%s: %s", step.action, body)
		}
	}
	w.hooks.state = gatecast.SubscriptionState{Status: gatecast.SubscriptionPaused, Since: at(1), Reason: "paused by hand"}
	if body := w.read(sub).body; !strings.Contains(body, `"state":{"status":"active","position"`) {
		t.Errorf("resumed: %s", body)
	}
	w.do("POST", sub+"/pause", "")
	if body := w.read(sub).body; !strings.Contains(body, `"state":{"status":"paused","since":"2026-01-02T03:04:01Z","reason":"paused by hand"`) {
		t.Errorf("paused: %s", body)
	}
}

func TestSubscriptionsAreListedByApp(t *testing.T) {
	w := newWorld(t)
	key, other := w.app("gate"), w.app("yard")
	w.subscribe(`{"url":"https://a.example/","app_key":"` + key + `"}`)
	w.subscribe(`{"url":"https://b.example/"}`)
	urls := func(path string) string {
		var urls []string
		for _, sub := range w.read(path).json(t)["subscriptions"].([]any) {
			urls = append(urls, sub.(map[string]any)["url"].(string))
		}
		return strings.Join(urls, " ")
	}
	for path, want := range map[string]string{
		subsPath + "?app=" + key: "https://a.example/", subsPath + "?app=" + other: "",
	} {
		if got := urls(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := urls(subsPath); !strings.Contains(got, "a.example") || !strings.Contains(got, "b.example") {
		t.Errorf("all: %s", got)
	}
}

func TestAnAppHasOneSubscriptionOfItsOwn(t *testing.T) {
	w := newWorld(t)
	key := w.app("gate")
	path := "/api/v1/apps/" + key + "/subscription"
	a := w.do("PUT", path, `{"url":"https://host.example/","rate":5,"headers":{"X-A":"one"},"secret":"`+whsec+`","start":"earliest"}`)
	first := a.json(t)
	if a.status != 201 || first["id"] != "sub_"+key || first["app_key"] != key || !strings.Contains(a.body, whsec) ||
		a.header.Get("Location") != subsPath+"/sub_"+key {
		t.Fatalf("made: %d %s", a.status, a.body)
	}
	a = w.do("PUT", path, `{"url":"https://host.example/","rate":5,"headers":{"X-A":"***"},"secret":"`+whsec+`","start":"earliest"}`)
	if a.status != 200 || strings.Contains(a.body, whsec) || a.json(t)["rate"] != 5.0 || w.settings("sub_" + key).Headers["X-A"] != "one" {
		t.Errorf("asked again: %d %s", a.status, a.body)
	}
	a = w.do("PUT", path, `{"url":"https://other.example/","app_key":"`+key+`"}`)
	if a.status != 200 || a.json(t)["url"] != "https://other.example/" || a.json(t)["rate"] != 0.0 || len(a.json(t)["headers"].(map[string]any)) > 0 {
		t.Errorf("replaced: %d %s", a.status, a.body)
	}
	w.refused(w.do("PUT", path, `{"url":"https://host.example/","secret":"`+strings.Replace(whsec, "M", "N", 1)+`"}`), 409, "conflict", "/secret")
	w.refused(w.do("PUT", path, `{"url":"https://host.example/","app_key":"`+w.app("other")+`"}`), 422, "invalid", "/app_key")
	w.refused(w.do("PUT", path, `{}`), 422, "invalid", "/url")
	w.refused(w.do("PUT", "/api/v1/apps/0000000000000000/subscription", `{"url":"https://host.example/"}`), 404, "not_found", "")
}

func TestTheOpenAPIDocumentSaysWhatMayBeNull(t *testing.T) {
	w := newWorld(t)
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Type any `json:"type"`
				} `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(w.as("", "GET", "/api/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	body := doc.Components.Schemas["CreateSubscriptionBody"].Properties
	for name, want := range map[string]any{
		"start": []any{"integer", "string", "null"}, "kinds": []any{"array", "null"}, "auth": []any{"object", "null"},
		"rate": []any{"integer", "null"}, "url": []any{"string", "null"}, "secret": "string",
	} {
		if diff := cmp.Diff(want, body[name].Type); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
