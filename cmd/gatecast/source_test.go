package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

// addSource makes a source by the command that gatecast connects to.
func (s *site) addSource(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"source", "add", "office", "--url", "ws://10.1.2.3:9000", "--app-key", "key", "--app-secret", "very-secret"}, args...)
	if status, out, errs := s.run(args...); status != 0 || strings.Contains(out+errs, "very-secret") {
		t.Fatalf("add: status %d, %s%s", status, out, errs)
	}
}

// source is one as the server keeps it.
func (s *site) source(t *testing.T, name string) gatecast.Source {
	t.Helper()
	src, ok := s.reg.Source(name)
	if !ok {
		t.Fatalf("no source %q", name)
	}
	return *src
}

func TestAServerThatPostsIsSaidTheURLToSet(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	status, out, errs := s.run("source", "add", "yard", "--kind", "subscription")
	address := s.http.URL + "/ingest/senselink/" + s.source(t, "yard").Token
	if diff := cmp.Diff("name     yard\nkind     subscription\npost to  "+address+"\n", out); diff != "" || status != 0 {
		t.Errorf("status %d, %s", status, diff)
	}
	for _, next := range []string{
		"gatecast source url yard\n", "gatecast source show yard\n", "put a name of this machine in the place of 127.0.0.1\n",
		"gatecast source update yard --rest URL\n",
	} {
		if !strings.Contains(errs, next) {
			t.Errorf("what to do next lacks %q: %s", next, errs)
		}
	}
	if status, out, _ := s.run("source", "url", "yard"); out != address+"\n" || status != 0 {
		t.Errorf("url: status %d, %s", status, out)
	}
	for _, command := range []string{"show", "list"} {
		if _, out, _ := s.run("source", command, "yard"); strings.Contains(out, "/ingest/") {
			t.Errorf("%s tells the URL: %s", command, out)
		}
	}
	_, out, _ = s.run("source", "add", "other", "--kind", "subscription", "--json")
	if !strings.Contains(out, `"path": "/ingest/senselink/`) {
		t.Errorf("as JSON: %s", out)
	}
	s.addSource(t)
	if status, _, errs := s.run("source", "url", "office"); status != exitFailed || !strings.Contains(errs, "gatecast connects to it") {
		t.Errorf("of a server that does not post: status %d, %s", status, errs)
	}
}

func TestTheOldURLOfASourceIsGoodForAWhile(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.run("source", "add", "yard", "--kind", "subscription")
	old := s.source(t, "yard").Token
	status, out, errs := s.run("source", "rotate", "yard", "--overlap", "2h")
	src := s.source(t, "yard")
	want := "name     yard\npost to  " + s.http.URL + "/ingest/senselink/" + src.Token + "\nold URL  good until " + timeText(src.Former.Expires) + "\n"
	if diff := cmp.Diff(want, out); diff != "" || status != 0 || src.Token == old {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	if _, out, _ := s.run("source", "show", "yard"); !strings.Contains(out, "good until") || strings.Contains(out, src.Token) {
		t.Errorf("show: %s", out)
	}
	if status, out, _ := s.run("source", "rotate", "yard", "--overlap", "0s"); status != 0 || strings.Contains(out, "old URL") {
		t.Errorf("at once: status %d, %s", status, out)
	}
	if status, _, errs := s.run("source", "rotate", "yard", "--overlap", "soon"); status == 0 || !strings.HasPrefix(errs, "gatecast: --overlap:") {
		t.Errorf("status %d, %s", status, errs)
	}
}

func TestEveryFlagOfASourceReachesTheServer(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.addSource(t, "--kind", "websocket", "--company", "7", "--description", "東門", "--rest", "http://10.1.2.3:9000", "--rest-style", "v4",
		"--rest-every", "1m", "--rest-lookback", "48h", "--rest-zone", "Asia/Tokyo")
	want := gatecast.SourceSettings{
		Kind: gatecast.SourceWebSocket, URL: "ws://10.1.2.3:9000", AppKey: "key", AppSecret: "very-secret", Company: 7, Description: "東門",
		REST: gatecast.SourceREST{
			URL: "http://10.1.2.3:9000", Style: gatecast.RESTv4, Every: time.Minute, Lookback: 48 * time.Hour, Zone: "Asia/Tokyo",
		},
	}
	if diff := cmp.Diff(want, s.source(t, "office").Settings); diff != "" {
		t.Error(diff)
	}
	_, out, _ := s.run("source", "show", "office")
	for _, line := range []string{
		"kind +websocket", "url +ws://10.1.2.3:9000", "app key +key", "description +東門", "company +7",
		`asked +http://10.1.2.3:9000 \(v4\) every 1m0s`, "first look +48h0m0s back", "zone of its times +Asia/Tokyo",
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
	if strings.Contains(out, "very-secret") {
		t.Errorf("show tells the secret: %s", out)
	}
	s.run("source", "update", "office", "--rest-zone", "UTC", "--company", "0")
	want.REST.Zone, want.Company = "UTC", 0
	if diff := cmp.Diff(want, s.source(t, "office").Settings); diff != "" {
		t.Error(diff)
	}
	if status, out, errs := s.run("source", "update", "office", "--rest", "none"); status != 0 || !strings.Contains(out, "asked             never") {
		t.Errorf("never asked: status %d, %s%s", status, out, errs)
	}
	want.REST = gatecast.SourceSettings{}.WithDefaults().REST
	if diff := cmp.Diff(want, s.source(t, "office").Settings); diff != "" {
		t.Error(diff)
	}
}

func TestASecretOfASourceNeedNotStandOnTheCommandLine(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.addSource(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from-a-file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, run := range map[string]func() (int, string, string){
		"from-a-file": func() (int, string, string) { return s.run("source", "update", "office", "--app-secret", "@"+file) },
		"from-input": func() (int, string, string) {
			return s.runWith("from-input\n", "source", "update", "office", "--app-secret", "-")
		},
	} {
		status, out, errs := run()
		if got := s.source(t, "office").Settings.AppSecret; got != want || status != 0 || strings.Contains(out, want) {
			t.Errorf("status %d, %s%s, secret %q", status, out, errs, got)
		}
	}
	if status, _, _ := s.run("source", "update", "office", "--app-secret", "@"+file+".none"); status != exitNotFound {
		t.Errorf("no file: status %d", status)
	}
	if status, _, _ := s.run("source", "update", "office", "--app-secret", "-"); status != exitUsage {
		t.Errorf("nothing on standard input: status %d", status)
	}
}

func TestARefusalOfASourceNamesTheFlag(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.addSource(t)
	for flag, args := range map[string][]string{
		"NAME: this cannot be":                    {"add", "Office", "--kind", "subscription"},
		"NAME: there is another source":           {"add", "office", "--kind", "subscription"},
		"--url: there is no server to connect to": {"add", "yard", "--app-key", "k", "--app-secret", "s"},
		"--app-key: the server lets nobody in":    {"add", "yard", "--url", "ws://host"},
		"--kind: there is no such kind":           {"update", "office", "--kind", "mqtt"},
		"--url: the URL does not begin with":      {"update", "office", "--url", "http://host"},
		"--url: a user in the URL":                {"update", "office", "--url", "ws://x:very-secret@host"},
		"--app-secret: this cannot be":            {"update", "office", "--app-secret", "very-secret or not"},
		"--rest: the URL does not begin with":     {"update", "office", "--rest", "ws://host"},
		"--rest-style: there is no such":          {"update", "office", "--rest-style", "v6"},
		"--rest-every: this is not a duration":    {"update", "office", "--rest-every", "soon"},
		"--rest-every: the value is out of range": {"update", "office", "--rest-every", "1s"},
		"--rest-lookback: the value is out of":    {"update", "office", "--rest-lookback", "5000h"},
		"--rest-zone: this zone is not known":     {"update", "office", "--rest-zone", "Asia/Edo"},
		"--company: there is no such company":     {"update", "office", "--company", "-3"},
		"--description: the description is too":   {"update", "office", "--description", strings.Repeat("x", 201)},
	} {
		status, _, errs := s.run(append([]string{"source"}, args...)...)
		if status != exitFailed || !strings.HasPrefix(errs, "gatecast: "+flag) || strings.Contains(errs, "very-secret") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestSourcesAreATable(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	status, out, errs := s.run("source", "list")
	if status != 0 || out != "" || !strings.Contains(errs, "gatecast source add NAME") {
		t.Errorf("none: status %d, %s%s", status, out, errs)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.other.state = gatecast.SourceState{
		Status: gatecast.SourceLive, LastEvent: at, Events: 12, Statement: gatecast.Statement{Through: at.Add(time.Hour)},
	}
	s.addSource(t, "--description", "東門")
	_, out, _ = s.run("source", "list")
	want := `NAME    KIND       STATUS  DEVICES  LAST EVENT           COMPLETE THROUGH     EVENTS  DESCRIPTION
office  websocket  live    quiet    2026-01-02 03:04:05  2026-01-02 04:04:05  12      東門
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	s.other.state = gatecast.SourceState{}
	if status, out, _ := s.run("source", "pause", "office", "--reason", "moving"); status != 0 || !regexp.MustCompile(`status +paused\nreason +moving\n`).MatchString(out) {
		t.Errorf("paused: status %d, %s", status, out)
	}
	_, out, _ = s.run("source", "list")
	if !strings.Contains(out, "office  websocket  paused  quiet    -           -                 0") {
		t.Errorf("paused: %s", out)
	}
	if status, out, _ := s.run("source", "resume", "office"); status != 0 || !strings.Contains(out, "connecting") {
		t.Errorf("resumed: status %d, %s", status, out)
	}
	if status, out, _ := s.run("source", "delete", "office"); status != 0 || out != "deleted office\n" {
		t.Errorf("deleted: status %d, %s", status, out)
	}
	for _, command := range []string{"show", "pause", "resume", "reconcile", "url", "delete"} {
		if status, _, errs := s.run("source", command, "office"); status != exitNotFound {
			t.Errorf("%s of none: status %d, %s", command, status, errs)
		}
	}
}

func TestHowASourceStandsIsTold(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.addSource(t, "--rest", "http://10.1.2.3")
	_, out, _ := s.run("source", "show", "office")
	for _, line := range []string{"last event +none since the start", "complete through +nothing can be said", "last asked +never"} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
	s.other.state = gatecast.SourceState{
		Status: gatecast.SourceRefused, Since: at, Reason: "sign\x1b[31m error", LastEvent: at, LastSign: at.Add(time.Second), Events: 12, Rubbish: 3,
		Statement: gatecast.Statement{Through: at.Add(-time.Hour), Looked: at, Error: "HTTP 500", Withheld: "nothing\x1b[31m is listed", Filled: 4, Lost: 2, NotOurs: 13},
	}
	_, out, _ = s.run("source", "show", "office")
	for _, line := range []string{
		"complete through +2026-01-02 02:04:05", "last asked +2026-01-02 03:04:05", "which failed +HTTP 500", "filled in +4 events that it had not pushed", "lost +2 events that it no longer had when it was asked",
		`not stated +nothing�\[31m is listed`, "gaps in numbers +13, under which it lists nothing: not ours, or never given",
		"status +refused since 2026-01-02 03:04:05", `reason +sign�\[31m error`, "last event +2026-01-02 03:04:05", "last sign +2026-01-02 03:04:06",
		"events +12 since the start", "not understood +3 since the start",
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
}

func TestTheEndOfALookIsWaitedFor(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.addSource(t, "--rest", "http://10.1.2.3")
	at := time.Now().Add(time.Hour)
	s.other.statement = gatecast.Statement{Through: at, Looked: at, Filled: 4}
	status, out, errs := s.run("source", "reconcile", "office")
	want := "complete through  " + timeText(at) + "\nlast asked        " + timeText(at) + "\nfilled in         4 events that it had not pushed\n" +
		"lost              nothing, as far as numbers tell\ngaps in numbers   none\n"
	if diff := cmp.Diff(want, out); diff != "" || status != 0 || errs != "" {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	if _, out, _ = s.run("source", "reconcile", "office", "--json"); !strings.Contains(out, `"filled": 4`) {
		t.Errorf("as JSON: %s", out)
	}

	s.other.state.Statement = gatecast.Statement{Looked: at.Add(-24 * time.Hour), Filled: 7}
	s.other.left = 2
	status, out, errs = s.run("source", "reconcile", "office")
	if status != 0 || !strings.Contains(out, "filled in         7 events that it had not pushed\n") || !strings.Contains(errs, "An interrupt ends the waiting") {
		t.Errorf("a look that takes long: status %d, %s%s", status, out, errs)
	}
	s.other.state.Statement = gatecast.Statement{Error: "HTTP \x1b[31m500"}
	s.other.left = 2
	if status, _, errs = s.run("source", "reconcile", "office"); status != exitUnavailable || !strings.Contains(errs, "\ngatecast: the look failed: HTTP �[31m500\n") {
		t.Errorf("one that fails: status %d, %s", status, errs)
	}
	s.other.err = gatecast.Errorf(gatecast.Unavailable, "the source does not answer")
	if status, _, errs := s.run("source", "reconcile", "office"); status != exitUnavailable || !strings.HasPrefix(errs, "gatecast: the source does not answer") {
		t.Errorf("one that fails at once: status %d, %s", status, errs)
	}
}
