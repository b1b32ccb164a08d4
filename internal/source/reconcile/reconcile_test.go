package reconcile

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

func TestWhatWasNotPushedIsFilledInOnceAndInOrderOfTime(t *testing.T) {
	for _, style := range []gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t.TempDir(), Options{})
			s.source.Settings.REST.Style = style
			for i := range 10 {
				if r := s.up.add(gatecast.Record, time.Hour); i%2 == 0 {
					s.push(t, r)
				}
				if i == 4 {
					s.up.add(gatecast.Alarm, time.Hour)
				}
				sleep(time.Minute)
			}
			s.start(t)
			defer s.stop()
			sleep(11 * time.Minute)
			var last time.Time
			for _, e := range s.journal.events[5:] {
				if e.At.Before(last) || e.Source != sourceName || e.Device == "" || !e.Late {
					t.Errorf("%+v after %v", e, last)
				}
				last = e.At
			}
			if n := len(s.journal.ids()); n != 11 || len(s.journal.events) != 11 {
				t.Errorf("%d events with %d IDs, want 11: %v", len(s.journal.events), n, s.journal.ids())
			}
			if st := s.rec.Statement(sourceName); st.Filled != 6 || st.Lost != 0 || st.Error != "" || time.Since(st.Through) > 6*time.Minute {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestALookThatFailsStatesNothingAndSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeUpstream)
		want   string
	}{
		"no connection": {func(u *fakeUpstream) { u.fail = errors.New("connection refused") }, "ask for alarms: connection refused"},
		"500":           {func(u *fakeUpstream) { u.status = 500 }, "ask for alarms: the server answered 500 Internal Server Error"},
		"in its words": {
			func(u *fakeUpstream) { u.body = `{"code":498,"message":"Param Invalid","desc":"sign error","data":{}}` },
			`ask for alarms: the server answered "498" "Param Invalid" "sign error"`,
		},
		"cut off":  {func(u *fakeUpstream) { u.body = `{"code":200,"data":{"list":[{"id":1}` }, ""},
		"no list":  {func(u *fakeUpstream) { u.body = `{"code":200,"data":{"total":3}}` }, "ask for alarms: the answer has no list"},
		"too slow": {func(u *fakeUpstream) { u.delay = time.Minute }, "ask for alarms: no answer within 30s"},
		"short":    {func(u *fakeUpstream) { u.habits.short = true }, "the list does not hold still, or has fewer rows than it says; it is asked again later"},
		"another zone": {
			func(u *fakeUpstream) { u.habits.zone = time.FixedZone("", 9*60*60) },
			"the server lists record 2 of 2000-01-01 00:06:00, but not when it is asked for just that time; check rest.zone of the source, and the server's clock",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t.TempDir(), Options{})
				s.push(t, s.up.add(gatecast.Record, time.Hour))
				s.start(t)
				defer s.stop()
				sleep(time.Minute)
				before := s.rec.Statement(sourceName)
				if before.Through.IsZero() || before.Error != "" {
					t.Fatalf("the first look: %+v", before)
				}
				s.up.set(c.change)
				sleep(5 * time.Minute)
				before = s.rec.Statement(sourceName)
				s.push(t, s.up.add(gatecast.Record, 0))
				sleep(20 * time.Minute)
				st := s.rec.Statement(sourceName)
				if st.Through != before.Through || st.Error == "" || c.want != "" && st.Error != c.want {
					t.Errorf("%+v\nwant the error %q", st, c.want)
				}
				s.up.set(func(u *fakeUpstream) {
					u.habits, u.fail, u.status, u.body, u.delay = habits{zone: time.UTC}, nil, 0, "", 0
				})
				sleep(6 * time.Minute)
				if st := s.rec.Statement(sourceName); st.Error != "" || time.Since(st.Through) > 7*time.Minute {
					t.Errorf("when all is well again: %+v", st)
				}
			})
		})
	}
}
