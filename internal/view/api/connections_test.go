package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/view/api"
	"github.com/google/go-cmp/cmp"
)

// peers are the connections and cursors of a server that has none of its own.
type peers struct {
	connections []gatecast.Connection
	cursors     map[string][]gatecast.Cursor // by app
}

func (p *peers) List() []gatecast.Connection     { return slices.Clone(p.connections) }
func (p *peers) Of(app string) []gatecast.Cursor { return slices.Clone(p.cursors[app]) }

func (w *world) read(path string) answer { return w.as(auth.Read, "GET", path, "") }

// app makes an app and returns its key.
func (w *world) app(name string) string {
	return w.do("POST", "/api/v1/apps", `{"name":"`+name+`"}`).json(w.t)["app_key"].(string)
}

func at(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }

func TestAConnectionIsShownWithEverythingKnownOfIt(t *testing.T) {
	w := newWorld(t)
	key := w.app("gate")
	w.peers.connections = []gatecast.Connection{{
		App: key, Client: "office", Remote: "192.0.2.7:5000", Transport: "websocket", Connected: at(5),
		Mode: gatecast.ModeCatchingUp, Confirmation: gatecast.ConfirmAck, Start: 10, Position: 20, Confirmed: 15,
		LagEvents: 80, Lag: 90*time.Second + 1500*time.Microsecond, Events: 9, Bytes: 4000,
	}}
	w.want(w.read("/api/v1/connections"), 200, `{"total":1,"live":0,"catching_up":1,"stalled":0,"unconfirmed":0,"connections":[`+
		`{"app_key":"K","app_name":"gate","client":"office","remote":"192.0.2.7:5000","transport":"websocket",`+
		`"connected":"2026-01-02T03:04:05Z","mode":"catching up","confirmation":"ack","start":10,"position":20,"confirmed":15,`+
		`"lag_events":80,"lag_seconds":90.002,"events":9,"bytes":4000}]}`)
	w.peers.connections = nil
	w.want(w.read("/api/v1/connections"), 200, `{"total":0,"live":0,"catching_up":0,"stalled":0,"unconfirmed":0,"connections":[]}`)
}

func TestConnectionsAreSortedCountedAndCutShort(t *testing.T) {
	w := newWorld(t)
	a, b := w.app("alpha"), w.app("beta")
	conn := func(app, remote string, second int, m gatecast.Mode, c gatecast.Confirmation) {
		w.peers.connections = append(w.peers.connections, gatecast.Connection{
			App: app, Remote: remote, Connected: at(second), Mode: m, Confirmation: c,
		})
	}
	conn(b, "3", 9, gatecast.ModeLive, gatecast.ConfirmPong)
	conn(b, "2", 8, gatecast.ModeStalled, gatecast.ConfirmNone)
	conn(a, "1", 10, gatecast.ModeLive, gatecast.ConfirmPending)
	conn("", "0", 11, gatecast.ModeCatchingUp, gatecast.ConfirmNone)
	order := func(path string) string {
		got := w.read(path)
		if got.status != 200 {
			t.Fatal(path, got)
		}
		var remotes []string
		for _, c := range got.json(t)["connections"].([]any) {
			remotes = append(remotes, c.(map[string]any)["remote"].(string))
		}
		doc := got.json(t)
		return fmt.Sprintf("%s of %v: %v live, %v catching up, %v stalled, %v unconfirmed", strings.Join(remotes, ","),
			doc["total"], doc["live"], doc["catching_up"], doc["stalled"], doc["unconfirmed"])
	}
	for path, want := range map[string]string{
		"/api/v1/connections":              "0,1,2,3 of 4: 2 live, 1 catching up, 1 stalled, 2 unconfirmed",
		"/api/v1/connections?limit=2":      "0,1 of 4: 2 live, 1 catching up, 1 stalled, 2 unconfirmed",
		"/api/v1/connections?app_key=" + b: "2,3 of 2: 1 live, 0 catching up, 1 stalled, 1 unconfirmed",
	} {
		if got := order(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for i := range 1001 {
		conn(a, fmt.Sprint(i), 1, gatecast.ModeLive, gatecast.ConfirmPong)
	}
	for path, want := range map[string]int{"/api/v1/connections": 1000, "/api/v1/connections?limit=10000": 1005} {
		if got := len(w.read(path).json(t)["connections"].([]any)); got != want {
			t.Errorf("%s: %d connections, want %d", path, got, want)
		}
	}
}

func TestCursorsTellHowFarEachConsumerHasGot(t *testing.T) {
	w := newWorld(t)
	key, other := w.app("gate"), w.app("door")
	w.status.state = api.State{Extent: gatecast.Extent{Epoch: "e", First: 1, Last: 100}}
	w.peers.cursors = map[string][]gatecast.Cursor{key: {
		{Consumer: gatecast.NamedConsumer(key, "office"), Seq: 100, Epoch: "e", Confirmed: at(5), Complete: at(4), Lost: 120},
		{Consumer: gatecast.AddressConsumer(key, "192.0.2.7"), Seq: 7, Epoch: "old"},
		{Consumer: gatecast.Consumer{App: key}, Seq: 90, Epoch: "e"},
	}}
	const path = "/api/v1/apps/%s/cursors"
	w.want(w.read(fmt.Sprintf(path, key)), 200, `{"cursors":[`+
		`{"seq":90,"epoch":"e","lag_events":10,"lost":0},`+
		`{"address":"192.0.2.7","seq":7,"epoch":"old","lost":0},`+
		`{"client":"office","seq":100,"epoch":"e","lag_events":0,"confirmed":"2026-01-02T03:04:05Z",`+
		`"complete_since":"2026-01-02T03:04:04Z","lost":120}]}`)
	w.want(w.read(fmt.Sprintf(path, other)), 200, `{"cursors":[]}`)
}

func TestAnUnreadableBodyIsRefusedInPlainWords(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string][2]string{
		`{"name":`:                            {"the body ends in the middle of a JSON value", "send one JSON object, encoded as UTF-8"},
		`{"name":"x","name":"y"}`:             {"the same member name stands twice in one object", "give every member once"},
		"{\"name\":\"\xff\"}":                 {"the body is not valid UTF-8", "send one JSON object, encoded as UTF-8"},
		`{"name" "x"}`:                        {"the body is not valid JSON: ", "send one JSON object, encoded as UTF-8"},
		`{"name":"x","max_connections":1e30}`: {"the value does not fit", "give a whole number"},
		`{"Name":"x","name":"y"}`:             {"unexpected property", "/api/openapi.json"},
	} {
		doc := w.do("POST", "/api/v1/apps", body).json(t)
		detail, remedy := doc["detail"].(string), doc["remedy"].(string)
		if !strings.Contains(detail, want[0]) || !strings.Contains(remedy, want[1]) {
			t.Errorf("%s: %q, %q; want %q", body, detail, remedy, want)
		}
		for _, leak := range []string{"jsontext", "json:", "strconv", "Go ", "offset", "within", "invalid syntax"} {
			if strings.Contains(detail+remedy, leak) {
				t.Errorf("%s: the answer leaks %q: %q, %q", body, leak, detail, remedy)
			}
		}
	}
}

func TestAContentTypeThatIsNotJSONIsRefusedWithTheRightOne(t *testing.T) {
	w := newWorld(t)
	key := w.app("gate")
	for _, route := range []string{"POST /api/v1/apps", "PATCH /api/v1/apps/" + key, "POST /api/v1/apps/" + key + "/rotate", "POST /api/v1/tokens"} {
		method, path, _ := strings.Cut(route, " ")
		for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain; charset=utf-8", "application/yaml", "text/json"} {
			a := w.as(auth.Admin, method, path, `{"name":"x","scopes":["read"]}`, "Content-Type", contentType)
			w.refused(a, 415, "malformed", "")
			doc := a.json(t)
			got := map[string]any{"detail": doc["detail"], "remedy": doc["remedy"]}
			want := map[string]any{
				"detail": fmt.Sprintf("the content type %q is not supported", contentType), "remedy": "send Content-Type: application/json",
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s as %s: %s", route, contentType, cmp.Diff(want, got))
			}
		}
	}
}
