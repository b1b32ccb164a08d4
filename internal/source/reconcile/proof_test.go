package reconcile

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	nothingListed = "no record is listed yet, so nobody can say whether the server lists those of the times it is asked for"
	notAskedYet   = "the server was not asked by its present settings yet"
)

// firstLook runs a test in a bubble, before the first look at a source.
func firstLook(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t.TempDir(), Options{})
		defer func() { s.stop() }()
		test(t, s)
	})
}

// says fails unless the statement says up to when, or why nothing is stated. The
// dates of answers are whole seconds: it may be a little less.
func (s *site) says(t *testing.T, through time.Time, withheld, failed string) {
	t.Helper()
	synctest.Wait()
	st := s.rec.Statement(sourceName)
	if st.Through.After(through) || through.Sub(st.Through) > 2*time.Second || st.Withheld != withheld || !strings.Contains(st.Error, failed) || (st.Error == "") != (failed == "") {
		t.Errorf("%+v\nwant through %v, withheld %q, error %q", st, through, withheld, failed)
	}
}

func TestAFirstLookInTheWrongZoneStatesNothing(t *testing.T) {
	for _, hours := range []int{-26, -12, -9, -1, 0, 1, 5, 9, 14, 26} {
		for _, ago := range []time.Duration{time.Minute, 3 * time.Hour, 20 * time.Hour, 30 * time.Hour, 80 * 24 * time.Hour} {
			firstLook(t, func(t *testing.T, s *site) {
				s.up.habits.zone = time.FixedZone("", hours*60*60)
				s.up.add(gatecast.Record, ago)
				s.start(t)
				sleep(time.Minute)
				st := s.rec.Statement(sourceName)
				if stated := !st.Through.IsZero(); stated != (hours == 0) || st.Error == "" && !stated {
					t.Errorf("%d hours off, a record of %v ago: %+v", hours, ago, st)
				}
			})
		}
	}
}

func TestOfAServerThatListsNothingNothingIsStatedUntilItLists(t *testing.T) {
	firstLook(t, func(t *testing.T, s *site) {
		s.up.add(gatecast.Alarm, 0)
		s.start(t)
		sleep(time.Minute)
		s.says(t, time.Time{}, nothingListed, "")
		if st, err := s.rec.Reconcile(t.Context(), sourceName); err != nil || st.Withheld == "" || st.Filled != 1 {
			t.Errorf("%+v, %v: nothing has failed", st, err)
		}
		s.up.add(gatecast.Record, 0)
		if st, err := s.rec.Reconcile(t.Context(), sourceName); err != nil || st.Withheld != "" || time.Since(st.Through) > 10*time.Second {
			t.Errorf("with one record: %+v, %v", st, err)
		}
	})
}

func TestAQuietSiteIsCompleteIfItsServerListsARecordOfLongAgo(t *testing.T) {
	firstLook(t, func(t *testing.T, s *site) {
		s.up.add(gatecast.Record, 40*24*time.Hour)
		s.start(t)
		start := time.Now()
		sleep(time.Minute)
		s.says(t, start.Add(-margin), "", "")
		s.filled(t, 0)
		sleep(3 * 24 * time.Hour)
		if st := s.rec.Statement(sourceName); time.Since(st.Through) > 6*time.Minute {
			t.Errorf("three days later: %+v", st)
		}
		s.up.set(func(u *fakeUpstream) { u.rows = nil })
		before := s.rec.Statement(sourceName).Through
		sleep(time.Hour)
		if st := s.rec.Statement(sourceName); st.Through.Sub(before) > 6*time.Minute || st.Withheld != nothingListed {
			t.Errorf("with nothing listed any more: %+v, before %v", st, before)
		}
	})
}

func TestWhatWasPushedAMomentAgoNeedNotBeListedYet(t *testing.T) {
	for age, want := range map[time.Duration]string{
		2*margin - time.Second: "",
		2*margin + time.Second: "the server lists no records at all, and has pushed one of ",
	} {
		firstLook(t, func(t *testing.T, s *site) {
			r := s.up.add(gatecast.Record, age)
			s.push(t, r)
			s.up.set(func(u *fakeUpstream) { u.rows = nil })
			s.up.add(gatecast.Record, 40*24*time.Hour) // the list works, and lags
			if want != "" {
				s.up.set(func(u *fakeUpstream) { u.rows = nil })
			}
			s.start(t)
			start := time.Now()
			sleep(time.Second)
			if want == "" {
				s.says(t, start.Add(-margin), "", "")
			} else {
				s.says(t, time.Time{}, "", want)
			}
		})
	}
}

func TestSettingsThatAreAnsweredOtherwiseMustProveThemselvesAnew(t *testing.T) {
	for name, change := range map[string]func(*gatecast.Source){
		"zone":    func(s *gatecast.Source) { s.Settings.REST.Zone = "Etc/GMT-1" },
		"url":     func(s *gatecast.Source) { s.Settings.REST.URL = "http://other" },
		"style":   func(s *gatecast.Source) { s.Settings.REST.Style = gatecast.RESTv4 },
		"company": func(s *gatecast.Source) { s.Settings.Company = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			at(t, Options{}, func(t *testing.T, s *site) {
				before := s.rec.Statement(sourceName).Through
				s.up.set(func(u *fakeUpstream) { u.delay = time.Second })
				s.change(change)
				s.says(t, time.Time{}, notAskedYet, "")
				s.stop()
				s.start(t)
				s.says(t, time.Time{}, notAskedYet, "")
				s.up.set(func(u *fakeUpstream) { u.delay = 0 })
				sleep(time.Minute)
				st := s.rec.Statement(sourceName)
				if name == "zone" {
					if st.Error == "" || !st.Through.IsZero() {
						t.Errorf("in the wrong zone: %+v", st)
					}
					return
				}
				if !st.Through.After(before) {
					t.Errorf("%+v, before %v", st, before)
				}
			})
		})
	}
	at(t, Options{}, func(t *testing.T, s *site) {
		before := s.rec.Statement(sourceName).Through
		s.change(func(src *gatecast.Source) { src.Settings.REST.Every = time.Hour })
		if st := s.rec.Statement(sourceName); st.Through.Before(before) {
			t.Errorf("the time between two looks says nothing about answers: %+v", st)
		}
	})
}

func TestRecordsOfOtherCompaniesProveAListToo(t *testing.T) {
	firstLook(t, func(t *testing.T, s *site) {
		s.source.Settings.Company = 7
		s.up.addRaw(`{"id":1,"signTime":` + unixText(time.Now()) + `,"companyId":8}`)
		s.start(t)
		sleep(time.Minute)
		if st := s.filled(t, 0); st.Through.IsZero() || st.Withheld != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestAStatementIsByTheClockOfTheServerIfThatIsSlow(t *testing.T) {
	firstLook(t, func(t *testing.T, s *site) {
		s.up.habits.ahead = -3 * time.Minute
		s.up.add(gatecast.Record, 0)
		s.start(t)
		for range 10 {
			sleep(90 * time.Second)
			synctest.Wait()
			st := s.rec.Statement(sourceName)
			if r := s.up.add(gatecast.Record, 0); !r.at.After(st.Through) {
				t.Errorf("an event of %v happens, and %+v", r.at, st)
			}
		}
		if st := s.rec.Statement(sourceName); time.Since(st.Through) > 9*time.Minute {
			t.Errorf("%+v", st)
		}
	})
	var why []string
	at(t, Options{Suspect: func(name, text string) { why = append(why, text) }}, func(t *testing.T, s *site) {
		s.up.habits.ahead = 3 * time.Minute
		s.up.add(gatecast.Record, time.Minute) // before we were connected, whatever its clock shows
		s.rec.Connected(sourceName)
		s.up.set(func(u *fakeUpstream) { u.fail = errors.New("away") })
		sleep(6 * time.Minute)
		s.up.set(func(u *fakeUpstream) { u.fail = nil })
		sleep(6 * time.Minute)
		if s.filled(t, 1); len(why) > 0 {
			t.Errorf("suspected: %q", why)
		}
	})
}

func TestAStatementIsTakenBackIfTheClockOfTheServerIsSetBack(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		sleep(time.Hour)
		before := s.rec.Statement(sourceName).Through
		s.up.set(func(u *fakeUpstream) { u.habits.ahead = -2 * time.Hour })
		sleep(6 * time.Minute)
		st := s.rec.Statement(sourceName)
		if r := s.up.add(gatecast.Record, 0); !st.Through.Before(r.at) || !st.Through.Before(before) || st.Through.IsZero() {
			t.Errorf("an event of %v happens, and %+v", r.at, st)
		}
		sleep(6 * time.Minute)
		s.filled(t, 1)
	})
}

func unixText(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
