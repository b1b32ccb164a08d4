package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

func TestWhatALookHadFilledInCountsAlsoIfItIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t.TempDir(), Options{})
		r := s.up.add(gatecast.Record, 20*time.Hour)
		s.up.set(func(u *fakeUpstream) { u.delay = 2 * time.Second })
		s.start(t)
		for s.journal.ids()[r.eventID()] == 0 {
			sleep(100 * time.Millisecond)
		}
		if st := s.rec.Statement(sourceName); !st.Looked.IsZero() {
			t.Fatalf("the look is over: %+v", st)
		}
		s.stop()
		s.start(t)
		defer func() { s.stop() }()
		sleep(10 * time.Minute)
		if st := s.rec.Statement(sourceName); st.Filled != 1 {
			t.Errorf("%+v", st)
		}
	})
}
