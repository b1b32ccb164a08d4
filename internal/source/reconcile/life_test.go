package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

// at runs a test in a bubble, with a source whose first look was a minute ago,
// and which has pushed a record before, number 1.
func at(t *testing.T, o Options, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t.TempDir(), o)
		s.push(t, s.up.add(gatecast.Record, time.Hour))
		s.start(t)
		defer func() { s.stop() }()
		sleep(time.Minute)
		test(t, s)
	})
}

func (s *site) filled(t fataler, want uint64) gatecast.Statement {
	t.Helper()
	synctest.Wait()
	st := s.rec.Statement(sourceName)
	if st.Filled != want {
		t.Fatalf("%d events were filled in, want %d: %+v", st.Filled, want, st)
	}
	return st
}

func TestASourceIsLookedAtWhenItHasLetUsIn(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.up.add(gatecast.Record, 10*time.Second)
		s.rec.Connected(sourceName)
		sleep(2 * time.Second)
		s.filled(t, 1)
	})
}

func TestASourceIsSuspectedOnlyOfWhatHappenedWhileItWasConnected(t *testing.T) {
	var why []string
	at(t, Options{Suspect: func(name, text string) { why = append(why, name+": "+text) }}, func(t *testing.T, s *site) {
		s.up.add(gatecast.Record, 10*time.Second)
		s.rec.Connected(sourceName)
		sleep(5 * time.Second)
		s.up.add(gatecast.Record, 0) // the connection is only being made
		sleep(6 * time.Minute)
		if s.filled(t, 2); len(why) != 0 {
			t.Errorf("suspected: %q", why)
		}
		s.up.add(gatecast.Record, 0)
		sleep(6 * time.Minute)
		if s.filled(t, 3); len(why) != 1 || why[0] != "hq: 1 events of the time since it was connected were not pushed" {
			t.Errorf("suspected: %q", why)
		}
	})
}

func TestWhoDemandsALookGetsOneThatBeginsThen(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.up.add(gatecast.Record, 20*time.Hour)
		st, err := s.rec.Reconcile(t.Context(), sourceName)
		if err != nil || st.Filled != 1 || time.Since(st.Looked) > 5*time.Second {
			t.Errorf("%+v, %v", st, err)
		}
		s.up.set(func(u *fakeUpstream) { u.fail = errors.New("no route") })
		if st, err = s.rec.Reconcile(t.Context(), sourceName); gatecast.CodeOf(err) != gatecast.Unavailable || st.Error != "ask for alarms: no route" {
			t.Errorf("%+v, %v", st, err)
		}
		if _, err := s.rec.Reconcile(t.Context(), "nobody"); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Error(err)
		}
		s.change(func(src *gatecast.Source) { src.Paused = "by hand" })
		if _, err := s.rec.Reconcile(t.Context(), sourceName); gatecast.CodeOf(err) != gatecast.Conflict {
			t.Error(err)
		}
		s.change(func(src *gatecast.Source) { src.Paused, src.Settings.REST.URL = "", "" })
		if _, err := s.rec.Reconcile(t.Context(), sourceName); gatecast.CodeOf(err) != gatecast.Conflict {
			t.Error(err)
		}
	})
}

func TestNobodyWaitsForALookThatNeverComes(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.up.set(func(u *fakeUpstream) { u.delay = 20 * time.Second })
		got := make(chan error)
		go func() { _, err := s.rec.Reconcile(t.Context(), sourceName); got <- err }()
		sleep(time.Second)
		go func() { _, err := s.rec.Reconcile(t.Context(), sourceName); got <- err }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.rec.Reconcile(ctx, sourceName); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		s.change(func(src *gatecast.Source) { src.Settings.REST.URL = "" })
		for range 2 {
			if err := <-got; gatecast.CodeOf(err) != gatecast.Unavailable {
				t.Error(err)
			}
		}
	})
}

func TestAPausedSourceIsNotAskedUntilItIsResumed(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.change(func(src *gatecast.Source) { src.Paused = "by hand" })
		synctest.Wait()
		before := s.up.questions()
		s.up.add(gatecast.Record, 0)
		s.rec.Connected(sourceName)
		sleep(time.Hour)
		if n := s.up.questions(); n != before {
			t.Errorf("%d questions while it was paused", n-before)
		}
		s.change(func(src *gatecast.Source) { src.Paused = "" })
		sleep(10 * time.Second)
		s.filled(t, 1)
	})
}

func TestASourceThatIsMadeAnewIsAnotherOne(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(30 * time.Minute)
		src := s.source
		s.sources.set(sourceName, nil)
		sleep(time.Hour)
		if names, err := os.ReadDir(s.opts.Dir); err != nil || len(names) > 0 {
			t.Errorf("left behind: %v, %v", names, err)
		}
		s.source = src
		s.up.set(func(u *fakeUpstream) { u.last, u.rows = 0, nil }) // a server that begins to count again
		s.change(func(src *gatecast.Source) { src.Created = time.Now() })
		s.up.add(gatecast.Record, 0)
		sleep(11 * time.Minute)
		s.filled(t, 1)
	})
}

func TestAnAlarmIsFollowedForAWeek(t *testing.T) {
	at(t, Options{SaveEvery: time.Hour}, func(t *testing.T, s *site) {
		r := s.up.add(gatecast.Alarm, 0)
		sleep(10 * time.Minute)
		s.filled(t, 1)
		s.change(func(src *gatecast.Source) { src.Settings.REST.Every = time.Hour })
		sleep(6 * 24 * time.Hour)
		s.change(func(src *gatecast.Source) { src.Settings.REST.Every = 5 * time.Minute })
		s.up.become(r, 2)
		s.up.become(r, 3)
		sleep(10 * time.Minute)
		if st := s.filled(t, 2); st.Lost != 0 {
			t.Errorf("%d lost; nobody knows whether each state was", st.Lost)
		}
		r = s.up.add(gatecast.Alarm, 0)
		s.up.become(r, 3)
		sleep(10 * time.Minute)
		if st := s.filled(t, 3); st.Lost != 1 {
			t.Errorf("%d lost, want the beginning of the second alarm", st.Lost)
		}
	})
}

func TestWhatWasSeenAndIsGoneBeforeItCouldBeStoredIsLost(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for range 3 {
			s.up.add(gatecast.Record, 0)
		}
		s.journal.mu.Lock()
		s.journal.fail = gatecast.Errorf(gatecast.Unavailable, "full")
		s.journal.mu.Unlock()
		sleep(10 * time.Minute)
		before := s.filled(t, 0)
		if before.Error != "store what was missing: full" {
			t.Errorf("%+v", before)
		}
		s.stop()
		s.start(t)
		s.up.set(func(u *fakeUpstream) { u.rows = slices.Delete(u.rows, 1, 3) })
		s.journal.mu.Lock()
		s.journal.fail = nil
		s.journal.mu.Unlock()
		sleep(10 * time.Minute)
		if st := s.filled(t, 1); st.Lost != 2 || st.Error != "" || !st.Through.After(before.Through) {
			t.Errorf("%+v, want 2 lost", st)
		}
		sleep(time.Hour)
		if st := s.filled(t, 1); st.Lost != 2 {
			t.Errorf("%+v, counted again", st)
		}
	})
}

func TestARowThatCannotBeUnderstoodGoesToTheQuarantineOnceAndKeepsNobodyOut(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for _, raw := range []string{`{"id":12,"signTime":"soon"}`, `{"sn":"S","signTime":7}`, `7`, `{"id":13,"groups":{}}`} {
			s.up.addRaw(raw)
		}
		s.up.add(gatecast.Record, 0)
		sleep(5 * time.Minute)
		if st := s.filled(t, 1); s.quarantine.count() != 4 || st.SetAside != 4 || st.Error != "" {
			t.Errorf("%+v\n%q", st, s.quarantine.reasons)
		}
		sleep(24 * time.Hour) // deep looks see them again
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(6 * time.Minute)
		if st := s.filled(t, 1); s.quarantine.count() != 4 || st.SetAside != 0 {
			t.Errorf("%+v, %d set aside", st, s.quarantine.count())
		}
	})
}

func TestAnEventThatTheJournalNeverTakesKeepsNobodyOut(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.journal.mu.Lock()
		s.journal.refuse = func(e gatecast.Event) bool { return strings.HasSuffix(e.ID, ":2") }
		s.journal.mu.Unlock()
		for range 3 {
			s.up.add(gatecast.Record, 0)
		}
		sleep(5 * time.Minute)
		if s.filled(t, 2); s.quarantine.count() != 1 {
			t.Errorf("%q", s.quarantine.reasons)
		}
	})
}

func TestEventsOfOtherCompaniesAreLeftAlone(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.change(func(src *gatecast.Source) { src.Settings.Company = 7 })
		for i, company := range []string{"7", "8", "null"} {
			s.up.addRaw(fmt.Sprintf(`{"id":%d,"signTime":%d,"companyId":%s}`, i+2, time.Now().Unix(), company))
		}
		sleep(5 * time.Minute)
		s.filled(t, 2)
	})
}

func TestAfterARestartOnlyTheRestOfTheJournalIsRead(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for range 1000 {
			s.push(t, s.up.add(gatecast.Record, 0))
		}
		sleep(time.Minute)
		s.stop()
		for range 10 {
			s.push(t, s.up.add(gatecast.Record, 0))
		}
		for _, c := range []struct {
			name   string
			change func(content []byte) []byte
			want   int
		}{
			{"whole", func(b []byte) []byte { return b }, 10},
			{"torn", func(b []byte) []byte { return b[:len(b)-1] }, 1011},
			{"one bit wrong", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 1011},
			{"of another journal", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"e1"`, `"e0"`, 1)) }, 1011},
			{"of another source", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"2000-`, `"1999-`, 1)) }, 1011},
		} {
			file := idsFile(s.opts.Dir, sourceName)
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, c.change([]byte(string(content))), 0o600); err != nil {
				t.Fatal(err)
			}
			s.journal.asked = 0
			s.start(t)
			sleep(time.Second)
			s.stop()
			if s.journal.asked != c.want {
				t.Errorf("%s: %d events were read, want %d", c.name, s.journal.asked, c.want)
			}
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.start(t)
		sleep(time.Minute)
		s.filled(t, 0)
	})
}

func TestANewJournalIsFilledAnew(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(5 * time.Minute)
		s.stop()
		s.journal.events, s.journal.seen, s.journal.epoch = nil, 0, "e2"
		s.start(t)
		synctest.Wait()
		if st := s.rec.Statement(sourceName); !st.Through.IsZero() && st.Filled == 0 {
			t.Errorf("of a journal without anything in it: %+v", st)
		}
		sleep(time.Minute)
		s.filled(t, 2)
	})
}

func TestWhatRetentionTookIsPassedOver(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.stop()
		for range 10 {
			s.push(t, s.up.add(gatecast.Record, 0))
		}
		s.journal.first = 6
		s.start(t)
		sleep(10 * time.Minute)
		// The journal still knows the IDs of the five, which it does not hold.
		if st := s.filled(t, 0); st.Error != "" || time.Since(st.Through) > 6*time.Minute {
			t.Errorf("%+v", st)
		}
	})
}

func TestNothingIsMissedWhenClocksAreChanged(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, day := range []time.Time{time.Date(2000, 3, 26, 0, 0, 0, 0, time.UTC), time.Date(2000, 10, 29, 0, 0, 0, 0, time.UTC)} {
		synctest.Test(t, func(t *testing.T) {
			sleep(time.Until(day.Add(-3 * time.Hour)))
			s := newSite(t.TempDir(), Options{})
			s.up.habits.zone = berlin
			s.source.Settings.REST.Zone = "Europe/Berlin"
			s.source.Settings.REST.Lookback = time.Hour
			s.start(t)
			defer s.stop()
			for range 100 {
				s.up.add(gatecast.Record, 0)
				sleep(5 * time.Minute)
				st := s.rec.Statement(sourceName)
				there := s.journal.ids()
				for _, r := range s.up.rows {
					if r.at.Before(st.Through) && there[r.eventID()] == 0 {
						t.Fatalf("the event of %v is not there: %+v", r.at, st)
					}
				}
			}
			sleep(10 * time.Minute)
			if st := s.filled(t, 100); time.Since(st.Through) > 6*time.Minute {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestTimesOfAnotherZoneAreNoticed(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.up.set(func(u *fakeUpstream) { u.habits.zone = time.FixedZone("", 60*60) })
		s.up.add(gatecast.Record, time.Hour-time.Minute)
		sleep(5 * time.Minute)
		const want = "the server lists record 2 of 1999-12-31 23:02:00, but not when it is asked for just that time; check rest.zone of the source, and the server's clock"
		if st := s.rec.Statement(sourceName); st.Error != want {
			t.Errorf("%+v", st)
		}
	})
}

func TestNoSecretIsInAnError(t *testing.T) {
	s := newSite(t.TempDir(), Options{Timeout: time.Second, PerSecond: 1000})
	s.opts.Transport = nil
	s.source.Settings.REST.URL = "http://127.0.0.1:1"
	s.start(t)
	defer func() { s.stop() }()
	st, err := s.rec.Reconcile(t.Context(), sourceName)
	for err == nil || st.Error == "" {
		st, err = s.rec.Reconcile(t.Context(), sourceName)
	}
	for _, text := range []string{st.Error, err.Error()} {
		if strings.Contains(text, "sign") || strings.Contains(text, "geheim") || strings.Contains(text, "app_key") {
			t.Error(text)
		}
	}
}
