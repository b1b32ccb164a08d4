package gatecast

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sourceOf(kind SourceKind) SourceSpec {
	s := SourceSpec{Name: "office-1", Settings: SourceSettings{
		Kind: kind, AppKey: "0123456789abcdef", AppSecret: "the-secret", REST: SourceREST{URL: "http://10.1.2.3:9000/", Zone: "Asia/Tokyo"},
	}}
	if kind != SourceSubscription {
		s.Settings.URL = "wss://[fd00::1]:9000"
	}
	s.Settings = s.Settings.WithDefaults()
	return s
}

func TestASourceIsRefusedByTheFieldThatIsWrong(t *testing.T) {
	for path, change := range map[string]func(*SourceSpec){
		"/name":             func(s *SourceSpec) { s.Name = "" },
		"/name ":            func(s *SourceSpec) { s.Name = "Office" },
		"/name  ":           func(s *SourceSpec) { s.Name = "1st" },
		"/name   ":          func(s *SourceSpec) { s.Name = "a:b" },
		"/name    ":         func(s *SourceSpec) { s.Name = strings.Repeat("a", 33) },
		"/name     ":        func(s *SourceSpec) { s.Name = "push" },
		"/name      ":       func(s *SourceSpec) { s.Name = "büro" },
		"/name       ":      func(s *SourceSpec) { s.Name = "gatecast" },
		"/kind":             func(s *SourceSpec) { s.Settings.Kind = "" },
		"/kind ":            func(s *SourceSpec) { s.Settings.Kind = "mqtt" },
		"/url":              func(s *SourceSpec) { s.Settings.URL = "" },
		"/url ":             func(s *SourceSpec) { s.Settings.URL = "http://host:9000" },
		"/url  ":            func(s *SourceSpec) { s.Settings.URL = "ws://user:secret@host" },
		"/url   ":           func(s *SourceSpec) { s.Settings.URL = "ws://host/websocket/record" },
		"/url    ":          func(s *SourceSpec) { s.Settings.URL = "ws://:9000" },
		"/url     ":         func(s *SourceSpec) { s.Settings.URL = "ws://host:65536" },
		"/url      ":        func(s *SourceSpec) { s.Settings.URL = "ws://host?" },
		"/url       ":       func(s *SourceSpec) { s.Settings.URL = "ws://host#" },
		"/url        ":      func(s *SourceSpec) { s.Settings.URL = "host:9000" },
		"/url         ":     func(s *SourceSpec) { s.Settings.URL = "ws://" + strings.Repeat("h", 252) },
		"/url          ":    func(s *SourceSpec) { s.Settings.URL = "ws://user:secret@host:port" },
		"/url           ":   func(s *SourceSpec) { s.Settings.Kind = SourceSubscription },
		"/app_key":          func(s *SourceSpec) { s.Settings.AppKey = "" },
		"/app_key ":         func(s *SourceSpec) { s.Settings.AppKey, s.Settings.AppSecret = "", "" },
		"/app_key  ":        func(s *SourceSpec) { s.Settings.AppKey = "two words" },
		"/app_key   ":       func(s *SourceSpec) { s.Settings.AppKey = strings.Repeat("k", 257) },
		"/app_secret":       func(s *SourceSpec) { s.Settings.AppSecret = "" },
		"/app_secret ":      func(s *SourceSpec) { s.Settings.AppSecret = "the secret" },
		"/app_secret  ":     func(s *SourceSpec) { s.Settings.AppSecret = strings.Repeat("secret", 50) },
		"/rest/url":         func(s *SourceSpec) { s.Settings.REST.URL = "ws://host:9000" },
		"/rest/url ":        func(s *SourceSpec) { s.Settings.REST.URL = "https://host/api" },
		"/rest/style":       func(s *SourceSpec) { s.Settings.REST.Style = "v6" },
		"/rest/every":       func(s *SourceSpec) { s.Settings.REST.Every = 9 * time.Second },
		"/rest/every ":      func(s *SourceSpec) { s.Settings.REST.Every = 24*time.Hour + 1 },
		"/rest/lookback":    func(s *SourceSpec) { s.Settings.REST.Lookback = 91 * 24 * time.Hour },
		"/rest/lookback ":   func(s *SourceSpec) { s.Settings.REST.Lookback = -time.Hour },
		"/rest/zone":        func(s *SourceSpec) { s.Settings.REST.Zone = "Asia/Edo" },
		"/rest/zone ":       func(s *SourceSpec) { s.Settings.REST.Zone = "../zone" },
		"/company":          func(s *SourceSpec) { s.Settings.Company = -1 },
		"/description":      func(s *SourceSpec) { s.Settings.Description = strings.Repeat("x", 201) },
		"/description     ": func(s *SourceSpec) { s.Settings.Description = "two\nlines" },
	} {
		s := sourceOf(SourceWebSocket)
		if err := s.Validate(); err != nil {
			t.Fatalf("the source is refused before the change: %v", err)
		}
		change(&s)
		err := s.Validate()
		var e *Error
		if !errors.As(err, &e) || e.Code != Invalid || e.At == nil || e.At.Path != strings.TrimRight(path, " ") || e.Remedy == "" {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if told := err.Error() + e.At.Found; strings.Contains(told, "secret@") || strings.Contains(told, "the secret") || strings.Contains(told, "secretsecret") {
			t.Errorf("%q: the error repeats a secret: %s", path, told)
		}
	}
}

func TestASourceNeedsCredentialsOnlyToConnectAndToAsk(t *testing.T) {
	s := sourceOf(SourceSubscription)
	if err := s.Validate(); err != nil {
		t.Errorf("a server that posts and is asked: %v", err)
	}
	s.Settings.AppKey, s.Settings.AppSecret = "", ""
	if err := s.Validate(); err == nil {
		t.Error("a server is asked without credentials")
	}
	s.Settings.REST.URL = ""
	if err := s.Validate(); err != nil {
		t.Errorf("a server that only posts: %v", err)
	}
	s.Settings.AppSecret = "the-secret"
	if err := s.Validate(); err == nil {
		t.Error("a secret of no key is taken")
	}
}

func TestASourceWithoutSaidSettingsHasTheDefaults(t *testing.T) {
	got := SourceSettings{URL: "ws://host", AppKey: "k", AppSecret: "s"}.WithDefaults()
	want := SourceSettings{
		Kind: SourceWebSocket, URL: "ws://host", AppKey: "k", AppSecret: "s",
		REST: SourceREST{Style: RESTv5, Every: 5 * time.Minute, Lookback: 24 * time.Hour},
	}
	if got != want {
		t.Errorf("defaults: %+v", got)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	full := sourceOf(SourceSubscription).Settings
	full.REST.Style, full.REST.Every, full.REST.Lookback = RESTv4, time.Hour, time.Hour
	if full.WithDefaults() != full {
		t.Errorf("said settings became %+v", full.WithDefaults())
	}
}

// A name is cut from the ID again by whoever reads the journal, and is part of
// paths and of the names of files.
func TestEveryValidNameOfASourceCanBeCutFromAnIDAndBeTheNameOfAFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[a-z0-9:./A-Z-]{0,34}`), rapid.StringMatching(`[a-z][a-z0-9-]{0,31}`)).Draw(t, "name")
		if !ValidSourceName(name) {
			return
		}
		id := UpstreamID(name, Alarm, 1<<62, 3, nil)
		if got, _, _ := strings.Cut(id, ":"); got != name || len(id) > 128 {
			t.Errorf("%q has the ID %q", name, id)
		}
		if strings.ContainsAny(name, "./\\ %") || name == "" {
			t.Errorf("%q cannot be the name of a file", name)
		}
	})
}
