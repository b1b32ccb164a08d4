package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
)

// posted makes the source yard, which was posted to before.
func posted(t *testing.T) (s *site, address string) {
	t.Helper()
	s = newSite(t, httptest.NewServer)
	if status, _, errs := s.run("source", "add", "yard", "--kind", "subscription"); status != 0 {
		t.Fatal(errs)
	}
	s.other.state.Post = &gatecast.SourcePost{At: time.Unix(1_700_000_000, 0), Error: "long ago"}
	return s, s.http.URL + "/ingest/senselink/" + s.source(t, "yard").Token
}

// soon changes what is known of the source when it has been asked some times.
func (s *site) soon(p gatecast.SourcePost) {
	p.At = time.Unix(1_700_000_001, 0)
	s.other.mu.Lock()
	defer s.other.mu.Unlock()
	s.other.next, s.other.after = &p, 3
}

func TestTheFirstPostIsWaitedForAndToldHowItWasUnderstood(t *testing.T) {
	for name, v := range map[string]struct {
		post      gatecast.SourcePost
		status    int
		out, errs string
	}{
		"understood": {
			gatecast.SourcePost{From: "192.0.2.9:999", Size: 300, Events: 1, Accepted: 1, First: 7, Kind: gatecast.Alarm, Device: "SPS-1"},
			0,
			"from        192.0.2.9:999\nsize        300 B\nunderstood  yes: 1 events, the first a alarm of SPS-1\nstored      1 events, from position 7 on\n", "",
		},
		"there already": {gatecast.SourcePost{Events: 2, Kind: gatecast.Record}, 0, "stored      nothing, it was there already\n", ""},
		"not for it":    {gatecast.SourcePost{Size: 2}, 0, "understood  yes, and nothing in it is for this source", ""},
		"rubbish":       {gatecast.SourcePost{Error: "no \x1bJSON", Quarantined: true}, 1, "refused    no �JSON\n", "gatecast quarantine list"},
		"refused":       {gatecast.SourcePost{Error: "the disk is full"}, 1, "refused    the disk is full\n", "set the subscription again at the server when that is mended"},
	} {
		t.Run(name, func(t *testing.T) {
			s, address := posted(t)
			s.soon(v.post)
			status, out, errs := s.run("source", "subscribe", "yard")
			if status != v.status || !strings.HasPrefix(out, "post to  "+address+"\n") || !strings.Contains(out, v.out) || !strings.Contains(errs, v.errs) {
				t.Errorf("status %d, %s%s", status, out, errs)
			}
			if !strings.Contains(errs, "At the SenseLink server") || !strings.Contains(errs, "--base-url") {
				t.Errorf("it does not say what to do: %s", errs)
			}
		})
	}
}

func TestASubscriptionCanBeShownWithoutWaiting(t *testing.T) {
	s, address := posted(t)
	path := strings.TrimPrefix(address, s.http.URL)
	status, out, errs := s.run("source", "subscribe", "yard", "--no-wait", "--base-url", s.http.URL+"/", "--json")
	if status != 0 || out != "{\n  \"url\": \""+address+"\"\n}\n" || errs != "" {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	status, out, errs = s.run("source", "subscribe", "yard", "--no-wait", "--base-url", other.URL)
	if status != 0 || !strings.Contains(out, other.URL+path) || !strings.Contains(errs, "leads to something else than gatecast") {
		t.Errorf("a URL that leads elsewhere: status %d, %s%s", status, out, errs)
	}
	status, _, errs = s.run("source", "subscribe", "yard", "--wait", "1ms")
	if status != 5 || !strings.Contains(errs, "nothing was posted within 1ms") {
		t.Errorf("in no time: status %d, %s", status, errs)
	}
}

func TestWhatCannotBeSubscribedIsToldBefore(t *testing.T) {
	s, _ := posted(t)
	s.addSource(t)
	for _, v := range []struct {
		status int
		text   string
		args   []string
	}{
		{1, "gatecast connects to it", []string{"office"}},
		{4, "gatecast source list", []string{"nobody"}},
		{2, "--base-url", []string{"yard", "--base-url", "gate.example"}},
		{2, "--wait", []string{"yard", "--wait", "0s"}},
		{2, "--upstream-url", []string{"yard", "--upstream-url", "gate"}},
		{2, "--upstream-app", []string{"yard", "--upstream-url", s.http.URL, "--upstream-token", "t"}},
		{1, "leave --upstream-url out", []string{"yard", "--upstream-url", s.http.URL}},
	} {
		if status, out, errs := s.run(append([]string{"source", "subscribe"}, v.args...)...); status != v.status || !strings.Contains(errs, v.text) || strings.Contains(out, "post to") {
			t.Errorf("%q: status %d, %s%s", v.args, status, out, errs)
		}
	}
	if _, err := s.reg.PauseSource(t.Context(), "yard", "moved"); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := s.run("source", "subscribe", "yard"); status != 1 || !strings.Contains(errs, "gatecast source resume yard") {
		t.Errorf("a paused one: status %d, %s", status, errs)
	}
}

func TestAtAStandinAndAtAnotherGatecastTheURLIsSetFromHere(t *testing.T) {
	s, address := posted(t)
	vendor := standin.New(standin.Options{})
	srv := httptest.NewServer(vendor)
	defer srv.Close()
	defer vendor.Close()
	status, out, errs := s.run("source", "subscribe", "yard", "--no-wait", "--json", "--upstream-url", srv.URL)
	if got := vendor.Subscription(); status != 0 || got.URL != address || !strings.Contains(out, `"set": "stand-in"`) {
		t.Errorf("%+v, status %d, %s%s", got, status, out, errs)
	}

	up := newSite(t, httptest.NewServer)
	args := []string{"source", "subscribe", "yard", "--no-wait", "--upstream-url", up.http.URL, "--upstream-app", up.app.Key}
	status, out, errs = s.run(append(args, "--upstream-token", up.token)...)
	subs := up.reg.Subscriptions()
	if status != 0 || len(subs) != 1 || subs[0].Settings.URL != address || subs[0].App != up.app.Key || !strings.Contains(errs, "set at the gatecast") {
		t.Errorf("%+v, status %d, %s%s", subs, status, out, errs)
	}
	status, _, errs = s.run(append(args, "--upstream-token", "another")...)
	if status != 3 || !strings.Contains(errs, "--upstream-url "+up.http.URL) {
		t.Errorf("with a wrong token: status %d, %s", status, errs)
	}
}
