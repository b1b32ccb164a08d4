package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"pgregory.net/rapid"
)

// TestAFailedSyncOfTheMarkIsTriedAgain takes the disk away under the mark, and
// gives it back empty, as a kernel does that drops what it could not write.
func TestAFailedSyncOfTheMarkIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	m, _, err := openMark(dir)
	if err != nil {
		t.Fatal(err)
	}
	sound := m.f
	if m.f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	if err := m.reset("epoch", 7, 0); err == nil {
		t.Skip("fsync of " + os.DevNull + " succeeds here")
	}
	for range 2 {
		if err := m.sync(); err == nil {
			t.Error("a mark that is not on disk is called synced")
		}
	}
	_ = m.f.Close()
	m.f = sound
	if err := m.sync(); err != nil {
		t.Fatal(err)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	m, old, err := openMark(dir)
	if err != nil || old.last != 7 || old.epoch != "epoch" {
		t.Errorf("the mark says %v, %v, want 7", old, err)
	}
	_ = m.close()
}

// TestAgesNeverCallAnOldEventYoung lets a journal live for a while, events and
// pauses as they come, and asks which of them age may have removed.
func TestAgesNeverCallAnOldEventYoung(t *testing.T) {
	judged := 0
	rapid.Check(t, func(t *rapid.T) {
		maxAge := time.Duration(rapid.IntRange(1, 48).Draw(t, "hours")) * time.Hour
		a := &ages{}
		a.begin("e", maxAge)
		now := time.Unix(1e9, 0)
		stored := []time.Time{{}} // by Seq
		a.add(0, now)
		running := time.Duration(0) // since the last pause
		pauses := rapid.Bool().Draw(t, "pauses")
		life := maxAge / 2 * rapid.SampledFrom([]time.Duration{1, 2, 3, 6}).Draw(t, "life in halves of the age")
		for end := now.Add(life); now.Before(end); {
			step := time.Duration(rapid.Int64Range(int64(spacing(maxAge)/2), 4*int64(spacing(maxAge))).Draw(t, "step"))
			if running += step; pauses && rapid.IntRange(0, 20).Draw(t, "down") == 0 {
				step, running = time.Duration(rapid.Int64Range(0, int64(maxAge)).Draw(t, "downtime")), 0
			}
			now = now.Add(step)
			if rapid.Bool().Draw(t, "event") {
				stored = append(stored, now)
			}
			a.add(gatecast.Seq(len(stored)-1), now)
		}
		after, known := a.young("e", maxAge, now)
		if !known {
			if running > maxAge {
				t.Fatalf("nothing is known after running for %v", running)
			}
			return
		}
		if running > maxAge {
			judged++
		}
		for seq := gatecast.Seq(1); int(seq) < len(stored); seq++ {
			age := now.Sub(stored[seq])
			if seq > after && age > maxAge {
				t.Fatalf("event %d is %v old and called younger than %v", seq, age, maxAge)
			}
			if seq <= after && age < maxAge-6*spacing(maxAge) && running > maxAge {
				t.Fatalf("event %d is %v old and not known to be younger than %v", seq, age, maxAge)
			}
		}
	})
	if judged == 0 {
		t.Error("no journal ran for long enough: what must be known was not checked")
	}
}

func TestAgesAreKeptOverRestartsAndOnlyForTheirJournal(t *testing.T) {
	dir := t.TempDir()
	a, err := openAges(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.begin("one", time.Hour)
	for i := range 2000 { // more than are kept
		a.add(gatecast.Seq(i), now.Add(time.Duration(i)*time.Minute))
	}
	now = now.Add(2000 * time.Minute)
	if err := a.note(2000, now); err != nil || len(a.kept.Points) != maxAges {
		t.Fatalf("%d points, %v, want %d", len(a.kept.Points), err, maxAges)
	}
	if a, err = openAges(dir); err != nil {
		t.Fatal(err)
	}
	if got, known := a.young("one", time.Hour, now); !known || got < 1940 || got > 1942 {
		t.Errorf("young after %d (known: %v), want 1941 or so", got, known)
	}
	if got := a.limit(0); got != time.Hour {
		t.Errorf("events may have been removed at the age of %v, want an hour", got)
	}
	if got, known := a.young("two", time.Hour, now); known {
		t.Errorf("another journal's events are young after %d", got)
	}
	if got, known := a.young("one", time.Hour, now.Add(time.Hour)); known {
		t.Errorf("an hour later events are young after %d", got)
	}
	// The clock was wrong: what was noted for the future says nothing.
	if got, known := a.young("one", time.Hour, now.Add(-3000*time.Minute)); known {
		t.Errorf("before all points events are young after %d", got)
	}
	a.add(2001, now.Add(-30*time.Minute-30*time.Second))
	if p := a.kept.Points; p[len(p)-1].Last != 2001 || p[len(p)-2].At > p[len(p)-1].At {
		t.Errorf("the points end with %+v after the clock went back", p[len(p)-2:])
	}
	if err := os.WriteFile(filepath.Join(dir, "ages.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err = openAges(dir); err == nil || a == nil {
		t.Errorf("a damaged file: %v, %v, want an error and no ages", a, err)
	}
}
