package api_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/google/go-cmp/cmp"
)

const (
	sourcesPath = "/api/v1/sources"
	office      = `"name":"office","url":"ws://10.1.2.3:9000","app_key":"key","app_secret":"very-secret"`
)

// addSource makes a source and returns its path.
func (w *world) addSource(body string) string {
	w.t.Helper()
	a := w.do("POST", sourcesPath, body)
	if a.status != 201 {
		w.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// source is one as it is kept, with its secrets.
func (w *world) source(name string) gatecast.Source {
	w.t.Helper()
	src, ok := w.reg.Source(name)
	if !ok {
		w.t.Fatalf("no source %q", name)
	}
	return *src
}

const (
	unasked = `"rest":{"url":"","style":"v5","every":"5m0s","lookback":"24h0m0s","zone":""},"company":0,"description":"",` +
		`"created":"2026-01-02T03:04:05Z","paused":"",`
	nothingYet = `"events":0,"rubbish":0,"statement":{"filled":0,"lost":0,"set_aside":0,"not_ours":0}},"freshness":{"state":"quiet","why":"nothing came yet"}`
)

func TestASourceIsCreatedShownChangedPausedAndDeleted(t *testing.T) {
	w := newWorld(t)
	const shape = `{"name":"office","kind":"websocket","url":"ws://10.1.2.3:9000","app_key":"key",`
	const shown = shape + unasked + `"state":{"status":"connecting",` + nothingYet + `}`
	a := w.do("POST", sourcesPath, `{`+office+`}`)
	w.want(a, 201, shown)
	src := a.header.Get("Location")
	if src != sourcesPath+"/office" {
		t.Errorf("Location = %q", src)
	}
	w.want(w.read(src), 200, shown)
	w.want(w.read(sourcesPath), 200, `{"sources":[`+shown+`]}`)
	if got := w.source("office").Settings.AppSecret; got != "very-secret" {
		t.Errorf("the secret is %q", got)
	}
	w.want(w.do("PATCH", src, `{"company":7,"rest":{"url":"http://10.1.2.3:9000","every":"1m"}}`), 200,
		strings.NewReplacer(`"company":0`, `"company":7`, `"rest":{"url":""`, `"rest":{"url":"http://10.1.2.3:9000"`, "5m0s", "1m0s").Replace(shown))

	paused := w.do("POST", src+"/pause", `{"reason":"moving"}`).json(t)
	if state := paused["state"].(map[string]any); paused["paused"] != "moving" || state["status"] != "paused" || state["reason"] != "moving" {
		t.Errorf("paused: %v", paused)
	}
	if a := w.do("POST", src+"/resume", ""); a.status != 200 || a.json(t)["paused"] != "" {
		t.Errorf("resumed: %+v", a)
	}
	if a := w.do("POST", src+"/pause", ""); a.status != 200 || a.json(t)["paused"] == "" {
		t.Errorf("paused without a reason: %+v", a)
	}
	w.want(w.do("DELETE", src, ""), 204, "")
	w.refused(w.do("GET", src, ""), 404, "not_found", "")
	w.want(w.do("GET", sourcesPath, ""), 200, `{"sources":[]}`)
}

func TestAServerThatPostsIsToldWhereToAndNobodyElseIs(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", sourcesPath, `{"name":"yard","kind":"subscription"}`)
	token := w.source("yard").Token
	path := "/ingest/senselink/" + token
	const shape = `{"name":"yard","kind":"subscription","url":"","app_key":"",` + unasked
	w.want(a, 201, shape+`"path":"`+path+`","state":{"status":"waiting",`+nothingYet+`}`)
	if len(token) != 64 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("token %q, Cache-Control %q", token, a.header.Get("Cache-Control"))
	}
	for _, a := range []answer{
		w.read(sourcesPath + "/yard"), w.read(sourcesPath), w.do("PATCH", sourcesPath+"/yard", `{"company":3}`),
		w.do("POST", sourcesPath+"/yard/pause", ""), w.do("POST", sourcesPath+"/yard/resume", ""),
	} {
		if a.status != 200 || strings.Contains(a.body, token) {
			t.Errorf("the token is told: %d %s", a.status, a.body)
		}
	}
	w.want(w.do("GET", sourcesPath+"/yard/token", ""), 200, `{"name":"yard","token":"`+token+`","path":"`+path+`"}`)
	w.refused(w.as(auth.Read, "GET", sourcesPath+"/yard/token", ""), 403, "forbidden", "")
	w.addSource(`{` + office + `}`)
	w.refused(w.do("GET", sourcesPath+"/office/token", ""), 409, "conflict", "")
	if log := w.log.String(); strings.Contains(log, token) {
		t.Errorf("the log holds the token: %s", log)
	}
}

func TestTheURLThatAServerPostsToIsRotated(t *testing.T) {
	w := newWorld(t)
	yard := w.addSource(`{"name":"yard","kind":"subscription"}`)
	old := w.source("yard").Token
	a := w.do("POST", yard+"/rotate", `{"overlap":"1h"}`)
	now := w.source("yard")
	if a.status != 200 || now.Token == old || now.Former.Value != old || a.json(t)["path"] != "/ingest/senselink/"+now.Token ||
		a.json(t)["former_path_until"] != "2026-01-02T04:04:05Z" || strings.Contains(a.body, old) {
		t.Errorf("%d %s, %+v", a.status, a.body, now)
	}
	if a := w.read(yard); strings.Contains(a.body, now.Token) || a.json(t)["former_path_until"] == nil {
		t.Errorf("shown: %s", a.body)
	}
	if a := w.do("POST", yard+"/rotate", ""); a.status != 200 || a.json(t)["former_path_until"] != "2026-01-03T03:04:05Z" {
		t.Errorf("by default: %s", a.body)
	}
	if a := w.do("POST", yard+"/rotate", `{"overlap":"0s"}`); a.status != 200 || a.json(t)["former_path_until"] != nil || w.source("yard").Former.Value != "" {
		t.Errorf("at once: %s", a.body)
	}
	w.refused(w.do("POST", yard+"/rotate", `{"overlap":"soon"}`), 422, "invalid", "/overlap")
	w.refused(w.do("POST", yard+"/rotate", `{"overlap":"-1h"}`), 422, "invalid", "/overlap")
	w.refused(w.as(auth.Read, "POST", yard+"/rotate", ""), 403, "forbidden", "")
	w.refused(w.do("POST", w.addSource(`{`+office+`}`)+"/rotate", ""), 409, "conflict", "")
	w.refused(w.do("POST", sourcesPath+"/none/rotate", ""), 404, "not_found", "")
	if log := w.log.String(); strings.Contains(log, old) || strings.Contains(log, w.source("yard").Token) {
		t.Errorf("the log holds a token: %s", log)
	}
}

func TestAPatchOfASourceChangesWhatItNamesAndNullMeansTheDefault(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{` + office + `,"company":3,"description":"all of it",` +
		`"rest":{"url":"http://10.1.2.3","style":"v4","every":"1h","lookback":"48h","zone":"Asia/Tokyo"}}`)
	want := w.source("office").Settings
	if want.REST.Zone != "Asia/Tokyo" || want.REST.Style != gatecast.RESTv4 || want.Company != 3 {
		t.Errorf("made %+v", want)
	}
	patch := func(body string) {
		t.Helper()
		if a := w.do("PATCH", src, body); a.status != 200 {
			t.Fatalf("%s: %s", body, a.body)
		}
		if diff := cmp.Diff(want, w.source("office").Settings); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	patch(`{}`)
	patch(`{"rest":{}}`)
	want.AppSecret, want.REST.Style = "another", gatecast.RESTv5
	patch(`{"app_secret":"another","rest":{"style":null}}`)
	want.REST.Zone, want.Description, want.Company = "", "", 0
	patch(`{"rest":{"zone":null},"description":null,"company":null}`)
	want.REST = gatecast.SourceSettings{}.WithDefaults().REST
	patch(`{"rest":null}`)
	want = gatecast.SourceSettings{Kind: gatecast.SourceSubscription}.WithDefaults()
	patch(`{"kind":"subscription","url":null,"app_key":null,"app_secret":null}`)
}

func TestARefusedSourceNamesThePlaceAndRepeatsNoSecret(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{"name":"first","url":"ws://host","app_key":"key","app_secret":"s"}`)
	for _, c := range []struct{ body, place string }{
		{`"url":"http://host"`, "/url"},
		{`"url":"ws://user:very-secret@host"`, "/url"},
		{`"url":7`, "/url"},
		{`"kind":"mqtt"`, "/kind"},
		{`"app_secret":"very-secret or not"`, "/app_secret"},
		{`"app_secret":["very-secret"]`, "/app_secret"},
		{`"app_key":""`, "/app_key"},
		{`"company":-1`, "/company"},
		{`"company":1e30`, "/company"},
		{`"rest":{"url":"ws://host"}`, "/rest/url"},
		{`"rest":{"every":"soon"}`, "/rest/every"},
		{`"rest":{"every":300}`, "/rest/every"},
		{`"rest":{"every":"1s"}`, "/rest/every"},
		{`"rest":{"lookback":"soon"}`, "/rest/lookback"},
		{`"rest":{"lookback":"10000h"}`, "/rest/lookback"},
		{`"rest":{"style":"v6"}`, "/rest/style"},
		{`"rest":{"zone":"Asia/Edo"}`, "/rest/zone"},
		{`"rest":{"uurl":"very-secret"}`, "/rest/uurl"},
		{`"rest":"very-secret"`, "/rest"},
		{`"secret":"very-secret"`, "/secret"},
		{`"token":"very-secret"`, "/token"},
	} {
		made := `{"name":"office",` + c.body
		for _, field := range []string{`"url":"ws://host"`, `"app_key":"key"`, `"app_secret":"s"`} {
			if name, _, _ := strings.Cut(field, ":"); !strings.HasPrefix(c.body, name) {
				made += "," + field
			}
		}
		for _, a := range []answer{w.do("POST", sourcesPath, made+`}`), w.do("PATCH", src, `{`+c.body+`}`)} {
			w.refused(a, 422, "invalid", c.place)
			if strings.Contains(a.body, "very-secret") {
				t.Errorf("the answer repeats a secret: %s", a.body)
			}
			if t.Failed() {
				t.Fatalf("the case: %s", c.body)
			}
		}
	}
	w.refused(w.do("POST", sourcesPath, `{"url":"ws://host","app_key":"key","app_secret":"s"}`), 422, "invalid", "/name")
	w.refused(w.do("POST", sourcesPath, `{"name":"a:b"}`), 422, "invalid", "/name")
	w.refused(w.do("POST", sourcesPath, `{"name":"first","url":"ws://host","app_key":"key","app_secret":"s"}`), 409, "conflict", "/name")
	w.refused(w.do("PATCH", src, `{"name":"second"}`), 422, "invalid", "/name")
	if strings.Contains(w.log.String(), "very-secret") {
		t.Error("the log holds a secret")
	}
}

func TestTheStateOfASourceIsShownAndSoIsItsPauseAtOnce(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{` + office + `,"rest":{"url":"http://10.1.2.3"}}`)
	w.other.state = gatecast.SourceState{
		Status: gatecast.SourceRefused, Since: at(1), Reason: "sign error", LastEvent: at(2), LastSign: at(3), Events: 4, Rubbish: 5,
		Statement: gatecast.Statement{Through: at(6), Looked: at(7), Error: "no answer", Withheld: "nothing yet", Filled: 8, Lost: 9, SetAside: 10, NotOurs: 11},
	}
	const rest = `"last_event":"2026-01-02T03:04:02Z","last_sign":"2026-01-02T03:04:03Z","events":4,"rubbish":5,` +
		`"statement":{"complete_through":"2026-01-02T03:04:06Z","looked":"2026-01-02T03:04:07Z","error":"no answer","withheld":"nothing yet","filled":8,"lost":9,"set_aside":10,"not_ours":11}}`
	shows := func(a answer, state string) {
		t.Helper()
		if !strings.Contains(a.body, `"state":{`+state+rest) {
			t.Errorf("want %s: %s", state, a.body)
		}
	}
	const refused = `"status":"refused","since":"2026-01-02T03:04:01Z","reason":"sign error",`
	shows(w.read(src), refused)
	shows(w.do("POST", src+"/pause", ""), `"status":"paused","reason":"paused by hand",`)
	shows(w.do("POST", src+"/resume", ""), refused)
	w.other.state.Status = gatecast.SourcePaused
	shows(w.read(src), `"status":"connecting",`)
	w.do("POST", src+"/pause", `{"reason":"moving"}`)
	shows(w.read(src), `"status":"paused","since":"2026-01-02T03:04:01Z","reason":"moving",`)
}

func TestASourceIsAskedAndTheEndOfTheLookAwaitedForAWhile(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{` + office + `}`)
	before := time.Now()
	w.other.statement = gatecast.Statement{Through: at(6), Looked: at(7), Filled: 8}
	const shown = `"complete_through":"2026-01-02T03:04:06Z","looked":"2026-01-02T03:04:07Z","filled":8,"lost":0,"set_aside":0,"not_ours":0}`
	a := w.do("POST", src+"/reconcile", "")
	asked, err := time.Parse(time.RFC3339Nano, a.json(t)["asked"].(string))
	if a.status != 200 || !strings.Contains(a.body, shown) || err != nil || asked.Before(before) || asked.After(time.Now()) {
		t.Errorf("answer: %d %s", a.status, a.body)
	}
	w.other.long, w.other.state.Statement = true, w.other.statement
	if a := w.do("POST", src+"/reconcile", ""); a.status != 202 || !strings.Contains(a.body, shown) || a.json(t)["asked"] == nil {
		t.Errorf("a look that takes long: %d %s", a.status, a.body)
	}
	if took := w.other.took(); took != "reconcile office; reconcile office" {
		t.Errorf("asked: %s", took)
	}
	e := gatecast.Errorf(gatecast.Conflict, "the source is paused")
	e.Remedy = "resume it first"
	w.other.long, w.other.err = false, e
	w.refused(w.do("POST", src+"/reconcile", ""), 409, "conflict", "")
}

func TestOfASourceThatIsNotThereNothingIsFound(t *testing.T) {
	w := newWorld(t)
	const src = sourcesPath + "/nobody"
	for _, route := range []string{
		"GET " + src, "PATCH " + src, "DELETE " + src, "POST " + src + "/pause", "POST " + src + "/resume", "POST " + src + "/reconcile", "GET " + src + "/token",
		"GET /api/v1/quarantine/q1", "POST /api/v1/quarantine/q1/inject", "DELETE /api/v1/quarantine/q1",
	} {
		method, path, _ := strings.Cut(route, " ")
		body := ""
		if method == "PATCH" {
			body = `{"company":1}`
		}
		w.refused(w.do(method, path, body), 404, "not_found", "")
		if t.Failed() {
			t.Fatal(route)
		}
	}
}

func TestOnlyAnAdministratorChangesSources(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{` + office + `}`)
	w.other.kept = []gatecast.Quarantined{{ID: "q1", At: at(1), Body: []byte(`{"eventType":1}`)}}
	for _, route := range []string{
		"POST " + sourcesPath, "PATCH " + src, "DELETE " + src, "POST " + src + "/pause", "POST " + src + "/resume", "POST " + src + "/reconcile",
		"GET " + src + "/token", "POST /api/v1/quarantine/q1/inject", "DELETE /api/v1/quarantine/q1",
	} {
		method, path, _ := strings.Cut(route, " ")
		w.refused(w.as(auth.Read, method, path, ""), 403, "forbidden", "")
		if t.Failed() {
			t.Fatal(route)
		}
	}
	for _, path := range []string{sourcesPath, src, "/api/v1/quarantine", "/api/v1/quarantine/q1"} {
		if a := w.as(auth.Read, "GET", path, ""); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		w.refused(w.as(auth.Ingest, "GET", path, ""), 403, "forbidden", "")
	}
	if took := w.other.took(); took != "" {
		t.Errorf("done all the same: %s", took)
	}
}

func TestWhoChangedASourceIsLoggedWithoutItsSecrets(t *testing.T) {
	w := newWorld(t)
	src := w.addSource(`{"name":"office","kind":"subscription","app_key":"key","app_secret":"very-secret"}`)
	w.do("GET", src+"/token", "")
	token := w.source("office").Token
	w.do("PATCH", src, `{"app_secret":"very-secret-too"}`)
	w.do("POST", src+"/pause", "")
	w.do("POST", src+"/resume", "")
	w.do("DELETE", src, "")
	log := w.log.String()
	if strings.Contains(log, "very-secret") || strings.Contains(log, token) {
		t.Errorf("the log holds a secret: %s", log)
	}
	for _, what := range []string{"created", "token revealed", "changed", "paused", "resumed", "deleted"} {
		line := regexp.MustCompile(`(?m)^.*"msg":"source ` + what + `".*$`).FindString(log)
		if !strings.Contains(line, `"by":"the admin"`) || !strings.Contains(line, `"source":"office"`) {
			t.Errorf("%s: the log says %q", what, line)
		}
	}
}
