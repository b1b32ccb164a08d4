package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func attempts(n int) []gatecast.Attempt {
	var log []gatecast.Attempt
	for i := range n {
		a := gatecast.Attempt{
			Time: time.Date(2026, 1, 2, 3, 4, i%60, 0, time.Local), Seq: gatecast.Seq(i), Events: 1, Message: fmt.Sprintf("m%06d", i), Try: 1,
			Status: 200, Took: time.Millisecond, Outcome: gatecast.Delivered,
		}
		if i%2 == 1 {
			a.Events, a.Try, a.Status, a.Outcome, a.Error = 20, 2, 0, gatecast.Unreachable, "connection\nrefused"
		}
		log = append(log, a)
	}
	return log
}

func TestDeliveriesAreListedTheLatestAtTheEnd(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	_, out, errs := s.run("sub", "deliveries", id)
	if out != "" || errs != "There is nothing in the log.\n" {
		t.Errorf("none: %s%s", out, errs)
	}
	s.hooks.log = attempts(2500)
	_, out, errs = s.run("sub", "deliveries", id, "--limit", "2")
	want := `TIME                 SEQ        TRY  STATUS  TOOK  OUTCOME    ERROR
2026-01-02 03:04:38  2498       1    200     1 ms  delivered
2026-01-02 03:04:39  2499 (20)  2    -       1 ms  failed     connection�refused
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff, errs)
	}
	_, out, _ = s.run("sub", "deliveries", id, "--failed", "--limit", "1200", "--json")
	if n := strings.Count(out, `"failed"`); n != 1200 || strings.Contains(out, `"delivered"`) {
		t.Errorf("%d failed: %.300s", n, out)
	}
	_, out, _ = s.run("sub", "deliveries", id, "--limit", "10000")
	if n := strings.Count(out, "\n"); n != 2501 || !strings.Contains(out, " test       1    200") {
		t.Errorf("%d lines, %.300s", n, out)
	}
}

func TestDeliveriesAreFollowed(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	all := attempts(1300)
	ctx, enough := context.WithCancel(t.Context())
	s.hooks.log = all[:3]
	s.hooks.onLog = func(n int) {
		switch n {
		case 2: // more than a page
			s.hooks.log = all[:1297]
		case 4:
			s.hooks.log = all
		case 6:
			enough()
		}
	}
	var out bytes.Buffer
	args := []string{"gatecast", "sub", "deliveries", id, "--follow", "--limit", "2", "--server", s.http.URL, "--token", s.token}
	if err := commands(terminal{in: strings.NewReader(""), out: &out, err: &out}).Run(ctx, args); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1300 || !strings.HasPrefix(lines[0], "TIME ") {
		t.Fatalf("%d lines, first %q", len(lines), lines[0])
	}
	for i, line := range lines[1:] { // the first two of five were seen when it began
		if !strings.HasPrefix(line[21:], fmt.Sprintf("%d ", i+1)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
}

func letters(seqs ...gatecast.Seq) []gatecast.DeadLetter {
	var dead []gatecast.DeadLetter
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, seq := range seqs {
		dead = append(dead, gatecast.DeadLetter{
			Seq: seq, First: at, SetAside: at.Add(time.Minute), Tries: 8,
			Event: gatecast.Event{Seq: seq, ID: "m", Kind: gatecast.Record, Device: "SPSP-1\x07", Data: []byte(`{"name":"Ada"}`)},
			Last: gatecast.Exchange{
				URL: "https://host.example/in", Body: []byte("{}"),
				Attempt: gatecast.Attempt{Seq: seq, Events: 1, Status: 422, Outcome: gatecast.Refused, Error: "it answered 422", Answer: []byte("no such field")},
			},
		})
	}
	return dead
}

func TestDeadLettersAreListedAndShown(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	s.hooks.dead = letters(3, 5, 8)
	_, out, errs := s.run("sub", "dead", id, "--limit", "2")
	want := `SEQ  KIND    DEVICE   TRIES  SET ASIDE            STATUS  ERROR
3    record  SPSP-1�  8      2026-01-02 03:05:05  422     it answered 422
5    record  SPSP-1�  8      2026-01-02 03:05:05  422     it answered 422
`
	if diff := cmp.Diff(want, out); diff != "" || errs != "There are more; go on with --after 5\n" {
		t.Error(diff, errs)
	}
	_, out, errs = s.run("sub", "dead", id, "--after", "5")
	if strings.Count(out, "\n") != 2 || errs != "" {
		t.Error(out, errs)
	}
	_, out, _ = s.run("sub", "dead", id, "5")
	if !strings.Contains(out, "set aside    2026-01-02 03:05:05\ntries        8\n") || !strings.Contains(out, `{"name":"Ada"}`) ||
		!strings.HasSuffix(out, "< 422 Unprocessable Entity\n<\nno such field\n* answered in 0 ms\n* refused: it answered 422\n") {
		t.Errorf("shown: %s", out)
	}
	if status, _, _ := s.run("sub", "dead", id, "4"); status != exitNotFound {
		t.Errorf("of one that is not there: status %d", status)
	}
}

func TestDeadLettersAreSentAgainUntilTheEndpointFails(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	s.hooks.dead = letters(3, 5, 8, 9)
	if status, out, _ := s.run("sub", "resend", id, "3"); status != 0 || !strings.HasSuffix(out, "* delivered\n") {
		t.Errorf("one: status %d, %s", status, out)
	}
	s.hooks.outcomes = map[gatecast.Seq]gatecast.Outcome{5: gatecast.Refused}
	status, out, errs := s.run("sub", "resend", id, "--all")
	if status != exitFailed || out != "5  refused  it answered 422\n8  delivered\n9  delivered\n" ||
		!strings.Contains(errs, "2 delivered, 1 still refused\n") || !strings.Contains(errs, "not delivered: 1 of 3\n") {
		t.Errorf("all: status %d, %s%s", status, out, errs)
	}
	s.hooks.dead = letters(3, 5, 8)
	s.hooks.outcomes = map[gatecast.Seq]gatecast.Outcome{5: gatecast.Unreachable}
	status, out, _ = s.run("sub", "resend", id, "--all")
	if status != exitFailed || strings.Contains(out, "8") {
		t.Errorf("to an endpoint that fails: status %d, %s", status, out)
	}
	for _, args := range [][]string{{id}, {id, "5", "--all"}} {
		if status, _, errs := s.run(append([]string{"sub", "resend"}, args...)...); status != exitUsage {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestDeadLettersAreForgottenWhenThatIsConfirmed(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	id := s.subscribe(t)
	s.hooks.dead = letters(3, 5, 8)
	if status, out, _ := s.run("sub", "discard", id, "5"); status != 0 || out != "deleted 5\n" || len(s.hooks.dead) != 2 {
		t.Errorf("one: status %d, %s", status, out)
	}
	if status, out, _ := s.run("sub", "discard", id, "5"); status != exitNotFound || out != "" {
		t.Errorf("one that is not there: status %d, %s", status, out)
	}
	if status, _, errs := s.run("sub", "discard", id, "--all"); status != exitUsage || !strings.Contains(errs, "--yes") || len(s.hooks.dead) != 2 {
		t.Errorf("all, not confirmed: status %d, %s", status, errs)
	}
	if status, out, _ := s.run("sub", "discard", id, "--all", "--yes"); status != 0 || out != "deleted 2\n" || len(s.hooks.dead) != 0 {
		t.Errorf("all: status %d, %s", status, out)
	}
}
