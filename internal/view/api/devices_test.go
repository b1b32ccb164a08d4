package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// fleet is devices that are as a test wants them.
type fleet struct {
	devices []gatecast.Device
	asked   gatecast.DeviceQuery
}

func (f *fleet) Devices(q gatecast.DeviceQuery) gatecast.DevicePage {
	f.asked = q
	n := min(q.Limit, len(f.devices))
	return gatecast.DevicePage{Devices: f.devices[:n], More: n < len(f.devices), Counts: map[gatecast.Fresh]int{gatecast.FreshStale: len(f.devices)}}
}

func (f *fleet) Device(sn string) (gatecast.Device, gatecast.Rhythm, bool) {
	for _, d := range f.devices {
		if d.SN == sn {
			return d, gatecast.Rhythm{8: 12.346, 167: 1}, true
		}
	}
	return gatecast.Device{}, gatecast.Rhythm{}, false
}

func (f *fleet) Forget(_ context.Context, sn string) error {
	if _, _, there := f.Device(sn); !there {
		return &gatecast.Error{Code: gatecast.NotFound, Message: "there is no such device", Remedy: "look"}
	}
	f.devices = nil
	return nil
}

func (f *fleet) SourceFreshness(string) gatecast.Freshness {
	return gatecast.Freshness{State: gatecast.FreshQuiet, Why: "nothing came yet"}
}

func (f *fleet) Newest() gatecast.Seq { return 100 }

func (f *fleet) Level() bool { return true }

func TestDevicesAreListedShownAndForgotten(t *testing.T) {
	w := newWorld(t)
	w.want(w.read("/api/v1/devices"), 200, `{"devices":[],"counts":{"dead":0,"live":0,"quiet":0,"stale":0,"unknown":0},"level":true}`)
	w.fleet.devices = []gatecast.Device{{
		SN: "S/1 ü", Name: "Gate", Place: "1F", Source: "hq", First: at(1), Seen: at(2).Add(time.Millisecond), Stored: at(3), Behind: -time.Minute,
		Records: 4, Alarms: 5, Freshness: gatecast.Freshness{State: gatecast.FreshStale, Since: at(6), Why: "silent"},
		Silence: gatecast.Silence{Missed: 7.123, Limit: 6, Usual: 1500 * time.Millisecond, Learnt: at(8)},
	}, {SN: "S2"}}
	const first = `"sn":"S/1 ü","name":"Gate","place":"1F","source":"hq","first_seen":"2026-01-02T03:04:01Z","last_seen":"2026-01-02T03:04:02Z",` +
		`"last_stored":"2026-01-02T03:04:03Z","clock_behind_seconds":-60,"records":4,"alarms":5,` +
		`"freshness":{"state":"stale","since":"2026-01-02T03:04:06Z","why":"silent"},` +
		`"silence":{"missed":7.12,"limit":6,"usual_seconds":2,"learnt":"2026-01-02T03:04:08Z"}`
	w.want(w.read("/api/v1/devices?limit=1&state=stale&source=hq&q=gate&after=A"), 200,
		`{"devices":[{`+first+`}],"next":"S/1 ü","counts":{"dead":0,"live":0,"quiet":0,"stale":2,"unknown":0},"level":true}`)
	if diff := cmp.Diff(gatecast.DeviceQuery{State: gatecast.FreshStale, Source: "hq", Text: "gate", After: "A", Limit: 1}, w.fleet.asked); diff != "" {
		t.Error(diff)
	}
	w.refused(w.read("/api/v1/devices?state=broken"), 422, "invalid", "")

	const one = "/api/v1/devices/S%2F1%20%C3%BC"
	a := w.read(one)
	if a.status != 200 || !strings.HasPrefix(a.body, `{`+first+`,"rhythm":[[0,0,0,0,0,0,0,0,12.35,0,`) || !strings.Contains(a.body, `,0,1]]}`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.refused(w.as(auth.Read, "DELETE", one, ""), 403, "forbidden", "")
	w.want(w.do("DELETE", one, ""), 204, "")
	w.refused(w.read(one), 404, "not_found", "")
	w.refused(w.do("DELETE", one, ""), 404, "not_found", "")
	if !strings.Contains(w.log.String(), "device forgotten") {
		t.Error("that it was forgotten is not logged")
	}
}

func TestAnAppsFreshnessComesFromItsConnectionsAndItsCursor(t *testing.T) {
	w := newWorld(t)
	key := w.app("gate")
	w.status.state.Extent = gatecast.Extent{Epoch: "e", First: 1, Last: 500} // of which 400 are canaries
	cursor := func(seq gatecast.Seq, ago time.Duration) map[string][]gatecast.Cursor {
		return map[string][]gatecast.Cursor{key: {{Epoch: "old", Seq: 99, Confirmed: time.Now()}, {Epoch: "e", Seq: seq, Confirmed: time.Now().Add(-ago)}}}
	}
	conn := func(modes ...gatecast.Mode) (all []gatecast.Connection) {
		for _, m := range modes {
			all = append(all, gatecast.Connection{App: key, Mode: m, Connected: at(1), LagEvents: 5})
		}
		return append(all, gatecast.Connection{App: "another", Mode: gatecast.ModeLive})
	}
	for name, c := range map[string]struct {
		conns   []gatecast.Connection
		cursors map[string][]gatecast.Cursor
		state   string
		why     string
	}{
		"never here":             {conn(), nil, "quiet", "never connected"},
		"away, nothing happened": {conn(), cursor(100, time.Minute), "quiet", "has missed nothing"},
		"away":                   {conn(), cursor(90, time.Minute), "stale", "10 positions wait"},
		"away for too long":      {conn(), cursor(90, 25*time.Hour), "dead", "loses events"},
		"here":                   {conn(gatecast.ModeStalled, gatecast.ModeLive), cursor(90, time.Hour), "live", "1 of 2"},
		"catching up":            {conn(gatecast.ModeCatchingUp), nil, "live", "5 positions behind"},
		"taking nothing":         {conn(gatecast.ModeStalled), nil, "stale", "takes nothing"},
	} {
		w.peers.connections, w.peers.cursors = c.conns, c.cursors
		got := w.do("GET", "/api/v1/apps/"+key, "").json(t)["freshness"].(map[string]any)
		if got["state"] != c.state || !strings.Contains(got["why"].(string), c.why) {
			t.Errorf("%s: %v", name, got)
		}
	}
	w.do("POST", "/api/v1/apps/"+key+"/disable", "")
	if a := w.do("GET", "/api/v1/apps", ""); !strings.Contains(a.body, `"freshness":{"state":"quiet","why":"disabled"}`) {
		t.Error(a.body)
	}
	w.status.err = errors.New("the journal is away")
	if a := w.do("GET", "/api/v1/apps", ""); a.status != 200 || strings.Contains(a.body, "freshness") {
		t.Errorf("while nobody can tell: %d %s", a.status, a.body)
	}
}

func TestASubscriptionsFreshnessIsThatOfItsEndpoint(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/api/v1/subscriptions", `{"url":"https://sub.example/x"}`)
	sub := a.header.Get("Location")
	for want, st := range map[string]gatecast.SubscriptionState{
		`"live","why":"its endpoint takes`:     {Status: gatecast.SubscriptionActive, Delivered: 1},
		`"stale","why":"503"`:                  {Status: gatecast.SubscriptionRetrying, Reason: "503"},
		`"stale","since":"`:                    {Status: gatecast.SubscriptionDegraded, Since: time.Now()},
		`"dead","since":"2026-01-02T03:04:01Z`: {Status: gatecast.SubscriptionDegraded, Since: at(1)},
	} {
		w.hooks.state = st
		if a := w.do("GET", sub, ""); !strings.Contains(a.body, `"freshness":{"state":`+want) {
			t.Errorf("want %s: %s", want, a.body)
		}
	}
}
