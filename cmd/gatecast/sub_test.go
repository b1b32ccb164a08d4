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

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// subscribe makes a subscription by the command and returns its ID.
func (s *site) subscribe(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := s.run(append([]string{"sub", "create", "https://host.example/in"}, args...)...)
	id := regexp.MustCompile(`sub_[0-9a-f]{16}`).FindString(out)
	if status != 0 || id == "" {
		t.Fatalf("create: status %d, %s%s", status, out, errs)
	}
	return id
}

// settings are a subscription's as the server keeps them.
func (s *site) settings(t *testing.T, id string) gatecast.SubscriptionSettings {
	t.Helper()
	sub, ok := s.reg.Subscription(id)
	if !ok {
		t.Fatalf("no subscription %q", id)
	}
	return sub.Settings.Clone()
}

func TestASubscriptionIsMadeAndItsSecretShown(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	status, out, errs := s.run("sub", "create", "https://host.example/in", "--secret", whsec, "--ed25519", "--start", "17", "--app", s.app.Key)
	if !regexp.MustCompile(`^id          sub_[0-9a-f]{16}\nurl         https://host.example/in\nsecret      `+regexp.QuoteMeta(whsec)+
		`\npublic key  whpk_\S+\n$`).MatchString(out) || status != 0 {
		t.Errorf("status %d, %s", status, out)
	}
	id := regexp.MustCompile(`sub_\w+`).FindString(out)
	if !strings.Contains(errs, "gatecast sub secret "+id+"\n") || !strings.Contains(errs, "gatecast sub test "+id+"\n") {
		t.Errorf("what to do next: %s", errs)
	}
	if sub, _ := s.reg.Subscription(id); sub.After != 17 || sub.App != s.app.Key {
		t.Errorf("made %+v", sub)
	}
	_, out, _ = s.run("sub", "secret", id)
	if !strings.Contains(out, "secret      "+whsec+"\n") {
		t.Errorf("secret: %s", out)
	}
	_, out, _ = s.run("sub", "rotate", id, "--overlap", "1h")
	if !regexp.MustCompile(`secret of .+  whsec_\S+, no end\nsecret of .+  ` + regexp.QuoteMeta(whsec) + `, until 2`).MatchString(out) {
		t.Errorf("rotated: %s", out)
	}
	_, out, _ = s.run("sub", "create", "https://host.example/in", "--json")
	if !strings.Contains(out, `"secret": "whsec_`) {
		t.Errorf("as JSON: %s", out)
	}
}

func TestEveryFlagOfASubscriptionReachesTheServer(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t, "--description", "all of it", "--kind", "all", "--kind", "notice", "--device", "A", "--device", "B", "--group", "7",
		"--user-type", "visitor", "--user-type", "3", "--abnormal", "10001", "--alarm-code", "10002", "--alarm-level", "1", "--order", "none",
		"--concurrency", "20", "--rate", "100", "--catch-up-rate", "10", "--timeout", "30s", "--success", "2xx", "--header", "X-A: hush, hush",
		"--header", "X-B:", "--basic", "gate:hush:secret", "--event-type", "string", "--own-fields", "--mark-replay", "--ed25519",
		"--batch", "100", "--batch-wait", "2s")
	want := gatecast.SubscriptionSettings{
		URL: "https://host.example/in", Description: "all of it",
		Filter: gatecast.Filter{Kinds: []gatecast.Kind{gatecast.Record, gatecast.Alarm, gatecast.Notice}, Devices: []string{"A", "B"}, Groups: []int64{7}},
		Traits: gatecast.TraitFilter{UserTypes: []int{2, 3}, AbnormalTypes: []int{10001}, AlarmCodes: []int{10002}, AlarmLevels: []int{1}},
		Order:  gatecast.OrderNone, Concurrency: 20, Rate: 100, CatchUpRate: 10, Timeout: 30 * time.Second, Success: gatecast.SuccessAny,
		Headers: map[string]string{"X-A": "hush, hush", "X-B": ""}, Auth: gatecast.ReceiverAuth{Username: "gate", Password: "hush:secret"},
		EventType: gatecast.EventTypeString, OwnFields: true, MarkReplay: true, Ed25519: true, Batch: gatecast.Batch{Max: 100, Wait: 2 * time.Second},
	}
	if diff := cmp.Diff(want, s.settings(t, id)); diff != "" {
		t.Error(diff)
	}
	_, out, _ := s.run("sub", "show", id)
	for _, line := range []string{
		"description +all of it", "receives +record, alarm, notice", "of devices +A, B", "of user types +2, 3", "alarm codes +10002",
		"order +none", "rate +100 requests/s", "catch-up rate +10 requests/s", "timeout +30s", "success +2xx", "headers +X-A, X-B",
		"authentication +basic as gate", "eventType +string", "batches +up to 100 events, waiting up to 2s", "ed25519 +yes", "app +none: it may see everything",
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
	if strings.Contains(out, "hush") {
		t.Errorf("show tells a credential: %s", out)
	}
}

func TestAnUpdateChangesWhatItsFlagsName(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t, "--kind", "alarm", "--device", "A", "--header", "X-A: one", "--basic", "gate:secret", "--own-fields", "--rate", "7")
	want := s.settings(t, id)
	want.URL, want.Description, want.OwnFields, want.Headers = "https://other.example/", "here", false, map[string]string{"X-A": "one", "X-B": "two"}
	if status, _, errs := s.run("sub", "update", id, "--url", "https://other.example/", "--description", "here", "--own-fields=false",
		"--header", "x-a: ***", "--header", "X-B: two"); status != 0 {
		t.Fatal(errs)
	}
	want.Headers = map[string]string{"x-a": "one", "X-B": "two"}
	if diff := cmp.Diff(want, s.settings(t, id)); diff != "" {
		t.Error(diff)
	}
	s.run("sub", "update", id, "--kind", "all", "--device", "all", "--header", "none", "--basic", "none")
	got := s.settings(t, id)
	if len(got.Filter.Kinds)+len(got.Filter.Devices)+len(got.Headers) > 0 || got.Auth != (gatecast.ReceiverAuth{}) || got.Rate != 7 {
		t.Errorf("left: %+v", got)
	}
	s.run("sub", "update", id, "--bearer", "token")
	if got := s.settings(t, id).Auth.Bearer; got != "token" {
		t.Errorf("bearer %q", got)
	}
}

func TestCredentialsNeedNotStandOnTheCommandLine(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	file := filepath.Join(t.TempDir(), "secret")
	for text, args := range map[string][]string{
		"gate:secret\n": {"--basic"}, "token\r\n": {"--bearer"}, "X-A: one\nX-B: two\n\n": {"--header"}, whsec + "\n": {"--secret"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		fromFile := s.subscribe(t, append(args, "@"+file)...)
		status, out, errs := s.runWith(text, append([]string{"sub", "create", "https://host.example/in"}, append(args, "-")...)...)
		if status != 0 {
			t.Fatal(errs)
		}
		fromInput := regexp.MustCompile(`sub_\w+`).FindString(out)
		if diff := cmp.Diff(s.settings(t, fromFile), s.settings(t, fromInput)); diff != "" {
			t.Error(diff)
		}
		plain := s.settings(t, s.subscribe(t))
		if args[0] != "--secret" && cmp.Equal(plain, s.settings(t, fromFile)) {
			t.Errorf("%s: nothing was read", args[0])
		}
		if args[0] == "--secret" && !strings.Contains(out, whsec) {
			t.Errorf("imported: %s", out)
		}
	}
	for _, args := range [][]string{
		{"--basic", "very-secret"},
		{"--header", "very-secret"},
		{"--bearer", "very-secret", "--basic", "a:very-secret"},
		{"--header", "X-A: very-secret", "--header", "x-a: very-secret"},
		{"--basic", "-"},
		{"--bearer", ""},
	} {
		status, out, errs := s.run(append([]string{"sub", "create", "https://host.example/in"}, args...)...)
		if status != exitUsage || strings.Contains(out+errs, "very-secret") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if status, _, errs := s.run("sub", "create", "https://host.example/in", "--bearer", "@"+file+".none"); status != exitNotFound {
		t.Errorf("no file: status %d, %s", status, errs)
	}
}

func TestARefusalNamesTheFlag(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	for flag, args := range map[string][]string{
		"URL: 10.0.0.1 is a private address":         {"create", "http://10.0.0.1/"},
		"URL: events are sent over http":             {"create", "ftp://host.example/"},
		"--url: 10.0.0.1 is a private address":       {"update", id, "--url", "http://10.0.0.1/"},
		"--order: there is no such order":            {"update", id, "--order", "random"},
		"--concurrency: the value is out of range":   {"update", id, "--concurrency", "257"},
		"--batch: the value is out of range":         {"update", id, "--batch", "1001"},
		"--batch-wait: this is not a duration":       {"update", id, "--batch", "2", "--batch-wait", "soon"},
		"--timeout: this is not a duration":          {"update", id, "--timeout", "soon"},
		"--header: gatecast sets this header itself": {"update", id, "--header", "Webhook-Id: 1"},
		"--bearer: this cannot be a bearer token":    {"update", id, "--bearer", "two words"},
		"--basic: a password needs its user":         {"update", id, "--basic", ":password"},
		"--device: this is not an LDID":              {"update", id, "--device", ""},
		"--start: this is no place":                  {"create", "https://host.example/", "--start", "soon"},
		"--secret: ":                                 {"create", "https://host.example/", "--secret", "very-secret"},
		"--app: ":                                    {"create", "https://host.example/", "--app", "0000000000000000"},
		"--from: this is no place":                   {"replay", id, "--from", "soon"},
		"--to: the window ends before":               {"replay", id, "--from", "30", "--to", "20"},
		"--overlap: ":                                {"rotate", id, "--overlap", "a while"},
	} {
		status, _, errs := s.run(append([]string{"sub"}, args...)...)
		if status != exitFailed || !strings.HasPrefix(errs, "gatecast: "+flag) || strings.Contains(errs, "very-secret") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestSubscriptionsAreATable(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	status, out, errs := s.run("sub", "list")
	if status != 0 || out != "" || !strings.Contains(errs, "gatecast sub create URL") {
		t.Errorf("none: status %d, %s%s", status, out, errs)
	}
	s.hooks.state = gatecast.SubscriptionState{
		Status: gatecast.SubscriptionDegraded, LagEvents: 990, Lag: 3 * time.Hour, Recent: gatecast.Recent{Attempts: 300, Succeeded: 299},
	}
	id := s.subscribe(t, "--description", "東門")
	_, out, _ = s.run("sub", "list", "--app", s.app.Key)
	if strings.Contains(out, id) {
		t.Errorf("of an app that has none: %s", out)
	}
	_, out, _ = s.run("sub", "list")
	want := `ID                    STATUS    LAG        SUCCESS  URL                      DESCRIPTION
` + id + `  degraded  990 (3 h)  99 %     https://host.example/in  東門
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	s.run("sub", "pause", id, "--reason", "moving")
	_, out, _ = s.run("sub", "list")
	if !strings.Contains(out, "  paused  ") {
		t.Errorf("paused: %s", out)
	}
	if status, out, _ := s.run("sub", "resume", id); status != 0 || !strings.Contains(out, "degraded") {
		t.Errorf("resumed: status %d, %s", status, out)
	}
	if status, out, _ := s.run("sub", "delete", id); status != 0 || out != "deleted "+id+"\n" {
		t.Errorf("deleted: status %d, %s", status, out)
	}
	for _, command := range []string{"show", "pause", "resume", "test", "secret", "rotate", "delete", "deliveries", "dead"} {
		if status, _, errs := s.run("sub", command, id); status != exitNotFound {
			t.Errorf("%s of none: status %d, %s", command, status, errs)
		}
	}
}

func TestTheStateOfASubscriptionIsTold(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.hooks.state = gatecast.SubscriptionState{
		Status: gatecast.SubscriptionDegraded, Since: at, Reason: "connection \x1b[31mrefused", NextTry: time.Now().Add(time.Hour + time.Second),
		Position: 10, LagEvents: 990, Lag: 3 * time.Hour, Through: at.Add(-time.Hour), Pending: 4, InFlight: 2, Delivered: 100, Failed: 5, Dead: 1, Lost: 3,
		Recent: gatecast.Recent{Attempts: 10, Succeeded: 9, P50: 12345 * time.Microsecond, P99: 4200 * time.Millisecond},
		Replay: &gatecast.Replay{ID: "r1", From: 100, To: 300, Position: 150, Sent: 20},
	}
	_, out, _ := s.run("sub", "show", s.subscribe(t))
	for _, line := range []string{
		"status +degraded since 2026-01-02 03:04:05", `reason +connection �\[31mrefused`, "next try +in 60 min", "complete through +2026-01-02 02:04:05",
		`behind +990 \(3 h\)`, "at work on +4 events, 2 requests", "delivered +100 events", "failed +5 attempts", "dead letters +1", "lost +3",
		"latest attempts +9 of 10 delivered, half of them answered within 12.35 ms, 99 % within 4.2 s",
		`replay +running, 20 events sent, at 150 of 300 \(25 %\)`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("show lacks %q: %s", line, out)
		}
	}
}

func TestATestIsShownAsItCrossedTheWire(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	s.hooks.exchange = gatecast.Exchange{
		Attempt: gatecast.Attempt{Status: 200, Took: 12345 * time.Microsecond, Outcome: gatecast.Delivered, Answer: []byte("o\x1b[31mk\nbye")},
		URL:     "https://host.example/in", Headers: map[string]string{"Webhook-Id": "m7", "Content-Type": "application/json"},
		Body: []byte(`{"eventType":30000}`), AnswerHeaders: map[string]string{"Server": "x\ty"},
	}
	status, out, errs := s.run("sub", "test", id)
	want := `> POST https://host.example/in
> Content-Type: application/json
> Webhook-Id: m7
>
{"eventType":30000}
< 200 OK
< Server: x�y
<
o�[31mk
bye
* answered in 12.35 ms
* delivered
`
	if diff := cmp.Diff(want, out); diff != "" || status != 0 {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	s.hooks.exchange.Attempt = gatecast.Attempt{Took: 5 * time.Second, Outcome: gatecast.Unreachable, Error: "no answer within 5s"}
	status, out, errs = s.run("sub", "test", id)
	if status != exitFailed || !strings.HasSuffix(out, "{\"eventType\":30000}\n* no answer after 5 s\n* failed: no answer within 5s\n") ||
		!strings.HasPrefix(errs, "gatecast: not delivered: no answer within 5s\n") {
		t.Errorf("no answer: status %d, %s%s", status, out, errs)
	}
	status, out, _ = s.run("sub", "test", id, "--json")
	if status != exitFailed || !strings.Contains(out, `"outcome": "failed"`) {
		t.Errorf("as JSON: status %d, %s", status, out)
	}
}
