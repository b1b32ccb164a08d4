package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

func TestARowInTheQuarantineCanBeTriedAgain(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		s.up.addRaw(`{"id":2,"signTime":"soon"}`)
		s.up.addRaw(`{"id":3,"signTime":` + unixText(time.Now()) + `,"groups":7}`)
		sleep(5 * time.Minute)
		if s.filled(t, 0); s.quarantine.count() != 2 {
			t.Fatalf("%q", s.quarantine.reasons)
		}
		q := s.quarantine.take(0)
		if _, err := s.rec.Inject(t.Context(), q); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("as it was: %v", err)
		}
		when := time.Now().Add(-time.Hour).Truncate(time.Second)
		q.Body = []byte(`{"id":"2","sign_time":` + unixText(when) + `,"device_ldid":"SPSP-1"}`)
		r, err := s.rec.Inject(t.Context(), q)
		if err != nil || r.Accepted != 1 {
			t.Fatalf("corrected: %+v, %v", r, err)
		}
		got := s.journal.events[len(s.journal.events)-1]
		if got.ID != "hq:record:2" || !got.Late || got.Source != sourceName || got.Device != "SPSP-1" || !got.At.Equal(when) {
			t.Errorf("%+v", got)
		}
		sleep(2 * dedup) // the journal itself would not know it again
		if r, err := s.rec.Inject(t.Context(), q); err != nil || r.Accepted != 0 || r.Duplicates != 1 {
			t.Errorf("once more: %+v, %v", r, err)
		}
		s.stop()
		s.start(t) // its memory of what was set aside is gone
		sleep(13 * time.Hour)
		if st := s.filled(t, 1); s.quarantine.count() != 3 || st.SetAside != 1 || s.journal.ids()["hq:record:2"] != 1 {
			t.Errorf("%+v, %q", st, s.quarantine.reasons)
		}
	})
}

func TestWhatIsInjectedIsReadAsWhatItIsARowOf(t *testing.T) {
	message := []byte(`{"code":30000,"data":{"id":1}}`)
	for name, c := range map[string]struct {
		reason string
		body   []byte
		kind   gatecast.Kind
		is     bool
	}{
		"a record":                     {rowReason(gatecast.Record) + "x", []byte(`{"id":1}`), gatecast.Record, true},
		"an alarm, which has a code":   {rowReason(gatecast.Alarm) + "x", []byte(`{"id":1,"code":10002}`), gatecast.Alarm, true},
		"no JSON":                      {rowReason(gatecast.Alarm) + "x", []byte(`{`), gatecast.Alarm, true},
		"data that is no object":       {rowReason(gatecast.Alarm) + "x", []byte(`{"data":1}`), gatecast.Alarm, true},
		"replaced by a message":        {rowReason(gatecast.Record) + "x", message, gatecast.Record, false},
		"a message":                    {"it is strange", message, 0, false},
		"a message that is said to be": {"a row of a list", []byte(`{"id":1}`), 0, false},
	} {
		kind, is := RowKind(&gatecast.Quarantined{Reason: c.reason, Body: c.body})
		if kind != c.kind || is != c.is {
			t.Errorf("%s: %v, %v", name, kind, is)
		}
	}
}

func TestAnAlarmOfTheQuarantineIsTheSameWhenItIsInjected(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		r := s.up.add(gatecast.Alarm, 0)
		s.push(t, r)
		sleep(time.Minute)
		q := gatecast.Quarantined{Source: sourceName, Reason: rowReason(gatecast.Alarm) + "x"}
		for status, accepted := range map[string]int{"1": 0, "2": 1} {
			q.Body = []byte(`{"id":2,"status":` + status + `,"alarm_time":"2000-01-01 00:00:00","deviceSn":"S"}`)
			if got, err := s.rec.Inject(t.Context(), q); err != nil || got.Accepted != accepted || got.Duplicates != 1-accepted {
				t.Errorf("status %s: %+v, %v", status, got, err)
			}
		}
	})
}

func TestWhoInjectsARowIsToldWhyItCannotBe(t *testing.T) {
	at(t, Options{}, func(t *testing.T, s *site) {
		q := gatecast.Quarantined{Source: sourceName, Reason: rowReason(gatecast.Record) + "x", Body: []byte(`{"id":9}`)}
		want := func(code gatecast.Code, q gatecast.Quarantined) {
			t.Helper()
			if r, err := s.rec.Inject(t.Context(), q); gatecast.CodeOf(err) != code || r.Accepted != 0 {
				t.Errorf("%+v, %v", r, err)
			}
		}
		gone, strange := q, q
		gone.Source, strange.Reason = "gone", "x"
		want(gatecast.NotFound, gone)
		want(gatecast.Invalid, strange)
		s.journal.mu.Lock()
		s.journal.fail = gatecast.Errorf(gatecast.Unavailable, "full")
		s.journal.mu.Unlock()
		want(gatecast.Unavailable, q)
		s.journal.mu.Lock()
		s.journal.fail = nil
		s.journal.mu.Unlock()
		s.change(func(src *gatecast.Source) { src.Settings.Company = 7 })
		synctest.Wait()
		foreign := q
		foreign.Body = []byte(`{"id":9,"companyId":8}`)
		if r, err := s.rec.Inject(t.Context(), foreign); err != nil || r != (gatecast.Receipt{}) {
			t.Errorf("another company's: %+v, %v", r, err)
		}
		sleep(time.Minute)
		s.up.set(func(u *fakeUpstream) { u.delay = 20 * time.Second })
		s.rec.Connected(sourceName)
		sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.rec.Inject(ctx, q); gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it is looked at: %v", err)
		}
		s.change(func(src *gatecast.Source) { src.Paused = "by hand" }) // which does not matter
		if r, err := s.rec.Inject(t.Context(), q); err != nil || r.Accepted != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		s.change(func(src *gatecast.Source) { src.Settings.REST.URL = "" })
		synctest.Wait()
		want(gatecast.Conflict, q)
	})
}
