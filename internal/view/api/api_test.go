package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/registry"
	"github.com/gatecast/gatecast/internal/view/api"
	"github.com/google/go-cmp/cmp"
)

// world is the API on a real registry in memory.
type world struct {
	t      *testing.T
	url    string
	token  map[auth.Scope]string
	log    *syncBuffer
	status *status
	peers  *peers
	hooks  *sender
	other  *upstream
	fleet  *fleet
	doctor *practice
	reg    *registry.Registry
}

type status struct {
	state api.State
	err   error
}

func (s *status) Status(context.Context) (api.State, error) { return s.state, s.err }

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	reg := registry.OpenMem(registry.Options{Now: func() time.Time { return now }})
	t.Cleanup(reg.Close)
	w := &world{t: t, token: map[auth.Scope]string{}, log: &syncBuffer{}, status: &status{}, peers: &peers{}, hooks: &sender{}, other: &upstream{}, fleet: &fleet{}, doctor: &practice{}, reg: reg}
	for _, scope := range auth.Scopes() {
		_, plain, err := reg.CreateToken(t.Context(), "the "+string(scope), []auth.Scope{scope})
		if err != nil {
			t.Fatal(err)
		}
		w.token[scope] = plain
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/events", func(http.ResponseWriter, *http.Request) {})
	api.Register(mux, api.Options{
		Apps: reg, Tokens: reg, Status: w.status, Connections: w.peers, Cursors: w.peers,
		Hooks:     api.Hooks{Subscriptions: reg, Deliveries: w.hooks, DeadLetters: w.hooks, Log: w.hooks, Positions: w.hooks},
		Upstreams: api.Upstreams{Sources: reg, States: w.other, Quarantine: w.other, MQTT: reg, Online: w.other.online, Wait: 10 * time.Millisecond},
		Devices:   w.fleet,
		Doctor:    w.doctor,
		Guard:     auth.Guard{Tokens: reg}, MaxBody: 2000,
		Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	return v
}

func (w *world) as(scope auth.Scope, method, path, body string, header ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if scope != "" {
		req.Header.Set("Authorization", "Bearer "+w.token[scope])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func (w *world) do(method, path, body string) answer {
	w.t.Helper()
	return w.as(auth.Admin, method, path, body)
}

// want compares the whole body; "K", "S" and "I" stand for a fresh key, secret and ID,
// "U" and "P" for a subscription's ID and public key.
func (w *world) want(a answer, status int, body string) {
	w.t.Helper()
	got := a.body
	for _, r := range []struct{ form, name string }{
		{`"[0-9a-f]{32}"`, `"S"`},
		{`"[0-9a-f]{16}"`, `"K"`},
		{`"[0-9a-f]{12}"`, `"I"`},
		{`"gct_[a-z2-7]{40}"`, `"T"`},
		{`"whsec_[A-Za-z0-9+/=]+"`, `"S"`},
		{`"whpk_[A-Za-z0-9+/=]+"`, `"P"`},
		{`"sub_[0-9a-f]{16}"`, `"U"`},
	} {
		got = regexp.MustCompile(r.form).ReplaceAllString(got, r.name)
	}
	if diff := cmp.Diff(body, strings.TrimSpace(got)); a.status != status || diff != "" {
		w.t.Errorf("status %d, want %d; body: %s", a.status, status, diff)
	}
}

// refused checks that a refusal is a problem document and says where.
func (w *world) refused(a answer, status int, code, path string) {
	w.t.Helper()
	if a.status != status {
		w.t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		w.t.Errorf("Content-Type = %q: %s", ct, a.body)
		return
	}
	doc := a.json(w.t)
	gotPath, _ := doc["path"].(string)
	if doc["code"] != code || gotPath != path || doc["status"] != float64(status) || doc["title"] != http.StatusText(status) {
		w.t.Errorf("document %v, want code %q and path %q", doc, code, path)
	}
	if doc["detail"] == "" || doc["remedy"] == nil || doc["type"] != "about:blank" {
		w.t.Errorf("document %v lacks detail, remedy or type", doc)
	}
}

func TestAnAppIsCreatedShownChangedRotatedAndDeleted(t *testing.T) {
	w := newWorld(t)
	const created = `"created":"2026-01-02T03:04:05Z"`
	const shape = `"enabled":true,"max_connections":2,"timestamp_window":"1h0m0s","kinds":[30000,30100],` +
		`"catch_up":"12h0m0s","first_connection":"earliest","cursors":"address",` + created + `,"secrets":[{` + created + `}]`
	a := w.do("POST", "/api/v1/apps", `{"name":"gate","max_connections":2,"timestamp_window":"1h","kinds":[30100,30000],`+
		`"catch_up":"12h","first_connection":"earliest","cursors":"address"}`)
	w.want(a, 201, `{"app_key":"K","name":"gate",`+shape+`,"app_secret":"S"}`)
	key, secret := a.json(t)["app_key"].(string), a.json(t)["app_secret"].(string)
	app := "/api/v1/apps/" + key
	if got := a.header.Get("Location"); got != app {
		t.Errorf("Location = %q", got)
	}
	const fresh = `,"freshness":{"state":"quiet","why":"was never connected, or keeps no cursor"}`
	w.want(w.do("GET", app, ""), 200, `{"app_key":"K","name":"gate",`+shape+fresh+`}`)
	w.want(w.do("GET", "/api/v1/apps", ""), 200, `{"apps":[{"app_key":"K","name":"gate",`+shape+fresh+`}]}`)

	a = w.do("GET", app+"/secret", "")
	w.want(a, 200, `{"app_key":"K","app_secret":"S"}`)
	if a.json(t)["app_secret"] != secret || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("revealed %v, Cache-Control %q", a.body, a.header.Get("Cache-Control"))
	}

	const changed = `"app_key":"K","name":"door","enabled":true,"max_connections":0,"timestamp_window":"off","kinds":[],` +
		`"catch_up":"all","first_connection":"latest","cursors":"app",` + created
	a = w.do("PATCH", app, `{"name":"door","max_connections":0,"timestamp_window":"off","kinds":[],`+
		`"catch_up":"all","first_connection":"latest","cursors":"app"}`)
	w.want(a, 200, `{`+changed+`,"secrets":[{`+created+`}]}`)
	w.want(w.do("PATCH", app, `{}`), 200, `{`+changed+`,"secrets":[{`+created+`}]}`)
	if a := w.do("POST", app+"/disable", ""); a.status != 200 || a.json(t)["enabled"] != false {
		t.Errorf("disable: %+v", a)
	}
	if a := w.do("POST", app+"/enable", ""); a.status != 200 || a.json(t)["enabled"] != true {
		t.Errorf("enable: %+v", a)
	}
	a = w.do("POST", app+"/rotate", `{"overlap":"1h"}`)
	w.want(a, 200, `{`+changed+`,"secrets":[{`+created+`},{`+created+`,"expires":"2026-01-02T04:04:05Z"}],"app_secret":"S"}`)
	if a.json(t)["app_secret"] == secret {
		t.Error("the secret did not change")
	}
	a = w.do("POST", app+"/rotate", "")
	w.want(a, 200, `{`+changed+`,"secrets":[{`+created+`},{`+created+`,"expires":"2026-01-03T03:04:05Z"}],"app_secret":"S"}`)

	w.want(w.do("DELETE", app, ""), 204, "")
	w.refused(w.do("GET", app, ""), 404, "not_found", "")
	w.want(w.do("GET", "/api/v1/apps", ""), 200, `{"apps":[]}`)
}

func TestAnImportedAppKeepsItsKeyAndSecret(t *testing.T) {
	w := newWorld(t)
	body := `{"name":"old","app_key":"00112233445566ff","app_secret":"e30af86f8f4e75d128ba4288597dea3c"}`
	a := w.do("POST", "/api/v1/apps", body).json(t)
	if a["app_key"] != "00112233445566ff" || a["app_secret"] != "e30af86f8f4e75d128ba4288597dea3c" || a["timestamp_window"] != "30m0s" ||
		a["catch_up"] != "24h0m0s" || a["first_connection"] != "latest" || a["cursors"] != "app" {
		t.Errorf("imported: %v", a)
	}
	w.refused(w.do("POST", "/api/v1/apps", body), 409, "conflict", "/app_key")
}

func TestATokenIsCreatedListedUsedAndDeleted(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/api/v1/tokens", `{"name":"doors","scopes":["read","ingest"]}`)
	const shape = `"id":"I","name":"doors","scopes":["ingest","read"],"created":"2026-01-02T03:04:05Z"`
	w.want(a, 201, `{`+shape+`,"token":"T"}`)
	if a := w.do("GET", "/api/v1/tokens", ""); strings.Contains(a.body, "gct_") || !strings.Contains(a.body, `"name":"doors"`) || a.status != 200 {
		t.Errorf("list: %+v", a)
	}
	w.token["new"] = a.json(t)["token"].(string)
	if a := w.as("new", "GET", "/api/v1/status", ""); a.status != 200 {
		t.Errorf("with the new token: %+v", a)
	}
	path := "/api/v1/tokens/" + a.json(t)["id"].(string)
	w.want(w.do("DELETE", path, ""), 204, "")
	w.refused(w.as("new", "GET", "/api/v1/status", ""), 401, "unauthenticated", "")
	w.refused(w.do("DELETE", path, ""), 404, "not_found", "")
}

func TestStatusIsShownToReaders(t *testing.T) {
	w := newWorld(t)
	w.status.state = api.State{
		Version: "1.2.3", Extent: gatecast.Extent{Epoch: "e", First: 3, Last: 9, Events: 7, Bytes: 700},
		Ready: false, Reasons: []string{"the disk is full"}, Connections: 4, Uptime: 90 * time.Second,
	}
	w.want(w.as(auth.Read, "GET", "/api/v1/status", ""), 200, `{"version":"1.2.3","epoch":"e","first":3,"last":9,"events":7,`+
		`"bytes":700,"ready":false,"reasons":["the disk is full"],"warnings":[],"connections":4,"uptime_seconds":90}`)
	w.status.state = api.State{Ready: true}
	if a := w.as(auth.Read, "GET", "/api/v1/status", ""); !strings.Contains(a.body, `"reasons":[]`) {
		t.Errorf("no reasons: %s", a.body)
	}
}

func TestFaultsAreLoggedAndNotShown(t *testing.T) {
	w := newWorld(t)
	w.status.err = errors.New("open /var/lib/gatecast: no such file")
	a := w.as(auth.Read, "GET", "/api/v1/status", "")
	w.refused(a, 500, "internal", "")
	if strings.Contains(a.body, "/var/lib") || !strings.Contains(w.log.String(), "/var/lib") {
		t.Errorf("answer %s, log %s", a.body, w.log)
	}
	w.status.err = &gatecast.Error{Code: gatecast.Unavailable, Message: "no leader", Remedy: "try again", Cause: errors.New("node 2")}
	a = w.as(auth.Read, "GET", "/api/v1/status", "")
	w.refused(a, 503, "unavailable", "")
	if a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "node 2") || !strings.Contains(w.log.String(), "node 2") {
		t.Errorf("Retry-After %q, answer %s, log %s", a.header.Get("Retry-After"), a.body, w.log)
	}
}

func TestEveryRouteNeedsItsScope(t *testing.T) {
	w := newWorld(t)
	const app, subs, sub = "/api/v1/apps/00112233445566ff", "/api/v1/subscriptions", "/api/v1/subscriptions/sub_00112233445566ff"
	readable := []string{"status", "cursors", "connections", "subscriptions", "sub_00112233445566ff", "replay", "deliveries", "dead-letters", "7"}
	for _, route := range []string{
		"POST /api/v1/apps", "GET /api/v1/apps", "GET " + app, "PATCH " + app, "DELETE " + app, "GET " + app + "/secret",
		"POST " + app + "/rotate", "POST " + app + "/enable", "POST " + app + "/disable",
		"POST /api/v1/tokens", "GET /api/v1/tokens", "DELETE /api/v1/tokens/x", "GET /api/v1/status",
		"GET " + app + "/cursors", "GET /api/v1/connections", "GET /api/v1/doctor",
		"POST " + subs, "GET " + subs, "GET " + sub, "PATCH " + sub, "DELETE " + sub, "GET " + sub + "/secret", "POST " + sub + "/rotate",
		"POST " + sub + "/pause", "POST " + sub + "/resume", "POST " + sub + "/test", "POST " + sub + "/replay", "GET " + sub + "/replay",
		"DELETE " + sub + "/replay", "GET " + sub + "/deliveries", "GET " + sub + "/dead-letters", "GET " + sub + "/dead-letters/7",
		"POST " + sub + "/dead-letters/7/resend", "DELETE " + sub + "/dead-letters/7", "PUT " + app + "/subscription",
	} {
		method, path, _ := strings.Cut(route, " ")
		w.refused(w.as("", method, path, ""), 401, "unauthenticated", "")
		allowed := []auth.Scope{auth.Admin}
		if method == "GET" && slices.Contains(readable, path[strings.LastIndexByte(path, '/')+1:]) {
			allowed = append(allowed, auth.Read)
		}
		for _, scope := range auth.Scopes() {
			a := w.as(scope, method, path, "")
			if !slices.Contains(allowed, scope) {
				w.refused(a, 403, "forbidden", "")
			} else if a.status == 401 || a.status == 403 {
				t.Errorf("%s as %s: %d", route, scope, a.status)
			}
		}
	}
}

func TestARefusedRequestNamesThePlace(t *testing.T) {
	w := newWorld(t)
	const secret = "e30af86f8f4e75d128ba4288597dea3c"
	key := w.do("POST", "/api/v1/apps", `{"name":"gate"}`).json(t)["app_key"].(string)
	app := "/api/v1/apps/" + key
	for _, c := range []struct {
		method, path, body string
		status             int
		code, place        string
	}{
		{"POST", "/api/v1/apps", `{"name":`, 400, "malformed", ""},
		{"POST", "/api/v1/apps", ``, 400, "malformed", ""},
		{"POST", "/api/v1/apps", `[]`, 422, "invalid", ""},
		{"POST", "/api/v1/apps", `{}`, 422, "invalid", "/name"},
		{"POST", "/api/v1/apps", `{"name":"x","nmae":"` + secret + `"}`, 422, "invalid", "/nmae"},
		{"POST", "/api/v1/apps", `{"name":"x","app_secret":["` + secret + `"]}`, 422, "invalid", "/app_secret"},
		{"POST", "/api/v1/apps", `{"name":"x","app_key":"y","app_secret":"` + secret + `"}`, 422, "invalid", "/app_key"},
		{"POST", "/api/v1/apps", `{"name":"x","app_key":"00112233445566ff","app_secret":"` + secret + `!"}`, 422, "invalid", "/app_secret"},
		{"POST", "/api/v1/apps", `{"Name":"x","name":"y"}`, 422, "invalid", "/Name"},
		{"POST", "/api/v1/apps", `{"Name":"` + secret + `"}`, 422, "invalid", "/Name"},
		{"POST", "/api/v1/apps", `{"name":"x","name":"y"}`, 400, "malformed", "/name"},
		{"POST", "/api/v1/apps", `{"name":7}`, 422, "invalid", "/name"},
		{"POST", "/api/v1/apps", `{"name":""}`, 422, "invalid", "/name"},
		{"POST", "/api/v1/apps", `{"name":"gate"}`, 409, "conflict", "/name"},
		{"POST", "/api/v1/apps", `{"name":"x","kinds":[30000,"record"]}`, 422, "invalid", "/kinds/1"},
		{"POST", "/api/v1/apps", `{"name":"x","kinds":[30000,1]}`, 422, "invalid", "/kinds/1"},
		{"POST", "/api/v1/apps", `{"name":"x","timestamp_window":"soon"}`, 422, "invalid", "/timestamp_window"},
		{"POST", "/api/v1/apps", `{"name":"x","max_connections":-1}`, 422, "invalid", "/max_connections"},
		{"POST", "/api/v1/apps", `{"name":"x","max_connections":1e30}`, 422, "invalid", "/max_connections"},
		{"POST", "/api/v1/apps", `{"name":"x","catch_up":"1 day"}`, 422, "invalid", "/catch_up"},
		{"POST", "/api/v1/apps", `{"name":"x","catch_up":"10ms"}`, 422, "invalid", "/catch_up"},
		{"POST", "/api/v1/apps", `{"name":"x","first_connection":"now"}`, 422, "invalid", "/first_connection"},
		{"POST", "/api/v1/apps", `{"name":"x","cursors":"none"}`, 422, "invalid", "/cursors"},
		{"POST", "/api/v1/apps", `{"name":"` + strings.Repeat("x", 2000) + `"}`, 413, "too_large", ""},
		{"PATCH", app, `{"app_key":"x"}`, 422, "invalid", "/app_key"},
		{"PATCH", app, `{"timestamp_window":""}`, 422, "invalid", "/timestamp_window"},
		{"PATCH", app, `{"catch_up":""}`, 422, "invalid", "/catch_up"},
		{"PATCH", app, `{"catch_up":"0s"}`, 422, "invalid", "/catch_up"},
		{"PATCH", app, `{"first_connection":""}`, 422, "invalid", "/first_connection"},
		{"PATCH", app, `{"cursors":"client"}`, 422, "invalid", "/cursors"},
		{"PATCH", app, `{"name":"x "}`, 422, "invalid", "/name"},
		{"PATCH", "/api/v1/apps/nobody", `{"name":"x"}`, 404, "not_found", ""},
		{"POST", app + "/rotate", `{"overlap":"a while"}`, 422, "invalid", "/overlap"},
		{"POST", app + "/rotate", `{"overlap":"-1h"}`, 422, "invalid", "/overlap"},
		{"POST", app + "/rotate", `{"overlapp":"1h"}`, 422, "invalid", "/overlapp"},
		{"POST", "/api/v1/apps/nobody/rotate", ``, 404, "not_found", ""},
		{"POST", "/api/v1/apps/nobody/enable", ``, 404, "not_found", ""},
		{"GET", "/api/v1/apps/nobody/secret", ``, 404, "not_found", ""},
		{"DELETE", "/api/v1/apps/nobody", ``, 404, "not_found", ""},
		{"POST", "/api/v1/tokens", `{"name":"x","scopes":["root"]}`, 422, "invalid", "/scopes/0"},
		{"POST", "/api/v1/tokens", `{"name":"x","scopes":null}`, 422, "invalid", "/scopes"},
		{"POST", "/api/v1/tokens", `{"name":"x","scopes":[]}`, 422, "invalid", "/scopes"},
		{"POST", "/api/v1/tokens", `{"name":"the read","scopes":["read"]}`, 409, "conflict", "/name"},
		{"GET", "/api/v1/apps/nobody/cursors", ``, 404, "not_found", ""},
		{"GET", "/api/v1/connections?app_key=nobody", ``, 404, "not_found", ""},
		{"GET", "/api/v1/connections?limit=0", ``, 422, "invalid", ""},
		{"GET", "/api/v1/connections?limit=10001", ``, 422, "invalid", ""},
		{"GET", "/api/v1/connections?limit=many", ``, 422, "invalid", ""},
		{"GET", "/api/v1/nothing", ``, 404, "not_found", ""},
		{"GET", "/api/", ``, 404, "not_found", ""},
	} {
		a := w.do(c.method, c.path, c.body)
		w.refused(a, c.status, c.code, c.place)
		if strings.Contains(a.body, secret) {
			t.Errorf("%s %s: the answer repeats a secret: %s", c.method, c.path, a.body)
		}
		if t.Failed() {
			t.Fatalf("the case: %+v", c)
		}
	}
	w.refused(w.as(auth.Admin, "POST", "/api/v1/apps", "name: x", "Content-Type", "application/yaml"), 415, "malformed", "")
}

func TestAnotherMethodIsRefusedWithThoseThatWouldDo(t *testing.T) {
	w := newWorld(t)
	for route, allow := range map[string]string{
		"DELETE /api/v1/apps":                "GET, POST",
		"PUT /api/v1/apps/0011":              "GET, PATCH, DELETE",
		"GET /api/v1/events":                 "POST",
		"POST /api/v1/status":                "GET",
		"GET /api/v1/apps/0011/rotate":       "POST",
		"OPTIONS /api/v1/apps/0011/disable":  "POST",
		"DELETE /api/v1/apps/../apps/0011/x": "",
	} {
		method, path, _ := strings.Cut(route, " ")
		a := w.do(method, path, "")
		if allow == "" {
			w.refused(a, 404, "not_found", "")
			continue
		}
		w.refused(a, 405, "invalid", "")
		if got := a.header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow = %q, want %q", route, got, allow)
		}
	}
}

func TestSecretsAndTokensNeverReachTheLog(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/api/v1/apps", `{"name":"gate"}`).json(t)
	app := "/api/v1/apps/" + a["app_key"].(string)
	secrets := []string{a["app_secret"].(string), w.token[auth.Admin]}
	w.do("GET", app+"/secret", "")
	secrets = append(secrets, w.do("POST", app+"/rotate", "").json(t)["app_secret"].(string))
	secrets = append(secrets, w.do("POST", "/api/v1/tokens", `{"name":"t","scopes":["read"]}`).json(t)["token"].(string))
	w.do("DELETE", app, "")
	log := w.log.String()
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, what := range []string{"app created", "app secret revealed", "app secret rotated", "token created", "app deleted"} {
		line := regexp.MustCompile(`(?m)^.*"msg":"` + what + `".*$`).FindString(log)
		if !strings.Contains(line, `"by":"the admin"`) {
			t.Errorf("%s: the log says %q", what, line)
		}
		if strings.HasPrefix(what, "app") && !strings.Contains(line, a["app_key"].(string)) {
			t.Errorf("%s: the log does not say which app: %q", what, line)
		}
	}
}

func TestTheOpenAPIDocumentDescribesEveryRoute(t *testing.T) {
	w := newWorld(t)
	a := w.as("", "GET", "/api/openapi.json", "")
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 {
		t.Fatal(a.status, err)
	}
	var got []string
	for path, ops := range doc.Paths {
		for method, op := range ops {
			got = append(got, strings.ToUpper(method)+" "+path)
			text, err := json.Marshal(op)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{`"application/problem+json":{"schema":{"$ref":"#/components/schemas/Document"}}`, `"security":[{"token":[`} {
				if !strings.Contains(string(text), part) {
					t.Errorf("%s %s lacks %s: %s", method, path, part, text)
				}
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /api/v1/apps/{app_key}",
		"DELETE /api/v1/devices/{sn}",
		"DELETE /api/v1/mqtt/users/{name}",
		"DELETE /api/v1/quarantine/{id}",
		"DELETE /api/v1/sources/{name}",
		"DELETE /api/v1/subscriptions/{id}",
		"DELETE /api/v1/subscriptions/{id}/dead-letters/{seq}",
		"DELETE /api/v1/subscriptions/{id}/replay",
		"DELETE /api/v1/tokens/{id}",
		"GET /api/v1/apps",
		"GET /api/v1/apps/{app_key}",
		"GET /api/v1/apps/{app_key}/cursors",
		"GET /api/v1/apps/{app_key}/secret",
		"GET /api/v1/connections",
		"GET /api/v1/devices",
		"GET /api/v1/devices/{sn}",
		"GET /api/v1/doctor",
		"GET /api/v1/mqtt/users",
		"GET /api/v1/mqtt/users/{name}",
		"GET /api/v1/quarantine",
		"GET /api/v1/quarantine/{id}",
		"GET /api/v1/sources",
		"GET /api/v1/sources/{name}",
		"GET /api/v1/sources/{name}/token",
		"GET /api/v1/status",
		"GET /api/v1/subscriptions",
		"GET /api/v1/subscriptions/{id}",
		"GET /api/v1/subscriptions/{id}/dead-letters",
		"GET /api/v1/subscriptions/{id}/dead-letters/{seq}",
		"GET /api/v1/subscriptions/{id}/deliveries",
		"GET /api/v1/subscriptions/{id}/replay",
		"GET /api/v1/subscriptions/{id}/secret",
		"GET /api/v1/tokens",
		"PATCH /api/v1/apps/{app_key}",
		"PATCH /api/v1/mqtt/users/{name}",
		"PATCH /api/v1/sources/{name}",
		"PATCH /api/v1/subscriptions/{id}",
		"POST /api/v1/apps",
		"POST /api/v1/apps/{app_key}/disable",
		"POST /api/v1/apps/{app_key}/enable",
		"POST /api/v1/apps/{app_key}/rotate",
		"POST /api/v1/mqtt/users",
		"POST /api/v1/mqtt/users/{name}/rotate",
		"POST /api/v1/quarantine/{id}/inject",
		"POST /api/v1/sources",
		"POST /api/v1/sources/{name}/pause",
		"POST /api/v1/sources/{name}/reconcile",
		"POST /api/v1/sources/{name}/resume",
		"POST /api/v1/sources/{name}/rotate",
		"POST /api/v1/subscriptions",
		"POST /api/v1/subscriptions/{id}/dead-letters/{seq}/resend",
		"POST /api/v1/subscriptions/{id}/pause",
		"POST /api/v1/subscriptions/{id}/replay",
		"POST /api/v1/subscriptions/{id}/resume",
		"POST /api/v1/subscriptions/{id}/rotate",
		"POST /api/v1/subscriptions/{id}/test",
		"POST /api/v1/tokens",
		"PUT /api/v1/apps/{app_key}/subscription",
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Error(doc.OpenAPI, diff)
	}
	if strings.Contains(a.body, "ErrorModel") {
		t.Error("the document describes an error shape that is never sent")
	}
}
