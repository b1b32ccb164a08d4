package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/registry"
	server "github.com/gatecast/gatecast/internal/view/api"
)

// site is the API over a registry in memory, with connections and cursors as a
// test wants them.
type site struct {
	http        *httptest.Server
	token       string
	app         *gatecast.App
	connections []gatecast.Connection
	cursors     []gatecast.Cursor
	reg         *registry.Registry
	hooks       *receivers
	other       *upstream
	fleet       *fleet
}

func (s *site) List() []gatecast.Connection {
	return append([]gatecast.Connection(nil), s.connections...)
}
func (s *site) Of(string) []gatecast.Cursor { return append([]gatecast.Cursor(nil), s.cursors...) }
func (s *site) Status(context.Context) (server.State, error) {
	return server.State{Ready: true, Extent: gatecast.Extent{Epoch: "e", First: 1, Last: 1000}}, nil
}

func newSite(t *testing.T, start func(http.Handler) *httptest.Server) *site {
	t.Helper()
	reg := registry.OpenMem(registry.Options{})
	t.Cleanup(reg.Close)
	s := &site{reg: reg, other: &upstream{}, fleet: &fleet{}, hooks: &receivers{extent: gatecast.Extent{Epoch: "e", First: 1, Last: 1000}}}
	var err error
	if s.app, err = reg.CreateApp(t.Context(), gatecast.AppSpec{Name: "東門"}); err != nil {
		t.Fatal(err)
	}
	if _, s.token, err = reg.CreateToken(t.Context(), "admin", []auth.Scope{auth.Admin}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server.Register(mux, server.Options{
		Apps: reg, Tokens: reg, Status: s, Connections: s, Cursors: s, Guard: auth.Guard{Tokens: reg},
		Hooks:     server.Hooks{Subscriptions: reg, Deliveries: s.hooks, DeadLetters: s.hooks, Log: s.hooks, Positions: s.hooks},
		Devices:   s.fleet,
		Upstreams: server.Upstreams{Sources: reg, States: s.other, Quarantine: s.other, MQTT: reg, Online: func(string) int { return 2 }, Wait: 10 * time.Millisecond},
	})
	s.http = start(mux)
	t.Cleanup(s.http.Close)
	return s
}

// run executes a command against the site, or another server if args name one.
func (s *site) run(args ...string) (status int, out, errs string) { return s.runWith("", args...) }

// runWith is run with something on standard input.
func (s *site) runWith(in string, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	args = append(append([]string{"gatecast"}, args...), "--token", s.token)
	if !strings.Contains(strings.Join(args, " "), "--server") {
		args = append(args, "--server", s.http.URL)
	}
	status = run(terminal{in: strings.NewReader(in), out: &stdout, err: &stderr}, args)
	return status, stdout.String(), stderr.String()
}

func TestConnectionsAreATableWithTheirSumsBelow(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.connections = []gatecast.Connection{
		{
			App: s.app.Key, Remote: "192.0.2.7:5000", Connected: at, Mode: gatecast.ModeLive, Confirmation: gatecast.ConfirmPong,
			Position: 1000, Events: 12, Bytes: 4096,
		},
		{
			App: s.app.Key, Client: "off\x1b[31mice", Remote: "192.0.2.8:5000", Connected: at.Add(time.Hour), Mode: gatecast.ModeCatchingUp,
			Confirmation: gatecast.ConfirmNone, Position: 10, LagEvents: 990, Lag: 3 * time.Hour, Events: 3, Bytes: 100,
		},
	}
	status, out, errs := s.run("connections")
	want := `APP   CLIENT       ADDRESS         CONNECTED            MODE         CONFIRMS  POSITION  LAG  LAG TIME  EVENTS  BYTES
東門  -            192.0.2.7:5000  2026-01-02 03:04:05  live         pong      1000      0    0 s       12      4.0 KiB
東門  off�[31mice  192.0.2.8:5000  2026-01-02 04:04:05  catching up  none      10        990  3 h       3       100 B
2 connections: 1 live, 1 catching up, 0 stalled; 1 never confirming
`
	if diff := cmp.Diff(want, out); diff != "" || status != 0 || errs != "" {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	_, out, _ = s.run("connections", "--limit", "1", "--app", s.app.Key)
	if !strings.HasSuffix(out, "1 never confirming (only 1 are listed; see --limit)\n") || strings.Count(out, "東門") != 1 {
		t.Errorf("with a limit: %s", out)
	}
	_, out, _ = s.run("connections", "--json")
	if !strings.Contains(out, `"mode": "catching up"`) || !strings.Contains(out, `"lag_seconds": 10800`) {
		t.Errorf("as JSON: %s", out)
	}
}

func TestAnAppIsShownWithItsCursors(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	complete := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.cursors = []gatecast.Cursor{
		{Consumer: gatecast.Consumer{App: s.app.Key}, Seq: 990, Epoch: "e", Confirmed: time.Now().Add(-3 * time.Hour), Complete: complete, Lost: 120},
		{Consumer: gatecast.NamedConsumer(s.app.Key, "office"), Seq: 1000, Epoch: "e"},
		{Consumer: gatecast.AddressConsumer(s.app.Key, "192.0.2.7"), Seq: 5, Epoch: "old"},
	}
	const cursors = `cursor of the app    complete since 2026-01-02 03:04:05, 10 behind, confirmed 3 h ago, lost 120
cursor of 192.0.2.7  at 5 of another journal, never confirmed, lost 0
cursor of office     0 behind, never confirmed, lost 0
`
	status, out, errs := s.run("app", "cursors", s.app.Key)
	if diff := cmp.Diff(cursors, out); diff != "" || status != 0 {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	_, out, _ = s.run("app", "show", s.app.Key)
	for line := range strings.Lines(cursors) {
		if name, text, _ := strings.Cut(line, "  "); !regexp.MustCompile(name + " +" + strings.TrimSpace(text) + "\n").MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
	if !regexp.MustCompile(`catch-up +24h0m0s\nfirst connection +latest\ncursors +by app\n`).MatchString(out) {
		t.Errorf("show lacks the catch-up: %s", out)
	}
}

func TestHTTPAndHTTPSMistakenForEachOtherAreTold(t *testing.T) {
	plain := newSite(t, httptest.NewServer)
	wrong := strings.Replace(plain.http.URL, "http://", "https://", 1)
	status, _, errs := plain.run("app", "list", "--server", wrong)
	if !strings.Contains(errs, "it speaks HTTP, not HTTPS\n  give it as --server "+plain.http.URL+" ") || status != exitUnavailable {
		t.Errorf("HTTPS to a server without it: status %d, %s", status, errs)
	}
	secure := newSite(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // each mistake would be told there too
		s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
		s.StartTLS()
		return s
	})
	wrong = strings.Replace(secure.http.URL, "https://", "http://", 1)
	status, _, errs = secure.run("app", "list", "--server", wrong)
	if !strings.Contains(errs, "it speaks HTTPS, not HTTP\n  give it as --server "+secure.http.URL+" ") || status != exitUnavailable {
		t.Errorf("HTTP to a server with TLS: status %d, %s", status, errs)
	}
}

func TestASpanOfTimeIsToldInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 1999 * time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min",
		119 * time.Minute: "119 min", 2 * time.Hour: "2 h", 47 * time.Hour: "47 h", 100 * time.Hour: "4 d",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
