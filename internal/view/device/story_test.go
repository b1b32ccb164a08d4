package device

import (
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestQuietDeadStalledAndCutOffAreToldApart(t *testing.T) {
	simulate(t, "Asia/Tokyo", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, sixGates()...).run()
		s.wantSource("hq", gatecast.FreshQuiet)
		s.want(gatecast.FreshQuiet, "g1", "g5", "y1") // after a weekend
		s.until(time.Monday, 10, everybody)
		s.want(gatecast.FreshLive, "g1", "g2", "g3", "y1", "y2")
		s.wantSource("hq", gatecast.FreshLive)

		s.until(time.Tuesday, 3, everybody) // a quiet night
		s.want(gatecast.FreshQuiet, "g1", "g2", "g3", "g4", "g5", "g6", "y1", "y2")
		s.wantSource("hq", gatecast.FreshQuiet)
		if why := s.state("g1").Why; !strings.HasSuffix(why, "no events were to be expected") {
			t.Errorf("at night: %s", why)
		}

		s.until(time.Tuesday, 10, everybody)
		s.live(time.Hour, but("g1")) // a dead device
		s.want(gatecast.FreshStale, "g1")
		s.want(gatecast.FreshLive, "g2", "g6", "y1")
		s.wantSource("hq", gatecast.FreshLive)
		s.until(time.Wednesday, 14, but("g1"))
		s.want(gatecast.FreshDead, "g1")
		s.want(gatecast.FreshLive, "g2", "y1")

		s.live(time.Hour, func(g gate) bool { return g.source == "yard" }) // heartbeats only
		s.wantSource("hq", gatecast.FreshStale)
		s.wantSource("yard", gatecast.FreshLive)
		s.want(gatecast.FreshUnknown, "g2", "g3", "g6")
		s.want(gatecast.FreshDead, "g1") // as it was before
		s.want(gatecast.FreshLive, "y1", "y2")
		if why := s.state("g2").Why; !strings.Contains(why, "does not push") {
			t.Errorf("stalled: %s", why)
		}
		if len(s.suspects) != 1 || !strings.HasPrefix(s.suspects[0], "hq: ") {
			t.Errorf("suspected: %q", s.suspects)
		}
		s.live(30*time.Minute, but("g1"))
		s.want(gatecast.FreshLive, "g2", "g6", "y1")
		s.wantSource("hq", gatecast.FreshLive)

		s.until(time.Thursday, 10, everybody)
		s.want(gatecast.FreshLive, "g1") // it is back
		s.servers.set("hq", gatecast.SourceState{Status: gatecast.SourceConnecting, Since: time.Now(), Reason: "connection refused"})
		s.live(5*time.Minute, func(g gate) bool { return g.source == "yard" })
		s.wantSource("hq", gatecast.FreshStale)
		s.live(90*time.Minute, func(g gate) bool { return g.source == "yard" }) // a dead upstream
		s.wantSource("hq", gatecast.FreshDead)
		s.want(gatecast.FreshUnknown, "g1", "g2", "g3", "g4", "g5", "g6")
		s.want(gatecast.FreshLive, "y1", "y2")
		if why := s.state("g2").Why; !strings.Contains(why, "connection refused") {
			t.Errorf("cut off: %s", why)
		}
		s.servers.set("hq", gatecast.SourceState{Status: gatecast.SourceLive, Since: time.Now()})
		s.live(40*time.Minute, everybody)
		s.want(gatecast.FreshLive, "g1", "g2", "g6")
		if strings.Count(s.log.String(), "device is stale") != 1 || strings.Count(s.log.String(), "device is dead") != 1 {
			t.Errorf("more than one device was blamed:\n%s", s.log.String())
		}
	})
}

func TestNobodyIsBlamedInUsualWeeks(t *testing.T) {
	for _, zone := range []string{"Asia/Kolkata", "America/New_York"} {
		simulate(t, zone, func(t *testing.T, zone *time.Location) {
			s := newSite(t, zone, 3, sixGates()...).run()
			for range 7 * 24 {
				s.live(time.Hour, everybody)
				for _, d := range s.Devices(gatecast.DeviceQuery{}).Devices {
					if d.Freshness.State != gatecast.FreshLive && d.Freshness.State != gatecast.FreshQuiet {
						t.Errorf("%v: %s is %s: %s", time.Now().In(zone), d.SN, d.Freshness.State, d.Freshness.Why)
					}
				}
			}
			if len(s.suspects) > 0 {
				t.Errorf("suspected: %q", s.suspects)
			}
		})
	}
}

func TestAHolidayBlamesNobodyAndTeachesNothingMuch(t *testing.T) {
	simulate(t, "Europe/Berlin", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, sixGates()...).run()
		s.until(time.Tuesday, 7, everybody)
		began := time.Now()
		nobody := func(gate) bool { return false }
		s.live(5*time.Hour, nobody)
		s.want(gatecast.FreshUnknown, "g1", "g2", "g3", "y1", "y2")
		s.wantSource("hq", gatecast.FreshStale)
		if len(s.suspects) != 2 {
			t.Errorf("suspected: %q", s.suspects)
		}
		st := s.servers.State("hq")
		st.Statement.Looked = time.Now()
		s.servers.set("hq", st)
		s.live(time.Minute, nobody)
		if f := s.SourceFreshness("hq"); !strings.Contains(f.Why, "has nothing either") || !f.Since.Before(time.Now().Add(-3*time.Hour)) || f.Since.Before(began) {
			t.Errorf("asked: %+v", f)
		}
		s.until(time.Wednesday, 7, nobody)
		s.until(time.Wednesday, 10, everybody)
		s.want(gatecast.FreshLive, "g1", "g2", "y1")
		s.until(time.Tuesday, 9, everybody) // the same day a week later
		s.live(time.Hour, but("g1"))
		s.want(gatecast.FreshStale, "g1")
		if n := strings.Count(s.log.String(), "device is "); n != 1 {
			t.Errorf("blamed %d times:\n%s", n, s.log.String())
		}
		if len(s.suspects) != 2 {
			t.Errorf("suspected: %q", s.suspects)
		}
	})
}

func TestAServerThatWasAskedAndHasNothingIsNotSuspected(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, sixGates()...).run()
		s.until(time.Tuesday, 10, everybody)
		for range 6 {
			s.servers.set("hq", gatecast.SourceState{Status: gatecast.SourceLive, Statement: gatecast.Statement{Looked: time.Now()}})
			s.live(5*time.Minute, func(g gate) bool { return g.source != "hq" })
		}
		s.want(gatecast.FreshUnknown, "g1", "g2")
		if len(s.suspects) != 0 {
			t.Errorf("suspected: %q", s.suspects)
		}
	})
}

func TestClocksThatAreSetChangeNothing(t *testing.T) {
	synctestAt(t, "Europe/Berlin", time.Date(2000, 3, 20, 6, 0, 0, 0, time.UTC), func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, sixGates()...).run()
		s.until(time.Sunday, 12, everybody) // summer time began at 2
		for range 2 * 24 {
			s.live(time.Hour, everybody)
			for _, d := range s.Devices(gatecast.DeviceQuery{}).Devices {
				if d.Freshness.State.Away() || d.Freshness.State == gatecast.FreshUnknown {
					t.Errorf("%v: %s is %s: %s", time.Now().In(zone), d.SN, d.Freshness.State, d.Freshness.Why)
				}
			}
		}
		_, rhythm, _ := s.Device("g1")
		if rhythm[7] > 1 || rhythm[8] < 30 || rhythm[17] < 30 || rhythm[18] > 1 {
			t.Errorf("Monday: %.1f", rhythm[:24])
		}
	})
}
