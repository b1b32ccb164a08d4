package device

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// oneGate is a site with one busy gate beside another one.
func oneGate() []gate { return []gate{{"g1", "push", 60}, {"g2", "push", 60}} }

func TestADeviceIsLearntFromItsEvents(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0).run()
		s.post(passage("a", "push", time.Now().Add(-2*time.Minute)), passage("a", "push", time.Now()), offline("a", "hq", "x", 3, time.Now()))
		s.post(gatecast.Event{Kind: gatecast.Record, At: time.Now(), Data: []byte(`{}`)}) // of no device
		s.post(gatecast.Event{Kind: gatecast.Canary, Device: "canary", Source: "gatecast", Data: []byte(`{}`)})
		if s.Newest() != 4 {
			t.Errorf("the newest is at %d", s.Newest())
		}
		d, _, _ := s.Device("a")
		if d.Name != "Gate a" || d.Place != "1F" || d.Source != "hq" || d.Records != 2 || d.Alarms != 1 || time.Since(d.First) != 2*time.Minute || time.Since(d.Seen) != 0 {
			t.Errorf("%+v", d)
		}
		s.want(gatecast.FreshLive, "a")
		s.live(2*time.Hour, everybody)
		s.want(gatecast.FreshQuiet, "a")
		if why := s.state("a").Why; why != "silent for 2h0m; its rhythm is being learnt" {
			t.Error(why)
		}
		if page := s.Devices(gatecast.DeviceQuery{}); len(page.Devices) != 1 {
			t.Errorf("%+v", page)
		}
	})
}

func TestWhatComesLateMakesNobodyLive(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...).run()
		s.until(time.Tuesday, 10, everybody)
		began := time.Now()
		s.live(90*time.Minute, but("g1"))
		s.want(gatecast.FreshStale, "g1")
		stale := s.state("g1").Since
		for i := range 10 { // a server that was cut off hands over what it has
			s.post(passage("g1", "push", began.Add(time.Duration(i)*time.Minute)))
		}
		s.live(time.Minute, but("g1"))
		s.want(gatecast.FreshStale, "g1")
		if f := s.state("g1"); !f.Since.Equal(stale) || !strings.HasPrefix(f.Why, "silent for 1h2") {
			t.Errorf("%+v", f)
		}
		s.post(passage("g1", "push", time.Now()))
		s.want(gatecast.FreshLive, "g1")
	})
}

func TestAClockThatIsWrongIsFoundOut(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * time.Hour, 9 * time.Hour} {
		simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
			s := newSite(t, zone, 0).run()
			for range 60 {
				<-time.After(time.Minute)
				s.post(passage("a", "push", time.Now().Add(wrong)))
			}
			d, _, _ := s.Device("a")
			if d.Behind != -wrong || time.Since(d.Seen) != 0 || d.Freshness.State != gatecast.FreshLive {
				t.Errorf("%+v", d)
			}
			for range 60 { // somebody sets it right
				<-time.After(time.Minute)
				s.post(passage("a", "push", time.Now()))
			}
			if d, _, _ := s.Device("a"); d.Behind != 0 || time.Since(d.Seen) != 0 {
				t.Errorf("set right: %+v", d)
			}
		})
	}
}

func TestABacklogIsNoWrongClock(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0).run()
		at := time.Now().Add(-24 * time.Hour)
		for range 60 {
			<-time.After(time.Minute)
			at = at.Add(10 * time.Minute)
			s.post(passage("a", "push", at))
		}
		if d, _, _ := s.Device("a"); d.Behind != 0 || !d.Seen.Equal(at) {
			t.Errorf("%+v", d)
		}
	})
}

func TestWhatIsKnownSurvivesARestartAndTheLossOfTheFile(t *testing.T) {
	simulate(t, "Asia/Tokyo", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 4, oneGate()...)
		s.opts.File = filepath.Join(t.TempDir(), "devices.json")
		s.run()
		s.until(time.Monday, 10, everybody)
		s.live(90*time.Minute, but("g1"))
		s.want(gatecast.FreshStale, "g1")
		before, rhythm, _ := s.Device("g1")
		known := s.Devices(gatecast.DeviceQuery{})
		s.stop()

		s.run() // nothing is read again
		after, again, _ := s.Device("g1")
		if !before.Freshness.Since.Equal(after.Freshness.Since) || before.Freshness.Why != after.Freshness.Why || after.Freshness.State != gatecast.FreshStale || rhythm != again || before.Records != after.Records {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		s.live(time.Minute, but("g1"))
		s.want(gatecast.FreshStale, "g1") // also when silences are watched anew
		s.stop()

		for name, spoil := range map[string]func(string) error{
			"removed": os.Remove,
			"cut":     func(file string) error { return os.Truncate(file, 300) },
			"null": func(file string) error {
				return os.WriteFile(file, []byte(`{"version":1,"epoch":"e1","zone":"Asia/Tokyo","devices":[null]}`), 0o600)
			},
		} {
			if err := spoil(s.opts.File); err != nil {
				t.Fatal(err)
			}
			s.run()
			anew, again, _ := s.Device("g1")
			if rhythm != again || before.Records != anew.Records || !before.Seen.Equal(anew.Seen) || len(s.Devices(gatecast.DeviceQuery{}).Devices) != len(known.Devices) {
				t.Errorf("%s: %+v", name, anew)
			}
			s.stop()
		}
		s.journal.set(func() { s.journal.epoch, s.journal.events = "e2", nil })
		s.run()
		if page := s.Devices(gatecast.DeviceQuery{}); len(page.Devices) != 0 {
			t.Errorf("of another journal: %+v", page)
		}
	})
}

func TestARetentionThatWasFasterIsPassedOver(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 1, oneGate()...)
		s.journal.set(func() { s.journal.first = gatecast.Seq(len(s.journal.events)) })
		s.run()
		if d := s.Devices(gatecast.DeviceQuery{}).Devices; len(d) != 1 || d[0].Records != 1 || !s.Level() {
			t.Errorf("%+v", d)
		}
	})
}

func TestAJournalThatFailsIsAskedAgain(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 1, oneGate()...)
		down := func(err error) { s.journal.set(func() { s.journal.fail = err }) }
		down(gatecast.Errorf(gatecast.Unavailable, "no disk"))
		s.run()
		<-time.After(time.Minute)
		if s.Level() {
			t.Error("it believes that it has read everything")
		}
		down(nil)
		<-time.After(time.Minute)
		synctest.Wait()
		if !s.Level() || len(s.Devices(gatecast.DeviceQuery{}).Devices) != 2 {
			t.Error("it has not read everything")
		}
	})
}

func TestWhoIsSilentLongestIsForgottenWhenThereAreTooMany(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0)
		s.opts.Max = 3
		s.run()
		for _, sn := range []string{"a", "b", "c", "a", "d"} {
			s.post(passage(sn, "push", time.Now()))
			<-time.After(time.Second)
		}
		var left string
		for _, d := range s.Devices(gatecast.DeviceQuery{}).Devices {
			left += d.SN
		}
		if left != "acd" {
			t.Errorf("left: %s", left)
		}
		s.post(offline("a", "gatecast", "t", 1, time.Now())) // has an alarm
		s.post(passage("c", "push", time.Now()), passage("d", "push", time.Now()), passage("e", "push", time.Now()))
		if _, _, there := s.Device("a"); !there {
			t.Error("a device was forgotten whose alarm has still to be released")
		}
	})
}

func TestDevicesAreChosenAndPaged(t *testing.T) {
	simulate(t, "UTC", func(t *testing.T, zone *time.Location) {
		s := newSite(t, zone, 0).run()
		for i := range 5 {
			s.post(passage(fmt.Sprint("d", i), []string{"push", "hq"}[i%2], time.Now()))
		}
		names := func(q gatecast.DeviceQuery) (all string) {
			page := s.Devices(q)
			for _, d := range page.Devices {
				all += d.SN
			}
			if page.More {
				all += "+"
			}
			return all
		}
		for want, q := range map[string]gatecast.DeviceQuery{
			"d0d1d2d3d4": {}, "d0d1+": {Limit: 2}, "d3d4": {After: "d2", Limit: 2}, "d1d3": {Source: "hq"},
			"d4": {Text: "gate D4"}, "": {State: gatecast.FreshDead},
		} {
			if got := names(q); got != want {
				t.Errorf("%+v: %s, want %s", q, got, want)
			}
		}
		if n := s.Devices(gatecast.DeviceQuery{Source: "hq"}).Counts[gatecast.FreshLive]; n != 5 {
			t.Errorf("%d are live", n)
		}
	})
}

// A rhythm is the same in whatever order the events of a week come in.
func TestWhatComesLateCountsInTheHourInWhichItHappened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var late, punctual device
		counts := rapid.SliceOfN(rapid.IntRange(0, 5), 6, 6).Draw(t, "counts")
		start := int64(1000)
		for _, d := range []*device{&late, &punctual} {
			for h := start - 3*week; h < start; h += week / 8 {
				d.count(h)
			}
			d.count(start)
		}
		for i, n := range counts {
			for range n {
				punctual.count(start + 1 + int64(i))
			}
		}
		punctual.count(start + 10)
		late.count(start + 10)
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "order") {
			for range counts[i] {
				late.count(start + 1 + int64(i))
			}
		}
		for h := range week {
			if a, b := late.Rhythm.rate[h], punctual.Rhythm.rate[h]; math.Abs(float64(a-b)) > 1e-4 {
				t.Fatalf("hour %d: %v late, %v in time", h, a, b)
			}
		}
	})
}

func TestTheUsualSilenceEndsWhenEnoughIsMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r rhythm
		for h := range week {
			if rapid.Bool().Draw(t, "busy") {
				r.fold(h, float32(rapid.IntRange(1, 50).Draw(t, "events")))
			}
		}
		c := calendar{time.UTC}
		from := time.Unix(rapid.Int64Range(1e9, 1e9+week*3600).Draw(t, "from"), 0)
		events := rapid.Float64Range(0.5, 2000).Draw(t, "missed")
		usual := r.usual(c, from, events)
		if usual == 0 {
			if r.total > 0 && events <= memory*r.total {
				t.Fatal("no silence is unusual")
			}
			return
		}
		if got := r.expected(c, from, from.Add(usual+time.Second)); got < events-0.01 {
			t.Errorf("after %v only %v of %v events are missed", usual, got, events)
		}
		if got := r.expected(c, from, from.Add(usual-2*time.Second)); got > events+0.01 {
			t.Errorf("before %v %v of %v events are missed", usual, got, events)
		}
	})
}

func TestOneLongAbsenceDoesNotTeachSilence(t *testing.T) {
	var d device
	start := int64(100_000)
	for w := range int64(6) {
		d.count(start + w*week)
		d.count(start + w*week)
	}
	d.count(start + 60*week) // a year later
	if rate := d.Rhythm.rate[slot(start)]; rate < 1.2 {
		t.Errorf("%v events are left of 2", rate)
	}
}
