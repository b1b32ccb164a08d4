package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// file writes a settings file and changes to its directory, so that its name
// in messages is short.
func file(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("g.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "g.toml"
}

// problems loads and returns the message of each problem.
func problems(t *testing.T, src Sources) []string {
	t.Helper()
	_, _, err := Load(src)
	if err == nil {
		return nil
	}
	var e *LoadError
	if !errors.As(err, &e) {
		t.Fatalf("not a LoadError: %v", err)
	}
	var list []string
	for _, p := range e.Problems {
		list = append(list, p.String())
	}
	return list
}

func TestNothingGivenMeansTheDefaultsAndTheyAreRight(t *testing.T) {
	c, origins, err := Load(Sources{Env: []string{"PATH=/bin", "GATECAST_TOKEN=x", "GATECAST_SERVER=y", "GATECAST_CONFIG=z"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c); diff != "" || len(origins) != 0 {
		t.Error(diff, origins)
	}
	// Each default passes its own check, and every setting explains itself.
	for _, s := range settings(&c) {
		if err := s.set(s.text()); err != nil {
			t.Errorf("%s: its default %q is refused", s.name, s.text())
		}
		if d := s.tag.Get("desc"); !strings.HasSuffix(d, ".") {
			t.Errorf("%s: desc %q is no sentence", s.name, d)
		}
	}
}

func TestAFlagWinsOverAVariableOverTheFile(t *testing.T) {
	c, origins, err := Load(Sources{
		File: file(t, "[hub]\nring = 100\n[ingest]\nmax_batch = 10\nmax_depth = 10\n"),
		Env:  []string{"GATECAST_HUB_RING=200", "GATECAST_INGEST_MAX_BATCH=20"}, Flags: map[string]string{"hub.ring": "300"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Hub.Ring != 300 || c.Ingest.MaxBatch != 20 || c.Ingest.MaxDepth != 10 {
		t.Errorf("got %d, %d, %d", c.Hub.Ring, c.Ingest.MaxBatch, c.Ingest.MaxDepth)
	}
	want := Origins{"hub.ring": "--hub.ring", "ingest.max_batch": "GATECAST_INGEST_MAX_BATCH", "ingest.max_depth": "g.toml:5:13"}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Error(diff)
	}
}

func TestEveryWayToWriteASettingIsRead(t *testing.T) {
	c, _, err := Load(Sources{File: file(t, `
hub.ring = 100
log = { level = "debug", format = "json" }
[server]
listen = "127.0.0.1:0"
max_header = 65_536
shutdown_timeout = '1m30s'
[journal]
max_age = "90d"
max_bytes = "2GB"
[websocket]
heartbeat_jitter = 0
deflate = false
allowed_origins = [ # both doors
  "https://a.example", "http://b.example:8080",
]
`), Env: []string{"GATECAST_INGEST_MAX_BODY=1 MiB"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Server.Listen, want.Server.MaxHeader, want.Server.ShutdownTimeout = "127.0.0.1:0", 64*KiB, 90*time.Second
	want.Log = Log{Level: "debug", Format: "json"}
	want.Journal.MaxAge, want.Journal.MaxBytes = 90*24*time.Hour, 2_000_000_000
	want.WebSocket.HeartbeatJitter, want.WebSocket.Deflate = 0, false
	want.WebSocket.AllowedOrigins = []string{"https://a.example", "http://b.example:8080"}
	want.Ingest.MaxBody, want.Hub.Ring = MiB, 100
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestEverythingWrongIsToldAtOnceWithItsPlaceAndRemedy(t *testing.T) {
	got := problems(t, Sources{
		File: file(t, `
[server]
lisen = ":9000"
shutdown_timeout = 30
"server.data" = "x"
[webscoket]
ring = 1
[log]
level = "wran"
"名" = 1
heartbeat = "30s"
[[hub]]
[ingest]
max_body = true
max_batch = "1000"
max_event = "0"
[websocket]
deflate = "yes"
allowed_origins = "https://a.example"
dead_after = "10s"
heartbeat_jitter = nan
[journal]
url = "http://user:hunter2@host"
[tls]
cert = "a.pem"
`),
		Env:   []string{"GATECAST_HUB_RNG=5", "GATECAST_HUB_RING=five", "GATECAST_JOURNAL_MAX_AGE=-1s"},
		Flags: map[string]string{"hub.rign": "5", "server.listen": "9000"},
	})
	want := []string{
		`g.toml:3:1: server.lisen: there is no such setting; did you mean server.listen?`,
		`g.toml:4:20: server.shutdown_timeout: found 30, expected a duration from 1s to 10m, such as 30s, 5m or 90d; write the unit and quotes: "30s"`,
		`g.toml:5:1: server."server.data": there is no such setting; docs/config.md lists every setting`,
		`g.toml:6:2: [webscoket]: there is no such setting; did you mean websocket?`,
		`g.toml:9:9: log.level: found "wran", expected one of debug, info, warn, error; did you mean warn?`,
		`g.toml:10:1: log.名: there is no such setting; docs/config.md lists every setting`,
		`g.toml:11:1: log.heartbeat: there is no such setting; did you mean websocket.heartbeat?`,
		`g.toml:12:3: hub: found [[hub]], expected [hub]; use single brackets`,
		`g.toml:14:12: ingest.max_body: found true, expected a size from 1KiB to 1GiB, such as 64KiB or 8MiB; the default is 8MiB`,
		`g.toml:15:13: ingest.max_batch: found "1000", expected a whole number from 1 to 1000; write it without quotes`,
		`g.toml:16:13: ingest.max_event: found "0", expected a size from 1KiB to 4MiB, such as 64KiB or 8MiB; the default is 256KiB`,
		`g.toml:18:11: websocket.deflate: found "yes", expected true or false; write it without quotes`,
		`g.toml:19:19: websocket.allowed_origins: found "https://a.example", expected a list of origins such as https://door.example, without a path; write a list in brackets: ["https://a.example"]`,
		`g.toml:21:20: websocket.heartbeat_jitter: found nan, expected a number from 0 to 0.5; the default is 0.1`,
		`g.toml:23:7: journal.url: found "http://***@host", expected addresses such as nats://host:4222, separated by commas, or nothing; the default is nothing`,
		`GATECAST_HUB_RING: hub.ring: found "five", expected a whole number from 16 to 10000000; the default is 8192`,
		`GATECAST_HUB_RNG: there is no such setting; did you mean GATECAST_HUB_RING?`,
		`GATECAST_JOURNAL_MAX_AGE: journal.max_age: found "-1s", expected a duration of at least 0s, such as 30s, 5m or 90d; the default is 2160h`,
		`--hub.rign: there is no such setting; did you mean hub.ring?`,
		`--server.listen: server.listen: found "9000", expected an address host:port such as :9000 or 127.0.0.1:9000; the default is :9000`,
		`g.toml:25:8: tls.cert: a certificate needs its key; set tls.key to the file of its private key`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsThatDoNotGoTogetherAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		flags map[string]string
		key   string // empty: allowed
	}{
		"key without cert":            {map[string]string{"tls.key": "k"}, "tls.key"},
		"both":                        {map[string]string{"tls.key": "k", "tls.cert": "c"}, ""},
		"drain as long":               {map[string]string{"server.drain_spread": "10s"}, "server.drain_spread"},
		"drain shorter":               {map[string]string{"server.drain_spread": "9s"}, ""},
		"cluster without url":         {map[string]string{"journal.replicas": "3"}, "journal.replicas"},
		"cluster":                     {map[string]string{"journal.replicas": "3", "journal.url": "nats://a, tls://b"}, ""},
		"tiny journal":                {map[string]string{"journal.max_bytes": "15MiB"}, "journal.max_bytes"},
		"small journal":               {map[string]string{"journal.max_bytes": "16MiB"}, ""},
		"dedup beyond age":            {map[string]string{"journal.max_age": "59m"}, "journal.dedup_window"},
		"dedup as age":                {map[string]string{"journal.max_age": "1h"}, ""},
		"no age":                      {map[string]string{"journal.max_age": "0s"}, ""},
		"event above body":            {map[string]string{"ingest.max_body": "255KiB"}, "ingest.max_event"},
		"body above inflight":         {map[string]string{"ingest.max_body": "65MiB"}, "ingest.max_inflight"},
		"dead at a beat":              {map[string]string{"websocket.dead_after": "33s"}, "websocket.dead_after"},
		"dead after a beat":           {map[string]string{"websocket.dead_after": "34s"}, ""},
		"mqtt without a certificate":  {map[string]string{"mqtt.listen": ":8883"}, "mqtt.tls"},
		"mqtt with that of tls":       {map[string]string{"mqtt.listen": ":8883", "tls.key": "k", "tls.cert": "c"}, ""},
		"mqtt with its own":           {map[string]string{"mqtt.listen": ":8883", "mqtt.key": "k", "mqtt.cert": "c"}, ""},
		"mqtt in the clear":           {map[string]string{"mqtt.listen": ":1883", "mqtt.tls": "off"}, ""},
		"mqtt key without cert":       {map[string]string{"mqtt.key": "k"}, "mqtt.key"},
		"mqtt cert without key":       {map[string]string{"mqtt.cert": "c"}, "mqtt.cert"},
		"mqtt message above memory":   {map[string]string{"mqtt.max_packet": "2MiB", "mqtt.memory": "1MiB"}, "mqtt.memory"},
		"mqtt address without a port": {map[string]string{"mqtt.listen": "8883"}, "mqtt.listen"},
		"app above all":               {map[string]string{"websocket.max_connections": "999"}, "websocket.max_connections_per_app"},
		"app as all":                  {map[string]string{"websocket.max_connections": "1000"}, ""},
	} {
		_, _, err := Load(Sources{Flags: tc.flags})
		var e *LoadError
		errors.As(err, &e)
		switch {
		case tc.key == "" && err == nil:
		case e == nil || len(e.Problems) != 1 || e.Problems[0].Key != tc.key || e.Problems[0].Remedy == "":
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatCrossesTheNetworkInTheClearIsWarnedOf(t *testing.T) {
	for listen, want := range map[string]int{"": 0, "127.0.0.1:1883": 0, "[::1]:1883": 0, "localhost:1883": 0, ":1883": 1, "0.0.0.0:1883": 1, "gate.example:1883": 1} {
		c := Default()
		c.Server.Listen, c.MQTT.Listen, c.MQTT.TLS = "127.0.0.1:9000", listen, "off"
		if got := c.Warnings(); len(got) != want {
			t.Errorf("listening on %q: %q", listen, got)
		}
		if c.MQTT.TLS = "on"; len(c.Warnings()) != 0 {
			t.Errorf("listening on %q with TLS: %q", listen, c.Warnings())
		}
	}
}

func TestWhatIsNoTOMLIsToldWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"[server]\nlisten = :9000\n":     "g.toml:2:10: this is not TOML",
		"[hub]\nring = 1\nring = 2\n":    "g.toml:3:1: this is not TOML",
		"[hub]\n[hub]\n":                 "g.toml:2:2: this is not TOML",
		strings.Repeat("#", 1<<20+1):     "g.toml: this file has 1048577 bytes",
		"hub = 5":                        `g.toml:1:1: hub: found 5, expected a table; write [hub]`,
		"[server]\ndata = \"\\u0000\"\n": "g.toml:2:8: server.data: found",
	} {
		got := problems(t, Sources{File: file(t, text)})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: got %q", text, got)
		}
	}
	if _, _, err := Load(Sources{File: "no-such-file"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestProblemsAreInvalidInput(t *testing.T) {
	_, _, err := Load(Sources{Flags: map[string]string{"hub.ring": "x"}})
	var e *gatecast.Error
	if !errors.As(err, &e) || e.Code != gatecast.Invalid || e.At.Path != "/hub/ring" || e.At.Found != `"x"` {
		t.Errorf("got %#v", e)
	}
}

func TestPrintedSettingsHideSecretsAndSayWhereTheyCameFrom(t *testing.T) {
	c, o, err := Load(Sources{Flags: map[string]string{"journal.url": "nats://token@a:1,tls://u:p@b:2"}, Env: []string{"GATECAST_HUB_RING=99"}})
	if err != nil {
		t.Fatal(err)
	}
	out := string(c.TOML(o))
	for _, want := range []string{
		"url = \"nats://***@a:1,tls://***@b:2\"  # --journal.url\n", "ring = 99  # GATECAST_HUB_RING\n", "listen = \":9000\"  # default\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// Printing and loading are inverse, for every value a setting may have.
func TestPrintedSettingsLoadToTheSame(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		want := Default()
		want.Server.Data = rapid.StringN(1, 20, -1).Filter(func(s string) bool {
			return strings.TrimSpace(s) != "" && !strings.ContainsRune(s, 0)
		}).Draw(t, "data")
		want.Server.ReadHeaderTimeout = time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(5*time.Minute)).Draw(t, "timeout"))
		want.Journal.MaxBytes = Size(rapid.Int64Range(int64(16*MiB), 1<<62).Draw(t, "bytes"))
		want.WebSocket.HeartbeatJitter = rapid.Float64Range(0, 0.5).Draw(t, "jitter")
		want.WebSocket.AllowedOrigins = rapid.SliceOfN(rapid.SampledFrom([]string{"https://a", "http://b:1"}), 1, 3).Draw(t, "origins")
		path := filepath.Join(dir, "round.toml")
		if err := os.WriteFile(path, want.TOML(nil), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := Load(Sources{File: path})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// No file makes Load panic, and what it accepts keeps every limit.
func FuzzFile(f *testing.F) {
	f.Add(string(Sample()))
	f.Add("[server]\nlisten = \":1\"\n[a.b]\nc = {d = [1, {e = 2}]}\n[[x]]\n")
	f.Add("\"a.b\" = '''\n'''\nhub = {ring = 20, no.such = 1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		l := newLoader(&c)
		l.file("f", []byte(text))
		for _, s := range settings(&c) {
			if err := s.set(s.text()); err != nil && s.typeName() != "list of texts" {
				t.Errorf("%s accepted %q", s.name, s.text())
			}
		}
		for _, p := range l.problems {
			if !strings.HasPrefix(p.String(), "f:") {
				t.Errorf("problem without a place: %s", p)
			}
		}
	})
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1500": 1500, "1500B": 1500, "8MiB": 8 * MiB, "8 MiB": 8 * MiB, "8mib": 8 * MiB, "1KB": 1000, "2TiB": 2 * TiB,
		"": -1, "MiB": -1, "-1MiB": -1, "1.5MiB": -1, "1M": -1, "1MiBB": -1, "9223372036854775807": 1<<63 - 1,
		"8388608TiB": -1, "18446744073709551615": -1,
	} {
		got, err := ParseSize(text)
		if (want < 0) != (err != nil) || (err == nil && got != want) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if err == nil {
			if again, err := ParseSize(got.String()); err != nil || again != got {
				t.Errorf("%q is written as %q", text, got)
			}
		}
	}
}

func TestNoSectionHasMoreSettingsThanAReaderCanHold(t *testing.T) {
	c := Default()
	for _, sec := range sections(&c) {
		if len(sec.rows) > 13 || sec.desc == "" {
			t.Errorf("[%s]: %d settings, desc %q", sec.name, len(sec.rows), sec.desc)
		}
	}
	if got, want := len(Keys()), reflect.TypeFor[Config]().NumField(); got <= want {
		t.Errorf("%d keys in %d sections", got, want)
	}
}

func update(t *testing.T) bool {
	t.Helper()
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// TestMain declares -update, which rewrites the pages made from the tags.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite docs/config.md and docs/config.sample.toml")
	flag.Parse()
	m.Run()
}

func TestTheManualIsUpToDate(t *testing.T) {
	for name, want := range map[string][]byte{"config.md": Markdown(), "config.sample.toml": Sample()} {
		path := filepath.Join("..", "..", "docs", name)
		if update(t) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the tags say (%v); run: go test ./internal/config -update", path, err)
		}
	}
}

func TestTheSampleChangesNothing(t *testing.T) {
	c, o, err := Load(Sources{File: file(t, string(Sample()))})
	if diff := cmp.Diff(Default(), c); err != nil || diff != "" || len(o) != 0 {
		t.Error(err, diff, o)
	}
	// Without the comment signs before them, its settings are still right.
	var on []string
	for line := range strings.Lines(string(Sample())) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			line = rest
		}
		on = append(on, line)
	}
	c, o, err = Load(Sources{File: file(t, strings.Join(on, ""))})
	if err != nil || len(o) != len(Keys()) {
		t.Fatal(err, len(o))
	}
	c.WebSocket.AllowedOrigins = nil // [] and nothing mean the same
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Error(diff)
	}
}
