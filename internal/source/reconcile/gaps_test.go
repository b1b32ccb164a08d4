package reconcile

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// away lets a source have records while it cannot be asked.
func (s *site) away(t fataler, records int) {
	t.Helper()
	s.up.set(func(u *fakeUpstream) { u.fail = errors.New("away") })
	for range records {
		s.up.add(gatecast.Record, 0)
		sleep(time.Minute)
	}
}

func TestWhatTheServerHasDeletedForItsAgeIsLost(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for range 3 {
			s.push(t, s.up.add(gatecast.Record, 0))
			sleep(time.Second)
		}
		sleep(10 * time.Minute)
		s.away(t, 20)                                                         // 5 to 24
		s.up.set(func(u *fakeUpstream) { u.rows, u.fail = u.rows[14:], nil }) // 1 to 14 are gone
		sleep(6 * time.Minute)
		if st := s.filled(t, 10); st.Lost != 10 || st.NotOurs != 0 || st.Error != "" || st.Withheld != "" {
			t.Errorf("%+v, want 10 lost", st)
		}
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(13 * time.Hour) // deep looks see it again
		if st := s.filled(t, 10); st.Lost != 10 || st.NotOurs != 0 {
			t.Errorf("%+v, counted again", st)
		}
	})
}

func TestARecordThatSomebodyHasDeletedAtTheServerIsNotLostToUs(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(time.Minute)
		s.push(t, s.up.add(gatecast.Record, 0))
		s.up.skip(5)
		sleep(10 * time.Minute)
		s.away(t, 2)
		s.up.set(func(u *fakeUpstream) { u.rows, u.fail = slices.Delete(u.rows, 2, 3), nil }) // the newest of before
		sleep(6 * time.Minute)
		if st := s.filled(t, 2); st.Lost != 0 || st.NotOurs != 5 || st.Error != "" || time.Since(st.Through) > 6*time.Minute {
			t.Errorf("%+v", st)
		}
	})
}

func TestNumbersOfAlarmsAreCountedOnceForAllTheirStates(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for i := range 4 {
			r := s.up.add(gatecast.Alarm, 0)
			if i%2 == 0 {
				s.push(t, r)
			}
			s.up.become(r, 2)
			s.push(t, r)
			s.up.skip(1)
		}
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(10 * time.Minute)
		// Alarms 2, 4, 6, 8; records 1 and 10: the server numbers both in one row.
		if st := s.filled(t, 0); st.NotOurs != 3+8 || st.Lost != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhatASourceLearnsLongAfterwardsIsFoundByADeepLook(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for range 6 {
			sleep(10 * time.Minute)
			s.up.skip(3) // other companies' numbers: a gap says nothing
			s.push(t, s.up.add(gatecast.Record, 0))
		}
		s.up.add(gatecast.Record, 50*time.Minute) // from a device that was offline
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(2 * time.Hour)
		s.filled(t, 0)
		sleep(6 * time.Hour)
		if st := s.filled(t, 1); st.NotOurs != 18 || st.Lost != 0 {
			t.Errorf("%+v, want 18 numbers that are not ours", st)
		}
	})
}

func TestWhatASourceLearnsLongAfterwardsIsFoundByItsNumberWhereNumbersAreSeldomMissing(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		for range 6 {
			sleep(10 * time.Minute)
			s.push(t, s.up.add(gatecast.Record, 0))
		}
		s.up.add(gatecast.Record, 50*time.Minute) // from a device that was offline
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(6 * time.Minute)
		if st := s.filled(t, 1); st.NotOurs != 0 {
			t.Errorf("%+v", st)
		}
		s.up.skip(2)
		s.push(t, s.up.add(gatecast.Record, 0))
		sleep(6 * time.Minute)
		before := s.up.questions()
		if st := s.filled(t, 1); st.NotOurs != 2 {
			t.Errorf("%+v, want 2 numbers that are not ours", st)
		}
		sleep(time.Hour)
		if n := s.up.questions() - before; n > 12*5 {
			t.Errorf("%d questions in an hour: a gap that is explained is looked into again", n)
		}
	})
}
