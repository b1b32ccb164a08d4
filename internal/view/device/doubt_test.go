package device

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestATimeInWhichNobodyListenedBlamesNobody(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, append(oneGate(), gate{"slow", "push", 6})...)
		s.opts.File = filepath.Join(t.TempDir(), "devices.json")
		s.run()
		s.until(time.Monday, 10, everybody)
		s.stop()
		<-time.After(5 * time.Hour) // what the gates sent meanwhile is lost
		s.run()
		s.want(gatecast.FreshQuiet, "g1", "g2")
		s.live(5*time.Minute, func(g gate) bool { return g.sn == "g2" })
		s.want(gatecast.FreshQuiet, "g1")
		s.want(gatecast.FreshLive, "g2")
		s.live(30*time.Minute, func(g gate) bool { return g.sn == "g2" })
		s.want(gatecast.FreshStale, "g1")
		s.want(gatecast.FreshQuiet, "slow") // three events are missed, and those that were lost do not count
	})
}

func TestADeviceThatWasDeadBeforeSaysNothingAboutItsSource(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Monday, 10, everybody)
		s.live(time.Hour, but("g1"))
		s.live(40*time.Minute, func(gate) bool { return false })
		s.want(gatecast.FreshStale, "g1", "g2")
		if len(s.suspects) > 0 {
			t.Errorf("suspected: %q", s.suspects)
		}
	})
}

func TestOneLoudDeviceIsNotItsSource(t *testing.T) {
	for want, missed := range map[bool][]float64{true: {30, 2, 1}, false: {30, 2, 0.9}} {
		var v voices
		for _, m := range missed {
			v.add(m, 100)
		}
		if got := v.enough(6); got != want {
			t.Errorf("%v: %v", missed, got)
		}
	}
	v := voices{devices: 2, missed: 8, loudest: 4, weekly: 100}
	if v.enough(6) {
		t.Error("8 events of 100 a week may be missed by chance")
	}
}

// People who come by bus leave silences that chance alone would not.
func TestADeviceWhosePeopleComeInCrowdsIsGivenMore(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0)
		now := time.Now()
		for at := now.Add(-4 * week * time.Hour); at.Before(now); at = at.Add(time.Minute) {
			if local := at.In(zone); local.Hour() < 8 || local.Hour() >= 18 {
				continue
			}
			events := 0
			if at.Minute() == 0 { // a bus an hour
				events = 20
			}
			for i := range events {
				e := passage("bus", "push", at.Add(time.Duration(i)*time.Second))
				e.Stored = e.At
				s.journal.add(e)
			}
		}
		s.run()
		s.until(time.Monday, 8, everybody)
		for range 9 {
			for i := range 20 {
				s.post(passage("bus", "push", time.Now().Add(time.Duration(i)*time.Second)))
			}
			for range 58 {
				<-time.After(time.Minute)
				s.want(gatecast.FreshLive, "bus")
			}
			<-time.After(2 * time.Minute)
		}
		if d, _, _ := s.Device("bus"); d.Silence.Limit < 25 {
			t.Errorf("stale from %v", d.Silence.Limit)
		}
		if strings.Contains(s.log.String(), "stale") {
			t.Error(s.log.String())
		}
	})
}

func TestAServerThatRefusesOrPausesIsNoFaultOfItsDevices(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Monday, 10, everybody)
		nobody := func(gate) bool { return false }
		for _, st := range []gatecast.SourceState{
			{Status: gatecast.SourceRefused, Reason: "sign error"},
			{Status: gatecast.SourcePaused, Reason: "moving"},
			{Status: gatecast.SourceStalled, Reason: "3 events were not pushed"},
			{Status: gatecast.SourceWaiting, Reason: "its latest post was refused", LastSign: time.Now()},
		} {
			st.Since = time.Now()
			s.servers.set("push", st)
			s.live(70*time.Minute, nobody)
			s.want(gatecast.FreshUnknown, "g1", "g2")
			want := map[gatecast.SourceStatus]gatecast.Fresh{gatecast.SourceRefused: gatecast.FreshDead, gatecast.SourcePaused: gatecast.FreshQuiet}[st.Status]
			if want == "" {
				want = gatecast.FreshStale
			}
			s.wantSource("push", want)
			s.servers.set("push", gatecast.SourceState{Status: gatecast.SourceLive})
			s.live(30*time.Minute, everybody)
			s.want(gatecast.FreshLive, "g1", "g2")
		}
		s.servers.set("push", gatecast.SourceState{Status: gatecast.SourceConnecting, Since: time.Now()})
		s.live(time.Minute/2, everybody)
		s.want(gatecast.FreshLive, "g1", "g2")
		if strings.Contains(s.log.String(), "device is stale") {
			t.Error(s.log.String())
		}
	})
}
