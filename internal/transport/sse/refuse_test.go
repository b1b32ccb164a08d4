package sse

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestWhoIsLetIn(t *testing.T) {
	off := anApp()
	off.Key, off.Enabled = "00000000000000d1", false
	s := newSite(t, plan{apps: []gatecast.App{anApp(), off}})
	now := time.Now()
	without := func(name string) string {
		q, _ := url.ParseQuery(signedNow())
		q.Del(name)
		return q.Encode()
	}
	cases := []struct {
		name, query, header string
		status              int
		reason, says        string
		remedy              string
	}{
		{"nobody", "", "", 401, "unauthenticated", "needs a bearer token", "app_key, timestamp"},
		{"unknown token", "", "Authorization: Bearer gct_x", 401, "unauthenticated", "not known here", "gatecast token create"},
		{"token that may not read", "", "Authorization: Bearer gct_other", 403, "forbidden", `lacks the scope "read"`, "--scope read"},
		{"unknown app", sign("00000000000000ff", secret, now), "", 401, "unknown_key", "app key not exist", "gatecast app list"},
		{"wrong secret", sign(key, "x", now), "", 401, "wrong_sign", "sign wrong", "MD5"},
		{"old signature", sign(key, secret, now.Add(-time.Hour)), "", 401, "expired_timestamp", "timestamp expired", "timestamp_window"},
		{"disabled app", sign(off.Key, secret, now), "", 403, "disabled_app", "app is disabled", "enable"},
		{"no key", without("app_key"), "", 401, "malformed_signature", "app_key is missing", "MD5"},
		{"no timestamp", without("timestamp"), "", 401, "malformed_signature", "timestamp is missing", "MD5"},
		{"no signature", without("sign"), "", 401, "malformed_signature", "sign is missing", "MD5"},
		{"two keys", signedNow() + "&app_key=" + off.Key, "", 401, "malformed_signature", "app_key", "MD5"},
		{"long key", "app_key=" + strings.Repeat("a", 300) + "&timestamp=1&sign=2", "", 401, "malformed_signature", "app_key", "MD5"},
		{"timestamp that is none", "app_key=" + key + "&timestamp=now&sign=2", "", 401, "malformed_timestamp", "timestamp malformed", "milliseconds"},
		{"good token with a bad signature", sign(key, "x", now), "Authorization: Bearer " + token, 401, "wrong_sign", "sign wrong", "MD5"},
		{"query that is none", signedNow() + "&%zz", "", 400, "parameters", "cannot be read", "percent-encode"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			before := s.metric("gatecast_sse_refused_total", "reason", c.reason)
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			doc, h := s.refused(c.query, headers...)
			if doc.Status != c.status || !strings.Contains(doc.Detail, c.says) || !strings.Contains(doc.Remedy, c.remedy) {
				t.Errorf("%d %q, %q", doc.Status, doc.Detail, doc.Remedy)
			}
			if got := h.Get("WWW-Authenticate"); (doc.Status == 401) != (got != "") && doc.Status != 403 {
				t.Errorf("status %d with WWW-Authenticate %q", doc.Status, got)
			}
			if got := s.metric("gatecast_sse_refused_total", "reason", c.reason) - before; got != 1 {
				t.Errorf("counted %v times under %s", got, c.reason)
			}
		})
	}
	s.t = t
	proxied := s.read(signedNow(), "Authorization: Basic cHJveHk6eA==") // a header of somebody else's
	proxied.wantResumed(0, 0, s.epoch())
}

func TestWhatCannotBeAskedForIsRefusedBeforeTheStreamBegins(t *testing.T) {
	s := newSite(t, plan{})
	cases := []struct{ query, header, path, says, remedy string }{
		{"client=desk", "", "client", "over WebSocket", "leave client out"},
		{"ack=manual", "", "ack", "over WebSocket", "leave ack out"},
		{"inflight=5", "", "inflight", "over WebSocket", "leave inflight out"},
		{"client=", "", "client", "over WebSocket", "leave client out"},
		{"since=yesterday", "", "since", `"yesterday"`, "earliest or latest"},
		{"since=1&since=2", "", "since", "more than once", "one value"},
		{"epoch=x", "", "epoch", "means nothing", "since=SEQ"},
		{"kinds=door", "", "kinds", "no such kind", "record"},
		{"group=all", "", "group", "not a group", "number"},
		{"sn=", "", "sn", "not an LDID", "LDID"},
		{"seq=maybe", "", "seq", "neither yes nor no", "1 or 0"},
		{"", "x7", "Last-Event-ID", `"x7"`, "leave the header out"},
		{"", "-1", "Last-Event-ID", `"-1"`, "leave the header out"},
		{"", "18446744073709551616", "Last-Event-ID", "no position", "leave the header out"},
		{"", strings.Repeat("9", 2000), "Last-Event-ID", "no position", "leave the header out"},
	}
	for _, c := range cases {
		headers := []string{"Authorization: Bearer " + token}
		if c.header != "" {
			headers = append(headers, "Last-Event-ID: "+c.header)
		}
		doc, _ := s.refused(c.query, headers...)
		if doc.Status != 422 || doc.Path != c.path || !strings.Contains(doc.Detail, c.says) || !strings.Contains(doc.Remedy, c.remedy) {
			t.Errorf("%s %s: %+v", c.query, c.header, doc)
		}
		if len(doc.Detail)+len(doc.Found) > 500 {
			t.Errorf("%s %.20s: an answer of %d bytes", c.query, c.header, len(doc.Detail)+len(doc.Found))
		}
	}
	if n := s.metric("gatecast_sse_refused_total", "reason", "parameters"); n != float64(len(cases)) {
		t.Errorf("%v of %d refusals were counted", n, len(cases))
	}
}

func TestStreamsAreLimitedInAllAndByApp(t *testing.T) {
	a := anApp()
	a.MaxConns = 1
	s := newSite(t, plan{apps: []gatecast.App{a}, opts: Options{MaxConns: 2}})
	first := s.read(signedNow())
	if doc, _ := s.refused(signedNow()); doc.Status != 429 || !strings.Contains(doc.Remedy, "max_connections") {
		t.Errorf("a second stream of an app that may have one: %+v", doc)
	}
	s.read("")
	doc, h := s.refused("", "Authorization: Bearer "+token)
	if doc.Status != 503 || h.Get("Retry-After") == "" || !strings.Contains(doc.Remedy, "sse.max_connections") {
		t.Errorf("a third stream of two: %+v, Retry-After %q", doc, h.Get("Retry-After"))
	}
	if n := s.metric("gatecast_sse_refused_total", "reason", "full"); n != 2 {
		t.Errorf("%v refusals were counted", n)
	}
	first.cut()
	for s.server.Connections() > 1 {
		<-time.After(time.Millisecond)
	}
	s.read(signedNow()).wantResumed(0, 0, s.epoch())
}

func TestAJournalThatCannotSayWhereToBeginIsNoStream(t *testing.T) {
	broken := &brokenHistory{}
	s := newSite(t, plan{history: func(h History) History { broken.History = h; return broken }})
	for err, want := range map[error]int{
		gatecast.Errorf(gatecast.Unavailable, "no leader"): 503,
		errors.New("disk /secret"):                         500,
	} {
		broken.set(err)
		doc, _ := s.refused("since=earliest", "Authorization: Bearer "+token)
		if doc.Status != want || strings.Contains(doc.Detail, "/secret") {
			t.Errorf("%+v", doc)
		}
	}
	broken.set(nil)
	s.read("since=earliest").wantResumed(0, 0, s.epoch())
}

func TestAConnectionThatCannotBeAStreamIsRefused(t *testing.T) {
	s := newSite(t, plan{})
	w := httptest.NewRecorder() // knows no deadlines
	s.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?"+signedNow(), nil))
	if w.Code != 500 || s.server.Connections() != 0 {
		t.Errorf("status %d, %d connections", w.Code, s.server.Connections())
	}
}
