package device

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

// raise does what source/absence does with the outages there are.
func (s *site) raise() (n int) {
	for _, o := range s.Outages() {
		status := 1
		if !o.Ended.IsZero() {
			status = 3
		}
		s.post(offline(o.Device.SN, "gatecast", o.Trace, status, time.Now()))
		n++
	}
	return n
}

func (s *site) alarms(sn string) (all []string) {
	s.journal.set(func() {
		for _, e := range s.journal.events {
			if e.Source == "gatecast" && e.Device == sn && e.Kind == gatecast.Alarm {
				all = append(all, e.ID)
			}
		}
	})
	return all
}

func TestAnOutageIsToldOnceAndEndsOnce(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Tuesday, 10, everybody)
		if n := len(s.Outages()); n != 0 {
			t.Errorf("%d outages of devices that are here", n)
		}
		s.live(90*time.Minute, but("g1"))
		if s.raise() != 1 || s.raise() != 0 {
			t.Error("the outage is not told exactly once")
		}
		s.want(gatecast.FreshStale, "g1") // the alarm is no sign of life
		s.stop()
		s.run() // without a file everything is read again
		if s.raise() != 0 {
			t.Error("told again after a restart")
		}
		s.live(2*time.Minute, everybody)
		if s.raise() != 1 || s.raise() != 0 {
			t.Error("its end is not told exactly once")
		}
		s.live(90*time.Minute, but("g1"))
		s.raise()
		if ids := s.alarms("g1"); len(ids) != 3 || ids[0][:len(ids[0])-2] != ids[1][:len(ids[1])-2] || ids[2] == ids[0] {
			t.Errorf("%q", ids)
		}
	})
}

func TestAnOutageDoesNotEndBecauseNobodyCanTellAnyMore(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Tuesday, 10, everybody)
		s.live(90*time.Minute, but("g1"))
		s.raise()
		nobody := func(gate) bool { return false }
		s.servers.set("push", gatecast.SourceState{Status: gatecast.SourceConnecting, Since: time.Now().Add(-2 * time.Hour)})
		s.live(3*time.Hour, nobody)
		if len(s.Outages()) != 0 {
			t.Errorf("%+v", s.Outages())
		}
		s.servers.set("push", gatecast.SourceState{Status: gatecast.SourceLive})
		s.live(time.Minute, nobody)
		if len(s.Outages()) != 0 {
			t.Errorf("not heard of: %+v", s.Outages())
		}
	})
}

func TestADeviceWhoseServerSaysSoIsDeadUntilItIsHeardOf(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0).run()
		s.post(passage("a", "hq", time.Now()))
		<-time.After(time.Minute)
		s.post(offline("a", "hq", "t", 1, time.Now()))
		s.want(gatecast.FreshDead, "a")
		if len(s.Outages()) != 0 {
			t.Error("it is told once more")
		}
		s.post(passage("a", "hq", time.Now().Add(-30*time.Second))) // from before
		s.want(gatecast.FreshDead, "a")
		<-time.After(time.Minute)
		s.post(passage("a", "hq", time.Now()))
		s.want(gatecast.FreshLive, "a")
		<-time.After(time.Minute)
		s.post(offline("a", "hq", "t2", 1, time.Now()), offline("a", "hq", "t2", 3, time.Now().Add(time.Second)))
		s.want(gatecast.FreshLive, "a")
		if d, _, _ := s.Device("a"); d.Alarms != 1 {
			t.Errorf("%d alarms", d.Alarms)
		}
	})
}

func TestAForgottenDeviceIsGoneOnEveryNodeAndItsAlarmIsReleased(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Tuesday, 10, everybody)
		s.live(90*time.Minute, but("g1"))
		s.raise()
		if err := s.Forget(t.Context(), "g1"); err != nil {
			t.Fatal(err)
		}
		if _, _, there := s.Device("g1"); there || len(s.Devices(gatecast.DeviceQuery{}).Devices) != 1 {
			t.Error("it is still there")
		}
		if code := gatecast.CodeOf(s.Forget(t.Context(), "g1")); code != gatecast.NotFound {
			t.Errorf("forgotten twice: %v", code)
		}
		if s.raise() != 1 || s.raise() != 0 || len(s.alarms("g1")) != 2 {
			t.Errorf("its alarm is not released once: %q", s.alarms("g1"))
		}
		s.stop()
		s.run()
		if _, _, there := s.Device("g1"); there {
			t.Error("it is there again after a restart")
		}
		s.post(passage("g1", "push", time.Now()))
		synctest.Wait()
		if d, _, there := s.Device("g1"); !there || d.Records != 1 {
			t.Errorf("it came back, and is not known: %+v", d)
		}
	})
}

func TestAnAlarmIsReleasedAlsoIfNothingElseIsKnownOfItsDevice(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0).run()
		s.post(offline("a", "gatecast", "t", 1, time.Now()))
		s.want(gatecast.FreshStale, "a")
		if len(s.Outages()) != 0 {
			t.Errorf("%+v", s.Outages())
		}
		<-time.After(time.Hour)
		s.post(passage("a", "push", time.Now()))
		if s.raise() != 1 || len(s.alarms("a")) != 2 {
			t.Errorf("%q", s.alarms("a"))
		}
	})
}

func TestWhatASilenceMeansIsAFunctionOfWhatIsKnown(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	o := Options{}.withDefaults()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	stale := gatecast.Freshness{State: gatecast.FreshStale, Since: ago(3 * time.Hour)}
	cut := &trouble{since: ago(2 * time.Hour), why: "cut"}
	for name, c := range map[string]struct {
		e    evidence
		want gatecast.Fresh
	}{
		"heard of":                   {evidence{seen: ago(5 * time.Minute), limit: 6, missed: 1}, gatecast.FreshLive},
		"silent as usual":            {evidence{seen: ago(5 * time.Hour), limit: 6, missed: 5.9}, gatecast.FreshQuiet},
		"silent too long":            {evidence{seen: ago(30 * time.Minute), limit: 6, missed: 6}, gatecast.FreshStale},
		"too short to matter":        {evidence{seen: ago(9 * time.Minute), limit: 6, missed: 60}, gatecast.FreshLive},
		"watched for too short":      {evidence{seen: ago(9 * time.Hour), watched: ago(9 * time.Minute), limit: 6, missed: 60}, gatecast.FreshQuiet},
		"new":                        {evidence{seen: ago(9 * time.Hour), learnt: now.Add(time.Second), limit: 6, missed: 60}, gatecast.FreshQuiet},
		"stale for long":             {evidence{seen: ago(30 * time.Hour), before: gatecast.Freshness{State: gatecast.FreshStale, Since: ago(24 * time.Hour)}}, gatecast.FreshDead},
		"stale, and now it is night": {evidence{seen: ago(9 * time.Hour), limit: 6, missed: 1, before: stale}, gatecast.FreshStale},
		"stale, and heard of":        {evidence{seen: ago(time.Second), heard: true, limit: 6, before: stale}, gatecast.FreshLive},
		"stale, before its source":   {evidence{seen: ago(9 * time.Hour), before: stale, trouble: cut}, gatecast.FreshStale},
		"stale, with its source":     {evidence{seen: ago(9 * time.Hour), before: stale, trouble: &trouble{since: ago(4 * time.Hour)}}, gatecast.FreshUnknown},
		"cut off":                    {evidence{seen: ago(2 * time.Hour), limit: 6, trouble: cut}, gatecast.FreshUnknown},
		"cut off, and heard of":      {evidence{seen: ago(2 * time.Minute), limit: 6, trouble: cut}, gatecast.FreshLive},
		"offline":                    {evidence{seen: ago(2 * time.Minute), limit: 6, offline: ago(time.Minute)}, gatecast.FreshDead},
	} {
		e := c.e
		e.now = now
		if got := o.judge(&e); got.State != c.want || got.Since.IsZero() {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}
