package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

// fleet is devices that are as a test wants them.
type fleet struct {
	devices []gatecast.Device
	behind  bool // the past is still being read
}

func (f *fleet) Devices(q gatecast.DeviceQuery) gatecast.DevicePage {
	page := gatecast.DevicePage{Counts: map[gatecast.Fresh]int{}}
	for _, d := range f.devices {
		page.Counts[d.Freshness.State]++
		if d.SN > q.After && (q.State == "" || q.State == d.Freshness.State) && (q.Text == "" || strings.Contains(d.Name, q.Text)) {
			page.Devices = append(page.Devices, d)
		}
	}
	if len(page.Devices) > q.Limit {
		page.Devices, page.More = page.Devices[:q.Limit], true
	}
	return page
}

func (f *fleet) Device(sn string) (d gatecast.Device, r gatecast.Rhythm, there bool) {
	for _, d := range f.devices {
		if d.SN == sn {
			return d, gatecast.Rhythm{8: 12.3, 9: 0.4, 167: 123456}, true
		}
	}
	return d, r, false
}

func (f *fleet) Forget(_ context.Context, sn string) error {
	if _, _, there := f.Device(sn); !there {
		return gatecast.Errorf(gatecast.NotFound, "there is no device %q", sn)
	}
	return nil
}

func (f *fleet) SourceFreshness(string) gatecast.Freshness {
	return gatecast.Freshness{State: gatecast.FreshQuiet, Why: "nothing came yet"}
}

func (f *fleet) Newest() gatecast.Seq { return 0 }

func (f *fleet) Level() bool { return !f.behind }

func TestDevicesAreATableWithWhatTheirSilenceMeans(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	if status, out, errs := s.run("device", "list"); status != 0 || out != "" || errs != "No device was heard of yet.\n" {
		t.Errorf("none: status %d, %s%s", status, out, errs)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.fleet.devices = []gatecast.Device{
		{
			SN: "A", Name: "東門", Place: "1F", Source: "hq", First: at, Seen: at, Records: 12, Behind: time.Hour,
			Freshness: gatecast.Freshness{State: gatecast.FreshStale, Since: at.Add(time.Hour), Why: "silent for 3h0m; 31 events were to be expected"},
			Silence:   gatecast.Silence{Missed: 31, Limit: 14.5, Usual: 80 * time.Minute, Learnt: at},
		},
		{SN: "B\x1b", Source: "push", Seen: at, Freshness: gatecast.Freshness{State: gatecast.FreshQuiet, Since: at, Why: "silent"}, Silence: gatecast.Silence{Learnt: time.Now().Add(time.Hour)}},
		{SN: "C", Source: "push", Freshness: gatecast.Freshness{State: gatecast.FreshDead, Why: "its server says so"}},
	}
	status, out, errs := s.run("device", "list")
	want := `STATE  SINCE                LAST SEEN            USUALLY WITHIN  SN  NAME  SOURCE  WHY
stale  2026-01-02 04:04:05  2026-01-02 03:04:05  80 min          A   東門  hq      silent for 3h0m; 31 events were to be expected
quiet  2026-01-02 03:04:05  2026-01-02 03:04:05  learning        B�        push    silent
dead   -                    never                -               C         push    its server says so
`
	if diff := cmp.Diff(want, out); diff != "" || status != 0 || errs != "3 devices: 1 quiet, 1 stale, 1 dead\n" {
		t.Errorf("status %d, %s, %s", status, errs, diff)
	}
	_, out, errs = s.run("device", "list", "--limit", "1", "--after", "A")
	if strings.Contains(out, "stale") || !strings.Contains(errs, "go on with --after B�\n") {
		t.Errorf("a page: %s%s", out, errs)
	}
	if _, out, _ = s.run("device", "list", "--state", "dead"); strings.Contains(out, "quiet") || !strings.Contains(out, "dead") {
		t.Errorf("by state: %s", out)
	}
	if _, out, _ = s.run("device", "list", "--json"); !strings.Contains(out, `"usual_seconds": 4800`) {
		t.Errorf("as JSON: %s", out)
	}
	if status, _, errs := s.run("device", "list", "--state", "broken"); status != exitUsage || !strings.Contains(errs, "--state") {
		t.Errorf("a state that is none: status %d, %s", status, errs)
	}
	s.fleet.behind = true
	if _, _, errs = s.run("device", "list"); !strings.Contains(errs, "still reading") {
		t.Errorf("behind: %s", errs)
	}
}

func TestADeviceIsShownWithItsRhythmAndForgotten(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.fleet.devices = []gatecast.Device{{
		SN: "S/1", Name: "東門", Source: "hq", First: at, Seen: at, Records: 12, Alarms: 3, Behind: -time.Hour,
		Freshness: gatecast.Freshness{State: gatecast.FreshQuiet, Since: at, Why: "silent for 3h0m; no events were to be expected"},
		Silence:   gatecast.Silence{Missed: 0.3, Limit: 14.5, Usual: 80 * time.Minute, Learnt: at},
	}}
	status, out, _ := s.run("device", "show", "S/1")
	want := `sn              S/1
name            東門
place           -
source          hq
state           quiet since 2026-01-02 03:04:05
                silent for 3h0m; no events were to be expected
last seen       2026-01-02 03:04:05
usually within  80 min
missed since    0.3 events; stale from 14.5
first seen      2026-01-02 03:04:05
records         12
alarms          3
clock           1h0m0s ahead of the server's

EVENTS OF AN HOUR  00  01  02  03  04  05  06  07  08  09   10  11  12  13  14  15  16  17  18  19  20  21  22  23
Monday             .   .   .   .   .   .   .   .   12  0.4  .   .   .   .   .   .   .   .   .   .   .   .   .   .
`
	if !strings.HasPrefix(out, want) || status != 0 || !strings.HasSuffix(out, " 123k\n") {
		t.Errorf("status %d, %s%s", status, out, cmp.Diff(want, out))
	}
	if status, out, _ := s.run("device", "forget", "S/1"); status != 0 || out != "deleted S/1\n" {
		t.Errorf("forgotten: status %d, %s", status, out)
	}
	for _, command := range []string{"show", "forget"} {
		if status, _, errs := s.run("device", command, "none"); status != exitNotFound {
			t.Errorf("%s of none: status %d, %s", command, status, errs)
		}
	}
}
