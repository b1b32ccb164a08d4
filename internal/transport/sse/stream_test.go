package sse

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// beats is short enough for a test to see some.
const beats = 5 * time.Millisecond

func TestAStreamSaysWhatItIsAndWhereItBegins(t *testing.T) {
	s := newSite(t, plan{})
	s.awaitHead(s.publish(records(3, 0)...))
	r := s.read(signedNow())
	r.wantResumed(3, 3, s.epoch())
	if r.retry != 2*time.Second {
		t.Errorf("retry %v, want 2 s", r.retry)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"Access-Control-Allow-Origin": "", "Content-Encoding": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOldEventsAreMarkedAsReplayedAndNewOnesAreNot(t *testing.T) {
	for _, f := range []front{{}, {http2: true}} {
		s := newSite(t, plan{front: f})
		s.awaitHead(s.publish(records(2, 10)...))
		r := s.read("since=earliest")
		r.wantResumed(0, 2, s.epoch())
		s.publish(gatecast.Event{Kind: gatecast.Alarm, Data: []byte("{\r\n \"a\": 1}")})
		r.want(numbered(s.events[0], s.epoch(), true))
		r.want(numbered(s.events[1], s.epoch(), true))
		r.want(message{"alarm", `{"code":30100,"desc":"","message":"push alarm","seq":3,"epoch":"` + s.epoch() + `","data":{` + "\n \"a\": 1}}", "3"})
		s.stop()
	}
}

func TestAHeadRequestGetsTheHeadersAndNoStream(t *testing.T) {
	s := newSite(t, plan{opts: Options{MaxConns: 1}})
	s.read("") // takes the only place
	r, err := s.client().Head(s.front.URL + "/?" + signedNow())
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%s, %v", r.Status, r.Header)
	}
}

func TestWhereAStreamBegins(t *testing.T) {
	s := newSite(t, plan{})
	s.awaitHead(s.publish(records(9, 0)...))
	s.journal.Expire(4)
	epoch := s.epoch()
	gap := func(from, to int, reason gatecast.Reason) message {
		return message{"gap", fmt.Sprintf(`{"from":%d,"to":%d,"reason":%q,"head":9,"epoch":%q}`, from, to, reason, epoch), fmt.Sprint(to)}
	}
	resumed := func(after int) message {
		return message{"resumed", fmt.Sprintf(`{"after":%d,"head":9,"epoch":%q}`, after, epoch), fmt.Sprint(after)}
	}
	cases := []struct {
		name, query, header string
		want                message
	}{
		{"nothing said", "", "", resumed(9)},
		{"latest", "since=latest", "", resumed(9)},
		{"earliest", "since=earliest", "", resumed(4)},
		{"a position", "since=6", "", resumed(6)},
		{"a position and its epoch", "since=6&epoch=" + epoch, "", resumed(6)},
		{"a time to come", "since=2126-01-01T00:00:00Z", "", resumed(9)},
		{"a position that is gone", "since=2", "", gap(2, 4, gatecast.GapRetention)},
		{"a position beyond the end", "since=10", "", gap(10, 4, gatecast.GapAhead)},
		{"another epoch", "since=6&epoch=x", "", gap(6, 4, gatecast.GapEpoch)},
		{"a browser that comes back", "since=earliest", "Last-Event-ID: 7", resumed(7)},
		{"with an epoch", "since=5&epoch=" + epoch, "Last-Event-ID: 7", resumed(7)},
		{"with another epoch", "since=5&epoch=x", "Last-Event-ID: 7", gap(7, 4, gatecast.GapEpoch)},
		{"with nothing but an epoch", "epoch=" + epoch, "Last-Event-ID: 7", resumed(7)},
		{"too late", "", "Last-Event-ID: 3", gap(3, 4, gatecast.GapRetention)},
		{"before everything", "", "Last-Event-ID: 0", gap(0, 4, gatecast.GapRetention)},
		{"an empty header", "since=6", "Last-Event-ID: ", resumed(6)},
		{"seq, which every stream has", "seq=1&since=6", "", resumed(6)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			r := s.read(c.query, headers...)
			r.want(c.want)
			if c.want.ID == "4" {
				r.want(numbered(s.events[4], epoch, true))
			}
		})
	}
	s.t = t
	if got, want := s.metric("gatecast_sse_lost_positions_total"), 2.0+1+4; got != want {
		t.Errorf("%v positions lost, want %v", got, want)
	}
}

func TestAReaderCutBeforeTheFirstEventComesBackToTheSamePlace(t *testing.T) {
	s := newSite(t, plan{})
	s.awaitHead(s.publish(records(3, 0)...))
	r := s.read(signedNow())
	r.wantResumed(3, 3, s.epoch())
	r.cut()
	s.awaitHead(s.publish(records(1, 0)...))
	back := s.read(signedNow(), "Last-Event-ID: "+r.lastID)
	back.wantResumed(3, 4, s.epoch())
	back.want(numbered(s.events[3], s.epoch(), true))
}

// mixed is events that differ in whatever a filter looks at.
func mixed() []gatecast.Event {
	return []gatecast.Event{
		{Kind: gatecast.Record, Device: "D1", Groups: []int64{1, 2}},
		{Kind: gatecast.Record, Device: "D2", Groups: []int64{2}},
		{Kind: gatecast.Alarm, Device: "D1"},
		{Kind: gatecast.Alarm, Device: "D2"},
	}
}

func TestAStreamHasWhatItsCallerMaySeeAndItAskedFor(t *testing.T) {
	alarms := anApp()
	alarms.Kinds = []gatecast.Kind{gatecast.Alarm}
	alarms.Key = "00000000000000a1"
	s := newSite(t, plan{apps: []gatecast.App{anApp(), alarms}, opts: Options{Heartbeat: beats}})
	s.awaitHead(s.publish(mixed()...))
	only := sign(alarms.Key, secret, time.Now())
	cases := []struct {
		query string
		want  []int
	}{
		{"since=0", []int{1, 2, 3, 4}},
		{signedNow() + "&since=0", []int{1, 2, 3, 4}},
		{only + "&since=0", []int{3, 4}},
		{only + "&since=0&kinds=record", nil},
		{"since=0&kinds=record", []int{1, 2}},
		{"since=0&kinds=record,30100&sn=D2", []int{2, 4}},
		{"since=0&sn=D1&sn=D2", []int{1, 2, 3, 4}},
		{"since=0&group=1", []int{1}},
		{only + "&since=0&sn=D1", []int{3}},
	}
	for _, c := range cases {
		r := s.read(c.query)
		r.wantResumed(0, 4, s.epoch())
		for _, seq := range c.want {
			r.want(numbered(s.events[seq-1], s.epoch(), true))
		}
		r.until(func() bool { return r.lastID == "4" && r.comments > 0 })
	}
}

func TestHiddenEventsMoveTheReaderAlongWithAHeartbeat(t *testing.T) {
	s := newSite(t, plan{opts: Options{Heartbeat: beats}})
	r := s.read("kinds=alarm")
	r.wantResumed(0, 0, s.epoch())
	s.publish(records(5, 0)...)
	r.until(func() bool { return r.lastID == "5" })
	r.cut()
	back := s.read("kinds=alarm", "Last-Event-ID: "+r.lastID)
	back.wantResumed(5, 5, s.epoch())
}

func TestHeartbeatsKeepAStreamAliveBeyondTheServersTimeouts(t *testing.T) {
	simulated(t, func(t *testing.T, f front) {
		const timeout, beat = time.Minute, 15 * time.Second
		f.timeout = timeout
		s := newSite(t, plan{front: f, opts: Options{Heartbeat: beat}})
		r := s.read("")
		r.wantResumed(0, 0, s.epoch())
		r.until(func() bool { return r.comments > 10*int(timeout/beat) })
		s.publish(records(1, 0)...)
		r.want(numbered(s.events[0], s.epoch(), false))
	})
}

func TestAnAppsNewKindsCountAtOnce(t *testing.T) {
	s := newSite(t, plan{opts: Options{Heartbeat: time.Hour}})
	r := s.read(signedNow())
	r.wantResumed(0, 0, s.epoch())
	a := anApp()
	a.Kinds = []gatecast.Kind{gatecast.Alarm}
	s.apps.set(a)
	s.publish(mixed()...)
	r.want(numbered(s.events[2], s.epoch(), false))
}

func TestAStreamEndsWithTheRightToIt(t *testing.T) {
	disabled := anApp()
	disabled.Enabled = false
	cases := []struct {
		name, query, reason string
		heartbeat           time.Duration
		lose                func(*site)
	}{
		{"app disabled", signedNow(), "app", time.Hour, func(s *site) { s.apps.set(disabled) }},
		{"app deleted, and nobody told", signedNow(), "app", beats, func(s *site) {
			s.apps.quietly(func(apps map[string]*gatecast.App) { delete(apps, key) })
		}},
		{"token deleted", "", "token", beats, func(s *site) {
			s.tokens.change(func(f *fakeTokens) { clear(f.held) })
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, plan{opts: Options{Heartbeat: c.heartbeat}})
			r := s.read(c.query)
			r.wantResumed(0, 0, s.epoch())
			c.lose(s)
			if got, err := r.end(); !clean(err) || len(got) > 0 {
				t.Errorf("ended with %v after %v", err, got)
			}
			s.settle()
			if n := s.metric("gatecast_sse_cut_total", "reason", c.reason); n != 1 {
				t.Errorf("%v cut for this reason", n)
			}
		})
	}
}

func TestAStreamOutlastsATokenStoreThatCannotTell(t *testing.T) {
	s := newSite(t, plan{opts: Options{Heartbeat: beats}})
	r := s.read("")
	r.wantResumed(0, 0, s.epoch())
	s.tokens.change(func(f *fakeTokens) { f.fail = gatecast.Errorf(gatecast.Unavailable, "no leader") })
	r.until(func() bool { return r.comments == 5 })
	s.publish(records(1, 0)...)
	r.want(numbered(s.events[0], s.epoch(), false))
}

func TestTheListTellsHowFarEachStreamIs(t *testing.T) {
	s := newSite(t, plan{})
	s.awaitHead(s.publish(records(3, 0)...))
	r := s.read(signedNow() + "&since=1")
	r.wantResumed(1, 3, s.epoch())
	r.want(numbered(s.events[1], s.epoch(), true))
	r.want(numbered(s.events[2], s.epoch(), true))
	s.publish(records(1, 0)...)
	r.want(numbered(s.events[3], s.epoch(), false))
	var got []gatecast.Connection
	for len(got) == 0 || got[0].Position < 4 { // it is moved when the write has returned
		got = s.server.List()
	}
	want := []gatecast.Connection{{
		App: key, Transport: "sse", Mode: gatecast.ModeLive, Confirmation: gatecast.ConfirmNone,
		Start: 1, Position: 4, Events: 3,
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gatecast.Connection{}, "Remote", "Connected", "Bytes")); diff != "" {
		t.Error(diff)
	}
	if got[0].Remote == "" || got[0].Connected.IsZero() || got[0].Bytes < 300 {
		t.Errorf("%+v", got[0])
	}
	r.cut()
	s.settle()
	if got := s.server.List(); len(got) > 0 {
		t.Errorf("a stream that ended is still listed: %v", got)
	}
	for name, want := range map[string]float64{
		"gatecast_sse_connections": 0, "gatecast_sse_connections_total": 1, "gatecast_sse_events_total": 3,
	} {
		if got := s.metric(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

func TestAnAppReachesBackAsFarAsItMaySeeAndATokenToTheBeginning(t *testing.T) {
	blind := anApp()
	blind.CatchUp.Window = gatecast.LookbackOff
	s := newSite(t, plan{apps: []gatecast.App{blind}})
	s.publish(records(5, 0)...)
	s.awaitHead(5)
	<-time.After(2 * time.Millisecond) // events are stored to the millisecond: these are past
	s.read(signedNow() + "&since=2").want(message{
		"gap", fmt.Sprintf(`{"from":2,"to":5,"reason":"window","head":5,"epoch":%q}`, s.epoch()), "5",
	})
	s.read(signedNow()+"&since=earliest").wantResumed(5, 5, s.epoch())
	s.read("since=2", "Authorization: Bearer "+token).wantResumed(2, 5, s.epoch())
}
