package doctor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

func TestAnExaminationOfAMomentAgoIsGivenAgain(t *testing.T) {
	w := &ward{reasons: []string{"journal: disk almost full"}, warnings: []string{"journal: the journal has 1 holes"}}
	now := time.Now()
	d := w.doctor(t, Options{Now: func() time.Time { return now }})
	first, err := d.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, first.Findings, "ready", gatecast.FindingBad, "journal", "disk almost full", "503")
	want(t, first.Findings, "ready", gatecast.FindingWarn, "journal", "1 holes", "holes.json")
	w.reasons = nil
	now = now.Add(9 * time.Second)
	again, err := d.Examine(t.Context())
	if err != nil || !again.At.Equal(first.At) || w.asked.Load() != 1 {
		t.Errorf("%v, of %v and not %v; it has looked %d times", err, again.At, first.At, w.asked.Load())
	}
	now = now.Add(time.Second)
	if anew, err := d.Examine(t.Context()); err != nil || !anew.At.Equal(now) || w.asked.Load() != 2 {
		t.Errorf("after its rest: %v, of %v; it has looked %d times", err, anew.At, w.asked.Load())
	}
}

func TestWhatIsWorstComesFirst(t *testing.T) {
	w := &ward{reasons: []string{"journal: x"}, kept: []gatecast.Quarantined{{Source: "gate", Reason: "it is no JSON"}}}
	found := w.examine(t)
	for i := 1; i < len(found); i++ {
		if found[i].Level.Rank() > found[i-1].Level.Rank() {
			t.Fatalf("%s comes after %s:\n%s", found[i].Level, found[i-1].Level, list(found))
		}
	}
	for _, f := range found {
		if f.Text == "" || f.Check == "" || (f.Level != gatecast.FindingOK) != (f.Remedy != "") {
			t.Errorf("a finding without its words, or with a remedy for what is well: %+v", f)
		}
	}
	want(t, found, "quarantine", gatecast.FindingWarn, "", "1 messages", "gatecast quarantine list")
}

func TestACheckThatHangsIsToldAndNobodyExaminesBesideIt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &ward{hold: make(chan struct{})}
		d := w.doctor(t, Options{DataDir: dir})
		got, err := d.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, got.Findings, "disk", gatecast.FindingWarn, dir, "could not be looked at within 15s", "disks")
		want(t, got.Findings, "ready", gatecast.FindingOK, "", "ready", "")
		<-time.After(time.Hour)
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := d.Examine(short); !errors.Is(err, context.DeadlineExceeded) || w.asked.Load() != 1 {
			t.Errorf("beside one that hangs: %v, asked %d times", err, w.asked.Load())
		}
		close(w.hold)
		synctest.Wait()
		if _, err := d.Examine(t.Context()); err != nil || w.asked.Load() != 2 {
			t.Errorf("afterwards: %v, asked %d times", err, w.asked.Load())
		}
	})
}

func TestOneThatWasBrokenOffIsNotTakenAgainAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &ward{hold: make(chan struct{})}
		d := w.doctor(t, Options{DataDir: dir})
		leaving, leave := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := d.Examine(leaving)
			ended <- err
		}()
		synctest.Wait()
		leave()
		close(w.hold)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("of one who has left: %v", err)
		}
		var e *gatecast.Error
		if _, err := d.Examine(t.Context()); !errors.As(err, &e) || e.Code != gatecast.TooMany || e.Retry <= 0 {
			t.Errorf("at once: %v", err)
		}
		<-time.After(10 * time.Second)
		if _, err := d.Examine(t.Context()); err != nil {
			t.Errorf("after a rest: %v", err)
		}
	})
}
