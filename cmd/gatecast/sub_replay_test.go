package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestAReplayIsCountedConfirmedAndWaitedFor(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	s.hooks.replay = func(r gatecast.Replay, n int) gatecast.Replay {
		r.Position, r.Sent = (r.From+r.To)/2, 100
		if n > 2 {
			r.Position, r.Sent, r.Ended = r.To, 200, time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
		}
		return r
	}
	replay := func(args ...string) (int, string, string) {
		return s.run(append([]string{"sub", "replay", id}, args...)...)
	}
	status, out, errs := replay("--from", "100", "--to", "500", "--dry-run")
	if status != 0 || out != "200 events after 100 up to 500\n" || errs != "" || s.hooks.state.Replay != nil {
		t.Errorf("dry run: status %d, %s%s", status, out, errs)
	}
	if _, out, _ = replay("--from", "earliest", "--dry-run"); out != "about 500 events after 0 up to 1000\n" {
		t.Errorf("an estimate: %s", out)
	}
	status, out, errs = replay("--from", "2026-01-02T03:04:05Z", "--to", "500")
	if status != exitUsage || out != "" || s.hooks.state.Replay != nil ||
		!strings.HasPrefix(errs, "To be sent once more: 50 events after 400 up to 500\ngatecast: nobody can be asked here: give --yes\n") {
		t.Errorf("not confirmed: status %d, %s%s", status, out, errs)
	}
	status, out, errs = replay("--from", "100", "--to", "500", "--yes")
	if status != 0 || out != "ended 2026-01-02 03:04:05, 200 events sent\n" ||
		errs != "To be sent once more: 200 events after 100 up to 500\nrunning, 100 events sent, at 300 of 500 (50 %)\n" {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	status, out, _ = replay("--from", "100", "--to", "500", "--yes", "--json")
	if status != 0 || !strings.Contains(out, `"sent": 200`) || !strings.Contains(out, `"ended": "2026`) {
		t.Errorf("as JSON: status %d, %s", status, out)
	}
	status, out, errs = replay("--from", "500", "--to", "500")
	if status != 0 || out != "" || !strings.HasPrefix(errs, "There is nothing to send: 0 events") {
		t.Errorf("nothing: status %d, %s%s", status, out, errs)
	}
}

func TestAReplayGoesOnWhenNobodyWaitsForIt(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	status, out, errs := s.run("sub", "replay", id, "--from", "100", "--yes", "--no-wait")
	if status != 0 || out != "running, 0 events sent, at 100 of 1000 (0 %)\n" {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	s.hooks.replay = func(r gatecast.Replay, _ int) gatecast.Replay { return r }
	s.hooks.onAsked = func(int) { interrupt() }
	var outs bytes.Buffer
	args := []string{"gatecast", "sub", "replay", id, "--from", "100", "--yes", "--server", s.http.URL, "--token", s.token}
	err := commands(terminal{in: strings.NewReader(""), out: &outs, err: &outs}).Run(ctx, args)
	var e *gatecast.Error
	if !errors.As(err, &e) || e.Message != "interrupted: the replay goes on" || !strings.Contains(e.Remedy, "gatecast sub replay "+id+" --cancel") {
		t.Errorf("interrupted: %v", err)
	}
	if s.hooks.state.Replay.Canceled {
		t.Error("the interrupt canceled the replay")
	}
}

func TestAReplayIsCanceled(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	if status, _, _ := s.run("sub", "replay", id, "--cancel"); status != exitNotFound {
		t.Errorf("none: status %d", status)
	}
	s.hooks.state = gatecast.SubscriptionState{
		Status: gatecast.SubscriptionDegraded, Reason: "connection refused",
		Replay: &gatecast.Replay{ID: "r1", From: 100, To: 300, Position: 150, Sent: 20},
	}
	status, out, _ := s.run("sub", "replay", id, "--cancel")
	if status != 0 || out != "canceled at 150 of 300, 20 events sent\n" {
		t.Errorf("status %d, %s", status, out)
	}
	s.hooks.replay = func(r gatecast.Replay, n int) gatecast.Replay {
		if n > 1 {
			r.Ended, r.Canceled = time.Now(), true
		}
		return r
	}
	status, out, errs := s.run("sub", "replay", id, "--from", "100", "--yes")
	if status != exitFailed || !strings.HasPrefix(out, "canceled at 100 of 1000, 0 events") ||
		!strings.Contains(errs, "(0 %); degraded: connection refused\n") || !strings.Contains(errs, "gatecast: somebody has canceled the replay\n") {
		t.Errorf("by somebody else: status %d, %s%s", status, out, errs)
	}
	s.hooks.replay = func(r gatecast.Replay, _ int) gatecast.Replay {
		r.ID, r.Ended = "r2", time.Now()
		return r
	}
	status, out, errs = s.run("sub", "replay", id, "--from", "100", "--yes")
	if status != exitFailed || out != "" || !strings.Contains(errs, "another replay has taken the place of this one\n") {
		t.Errorf("another one: status %d, %s%s", status, out, errs)
	}
	for _, args := range [][]string{{}, {"--cancel", "--from", "1"}} {
		if status, _, errs := s.run(append([]string{"sub", "replay", id}, args...)...); status != exitUsage {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "YES\n": true, " yes \r\n": true, "y": true, "\n": false, "": false, "n\n": false, "yep\n": false, "no, y\n": false,
	} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(answer), &out, "Really?"); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
		if out.String() != "Really? [y/N] " {
			t.Errorf("asked %q", out.String())
		}
	}
}

func TestProgressOfAReplayFillsNoLog(t *testing.T) {
	var out bytes.Buffer
	p := newWaitLine(&out)
	for i := range 25 {
		p.tell(fmt.Sprint("at ", i))
	}
	p.end()
	if out.String() != "at 0\nat 10\nat 20\n" {
		t.Errorf("lines: %q", out.String())
	}
	out.Reset()
	p = &waitLine{w: &out, one: true}
	p.tell("long text")
	p.tell("short")
	p.end()
	if out.String() != "\rlong text\rshort    \n" {
		t.Errorf("on a terminal: %q", out.String())
	}
}
