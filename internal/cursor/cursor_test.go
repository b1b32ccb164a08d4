package cursor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/prometheus/client_golang/prometheus"
)

// onDisk is where a cursor would stand after a crash now.
func onDisk(m *bucket.Mem, c gatecast.Consumer) gatecast.Cursor {
	cur, _, _ := OpenMem(Options{Epoch: "e1", Last: ends(1 << 60), Mem: m.Crash()}).table.get(c)
	return cur
}

// steady runs a store in a bubble with a cursor at 1, and returns just after
// one of its commits.
func steady(t *testing.T, l *buckettest.Line) *Store {
	t.Helper()
	s := over(t, l, Options{Epoch: "e1"})
	run(t, s)
	begin(t, s, gate, 1)
	time.Sleep(time.Second)
	synctest.Wait()
	return s
}

func TestWhatChangesIsCommittedAfterTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &bucket.Mem{}
		s := steady(t, &buckettest.Line{Bucket: m})
		s.Confirm(gate, 2)
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if got := onDisk(m, gate).Seq; got != 1 {
			t.Errorf("before the interval ends %d is on disk, want 1", got)
		}
		for n := range gatecast.Seq(1000) {
			s.Confirm(gate, n)
		}
		before := buckettest.Revision(t, m)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := onDisk(m, gate).Seq; got != 999 || buckettest.Revision(t, m) != before+1 {
			t.Errorf("after the interval %d is on disk in %d writes, want 999 in one", got, buckettest.Revision(t, m)-before)
		}
		time.Sleep(time.Hour)
		if buckettest.Revision(t, m) != before+1 {
			t.Error("nothing changed, and something was written")
		}
	})
}

func TestOnlyTheDrawersThatChangedAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &bucket.Mem{}
		s := steady(t, &buckettest.Line{Bucket: m})
		other := gatecast.Consumer{App: "other"}
		if drawerOf(other) == drawerOf(gate) {
			t.Fatal("the test needs two drawers")
		}
		begin(t, s, other, 1)
		s.Confirm(gate, 2)
		before := buckettest.Revision(t, m)
		begin(t, s, gatecast.NamedConsumer("other", "x"), 1)
		if buckettest.Revision(t, m) != before+1 || onDisk(m, gate).Seq != 1 {
			t.Errorf("a new cursor cost %d writes, want one: the others can wait", buckettest.Revision(t, m)-before)
		}
		s.Commit()
		s.Commit()
		time.Sleep(pause)
		synctest.Wait()
		if buckettest.Revision(t, m) != before+2 || onDisk(m, gate).Seq != 2 {
			t.Errorf("the commit asked for cost %d writes, want one", buckettest.Revision(t, m)-before-1)
		}
	})
}

func TestConfirmingTheSamePositionCostsOneWriteAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &bucket.Mem{}
		s := steady(t, &buckettest.Line{Bucket: m})
		before := buckettest.Revision(t, m)
		for range 10 * 60 {
			s.Confirm(gate, 1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := buckettest.Revision(t, m) - before; n < 9 || n > 11 {
			t.Errorf("%d writes in ten minutes", n)
		}
		if age := time.Since(onDisk(m, gate).Confirmed); age > refresh+2*time.Second {
			t.Errorf("the confirmation on disk is %v old", age)
		}
	})
}

func TestAFailedCommitIsToldOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := &bucket.Mem{}, &logs{}
		full := errors.New("the disk is full")
		var broken atomic.Bool
		var tries atomic.Int32
		broken.Store(true)
		l := &buckettest.Line{Bucket: m}
		l.Spoil(writes(func() (f buckettest.Fault) {
			if tries.Add(1); broken.Load() {
				f.Lost = full
			}
			return f
		}))
		s := over(t, l, Options{Epoch: "e1", Log: slog.New(slog.NewTextHandler(log, nil))})
		run(t, s)
		began := time.Now()
		cur, existed, err := s.Begin(t.Context(), gate, 3)
		if cur.Seq != 3 || existed || gatecast.CodeOf(err) != gatecast.Unavailable || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: cursor at %d, existed %v, %v", time.Since(began), cur.Seq, existed, err)
		}
		if err := s.Healthy(); gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, full) {
			t.Errorf("health: %v", err)
		}
		s.Confirm(gate, 4)
		time.Sleep(5*time.Second + time.Millisecond)
		if n := tries.Load(); n < 10 || n > 12 {
			t.Errorf("%d tries in ten seconds", n)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("the outage was logged %d times: %s", n, log)
		}
		broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if onDisk(m, gate).Seq != 4 || s.Healthy() != nil || !strings.Contains(log.String(), "written again") {
			t.Errorf("after the outage: %d on disk, health %v, log %s", onDisk(m, gate).Seq, s.Healthy(), log)
		}
		if cur, existed, err := s.Begin(t.Context(), gate, 9); cur.Seq != 4 || !existed || err != nil {
			t.Errorf("cursor at %d, existed %v, %v", cur.Seq, existed, err)
		}
	})
}

func TestAWriteOfWhichNothingIsHeardIsNotADispute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		m := &bucket.Mem{}
		l := &buckettest.Line{Bucket: m}
		l.Spoil(writes(func() (f buckettest.Fault) {
			if silent.Load() {
				f.Unsaid = errors.New("no answer")
			}
			return f
		}))
		s := steady(t, l)
		silent.Store(true)
		s.Confirm(gate, 2)
		time.Sleep(time.Second)
		synctest.Wait()
		if onDisk(m, gate).Seq != 2 || s.Healthy() == nil {
			t.Fatalf("%d on disk, health %v", onDisk(m, gate).Seq, s.Healthy())
		}
		silent.Store(false)
		s.Confirm(gate, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if onDisk(m, gate).Seq != 3 || s.Healthy() != nil {
			t.Errorf("%d on disk, health %v", onDisk(m, gate).Seq, s.Healthy())
		}
	})
}

func TestABeginThatIsCalledOffSaysSo(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1"}) // does not run
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Begin(ctx, gate, 1); !errors.Is(err, context.Canceled) || gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("error %v", err)
	}
	if seqOf(s, gate) != 1 {
		t.Error("the cursor is not in memory")
	}
}

func TestTheEndOfRunIsNoOutage(t *testing.T) {
	m, log := &bucket.Mem{}, &logs{}
	s := OpenMem(Options{Epoch: "e1", Mem: m, Log: slog.New(slog.NewTextHandler(log, nil))})
	s.table.begin(gate, 1, s.now())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.commit(ctx, ^mask(0)); err == nil {
		t.Fatal("a commit without a context succeeded")
	}
	if err := s.Run(ctx); err != nil || onDisk(m, gate).Seq != 1 || s.Healthy() != nil || log.String() != "" {
		t.Errorf("%v, %d on disk, health %v, log %s", err, onDisk(m, gate).Seq, s.Healthy(), log)
	}
}

func TestMetricsCount(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1", MaxPerApp: 1, Spare: -time.Hour})
	run(t, s)
	begin(t, s, named, 1)
	begin(t, s, gatecast.NamedConsumer(gate.App, "another"), 1)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Metrics()...)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	for name, least := range map[string]float64{
		"cursors": 1, "commits_total": 2, "commit_failures_total": 0, "commit_seconds": 2, "forgotten_total": 1,
	} {
		value, there := got["gatecast_cursor_"+name]
		if !there || value < least || (least < 2 && value != least) {
			t.Errorf("%s is %v, want %v", name, value, least)
		}
	}
}

// BenchmarkConfirm is what a socket's goroutine pays for a Pong. It must not
// allocate.
func BenchmarkConfirm(b *testing.B) {
	s := OpenMem(Options{Epoch: "e1"})
	for i := range 1000 {
		s.table.begin(gatecast.NamedConsumer(gate.App, string(rune('a'+i))), 1, s.now())
	}
	s.table.begin(gate, 1, s.now())
	b.ReportAllocs()
	for n := gatecast.Seq(0); b.Loop(); n++ {
		s.Confirm(gate, n)
	}
}

// BenchmarkCommit writes 10,000 cursors that all have changed, to memory.
func BenchmarkCommit(b *testing.B) {
	s := OpenMem(Options{Epoch: "e1"})
	for i := range 10_000 {
		s.table.begin(gatecast.NamedConsumer(string(rune('a'+i/100)), string(rune('a'+i))), 1, s.now())
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.commit(b.Context(), ^mask(0)); err != nil {
			b.Fatal(err)
		}
	}
}

func TestConfirmDoesNotAllocate(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1"})
	s.table.begin(gate, 1, s.now())
	seq := gatecast.Seq(1)
	if n := testing.AllocsPerRun(1000, func() {
		seq++
		s.Confirm(gate, seq)
		s.Pass(gate, seq)
		s.Confirm(named, seq) // is not there
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNamesThatClientsChooseDoNotPushOutTheAppsOwnCursor(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1", MaxPerApp: 2, Spare: -time.Hour})
	run(t, s)
	begin(t, s, gatecast.Consumer{App: gate.App}, 7)
	for i := range 10 {
		begin(t, s, gatecast.NamedConsumer(gate.App, fmt.Sprint(i)), 1)
	}
	if cur, there := s.Cursor(gatecast.Consumer{App: gate.App}); !there || cur.Seq != 7 || len(s.Of(gate.App)) != 2 {
		t.Errorf("the app's cursor is %+v (there: %v), of %d", cur, there, len(s.Of(gate.App)))
	}
}
