package ledger

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
)

// steady runs a store in a bubble with a subscription at 1, and returns just
// after one of its commits.
func steady(t *testing.T, m *Mem) *Store {
	t.Helper()
	o := alone
	o.Mem = m
	s := OpenMem(o)
	run(t, s)
	begin(t, s, gate, at(1))
	time.Sleep(time.Second)
	synctest.Wait()
	return s
}

func TestWhatChangesIsCommittedAfterTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		s := steady(t, m)
		s.Save(gate, at(2))
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if got := headOf(onDisk(m), gate); got != 1 {
			t.Errorf("before the interval ends %d is on disk, want 1", got)
		}
		for n := range gatecast.Seq(1000) {
			s.Save(gate, at(n))
		}
		before := buckettest.Revision(t, &m.books)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := headOf(onDisk(m), gate); got != 999 || buckettest.Revision(t, &m.books) != before+1 {
			t.Errorf("after the interval %d is on disk in %d writes, want 999 in one", got, buckettest.Revision(t, &m.books)-before)
		}
		for range 100 {
			s.Save(gate, at(999)) // nothing new
			time.Sleep(time.Second)
		}
		if buckettest.Revision(t, &m.books) != before+1 {
			t.Error("nothing changed, and something was written")
		}
	})
}

func TestACommitOfManyCostsAWriteOfEachDrawer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		s := steady(t, m)
		for n := range 3 {
			before := buckettest.Revision(t, &m.books)
			for _, id := range subscriptions(2000) {
				s.Save(id, at(gatecast.Seq(n)))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := buckettest.Revision(t, &m.books) - before; got != drawers {
				t.Errorf("%d writes for 2000 subscriptions, want %d", got, drawers)
			}
		}
		s.Save(gate, largeProgress(1))
		flush(t, s)
		before := buckettest.Revision(t, &m.books)
		s.Save(gate, largeProgress(2))
		flush(t, s)
		if got := buckettest.Revision(t, &m.books) - before; got != 1 || buckettest.Value(t, &m.books, ownKey(gate)) == "" {
			t.Errorf("%d writes for one with a key of its own, want 1", got)
		}
	})
}

func TestAFailedCommitIsToldOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := &Mem{}, &logs{}
		full := errors.New("the disk is full")
		var broken atomic.Bool
		l := &buckettest.Line{Bucket: &m.books}
		l.Spoil(func(buckettest.Request) (f buckettest.Fault) {
			if broken.Load() {
				f.Lost = full
			}
			return f
		})
		o := alone
		o.Log = log.logger()
		s := over(t, l, m, o)
		run(t, s)
		broken.Store(true)
		if err := s.Begin(t.Context(), gate, at(3)); gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, full) {
			t.Errorf("begin: %v", err)
		}
		if err := s.Healthy(); gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, full) {
			t.Errorf("health: %v", err)
		}
		wantProgress(t, s, gate, at(3))
		s.Save(gate, at(4))
		time.Sleep(time.Minute)
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("the outage was logged %d times: %s", n, log)
		}
		if n := counted(t, s, "gatecast_ledger_commit_failures_total"); n < 59 || n > 62 {
			t.Errorf("%v failures in a minute", n)
		}
		broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if headOf(onDisk(m), gate) != 4 || s.Healthy() != nil || !strings.Contains(log.String(), "stored again") {
			t.Errorf("after the outage: %d on disk, health %v, log %s", headOf(onDisk(m), gate), s.Healthy(), log)
		}
	})
}

func TestAWriteOfWhichNothingIsHeardIsNotADispute(t *testing.T) {
	for _, lease := range []bool{false, true} {
		for _, p := range []func(gatecast.Seq) gatecast.Progress{func(n gatecast.Seq) gatecast.Progress { return at(n) }, largeProgress} {
			synctest.Test(t, func(t *testing.T) {
				var silent atomic.Bool
				m := &Mem{}
				l := &buckettest.Line{Bucket: &m.books}
				l.Spoil(writes(func(key string) (f buckettest.Fault) {
					if silent.Load() && key != bucket.LeaseKey {
						f.Unsaid = errors.New("no answer")
					}
					return f
				}))
				o := alone
				o.Lease = lease
				s := over(t, l, m, o)
				run(t, s)
				lead(t, s)
				for n := range gatecast.Seq(5) {
					silent.Store(true)
					s.Save(gate, p(3*n))
					if err := s.Flush(t.Context()); gatecast.CodeOf(err) != gatecast.Unavailable {
						t.Errorf("flush: %v", err)
					}
					silent.Store(false)
					s.Save(gate, p(3*n+1))
					flush(t, s)
					wantProgress(t, onDisk(m), gate, p(3*n+1))
				}
				if s.Healthy() != nil || lease && isLost(s) {
					t.Errorf("health %v, lost %v", s.Healthy(), isLost(s))
				}
			})
		}
	}
}

func TestABeginThatIsCalledOffSaysSo(t *testing.T) {
	s := OpenMem(alone) // does not run
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Begin(ctx, gate, at(1)); !errors.Is(err, context.Canceled) || gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("error %v", err)
	}
	wantProgress(t, s, gate, at(1))
}

func TestTheEndOfRunIsNoOutage(t *testing.T) {
	m, log := &Mem{}, &logs{}
	o := alone
	o.Mem, o.Log = m, log.logger()
	s := OpenMem(o)
	s.Save(gate, at(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.commit(ctx); err == nil {
		t.Fatal("a commit without a context succeeded")
	}
	if err := s.Run(ctx); err != nil || headOf(onDisk(m), gate) != 1 || s.Healthy() != nil || log.String() != "" {
		t.Errorf("%v, %d on disk, health %v, log %s", err, headOf(onDisk(m), gate), s.Healthy(), log)
	}
}

func TestWhatIsSavedDuringACommitIsInTheNext(t *testing.T) {
	m := &Mem{}
	l := &buckettest.Line{Bucket: &m.books}
	s := over(t, l, m, alone)
	for n := range gatecast.Seq(5) {
		s.Save(gate, at(2*n+1))
		l.Spoil(func(buckettest.Request) buckettest.Fault {
			s.Save(gate, at(2*n+2))
			return buckettest.Fault{}
		})
		for i := range gatecast.Seq(2) {
			if err := s.commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := headOf(onDisk(m), gate); got != 2*n+1+i {
				t.Errorf("after commit %d of two %d is on disk, want %d", i+1, got, 2*n+1+i)
			}
			l.Spoil(nil)
		}
	}
}

// TestADeadLetterOfWhoseEndNothingIsToldIsGone has one vanish without a trace,
// as when a node was cut off for longer than it is remembered.
func TestADeadLetterOfWhoseEndNothingIsToldIsGone(t *testing.T) {
	m := &Mem{}
	o := shared
	o.Mem = m
	other := alone
	other.Mem = m
	a := OpenMem(other)
	setAside(t, a, letter(gate, 1))
	setAside(t, a, letter(gate, 2))
	b := OpenMem(o)
	if err := m.letters.Delete(t.Context(), letterKey(gate, 1), 0); err != nil {
		t.Fatal(err)
	}
	m.letters.Expire()
	run(t, b)
	eventually(t, "only one is left", func() bool { return b.Dead(gate) == 1 })
	setAside(t, a, letter(gate, 3))
	eventually(t, "another is heard of", func() bool { return b.Dead(gate) == 2 })
}

// TestADrawerThatIsTooFullPutsItsLargestApart fills one drawer beyond what the
// bucket takes, and a subscription beyond what any key takes.
func TestADrawerThatIsTooFullPutsItsLargestApart(t *testing.T) {
	m, log := &Mem{}, &logs{}
	m.books.MaxValue = 16 << 10
	o := alone
	o.Mem, o.Log = m, log.logger()
	s := OpenMem(o)
	want := map[string]gatecast.Progress{}
	for i, n := 0, 0; n < 200; i++ {
		id := subscription(i)
		if drawerOf(id) != drawerOf(gate) {
			continue
		}
		n++
		p := at(1000)
		for k := range gatecast.Seq(n) {
			p.Pending = append(p.Pending, 2*k+3)
		}
		want[id] = p
		s.Save(id, p)
	}
	for range 2 {
		if err := s.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = OpenMem(o)
		for id, p := range want {
			wantProgress(t, s, id, p)
		}
		s.table.drawers[drawerOf(gate)].dirty = true
	}
	p := largeProgress(7)
	p.Replay, p.Again = &gatecast.Replay{Position: 100}, append(p.Pending[:0:0], p.Pending...)
	s.Save(gate, p)
	if err := s.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := at(6)
	back.Replay = &gatecast.Replay{Position: 6}
	s = OpenMem(o)
	wantProgress(t, s, gate, back)
	if !strings.Contains(log.String(), "more pending events than can be stored") {
		t.Errorf("log %s", log)
	}
}

func TestMetricsCount(t *testing.T) {
	o := alone
	o.MaxDead = 1
	s := OpenMem(o)
	run(t, s)
	begin(t, s, gate, at(1))
	setAside(t, s, letter(gate, 1))
	setAside(t, s, letter(gate, 2))
	setAside(t, s, letter(north, 2))
	for name, want := range map[string]float64{
		"dead_letters": 2, "leading": 1, "commits_total": 1, "commit_failures_total": 0, "commit_seconds": 1, "dead_letters_dropped_total": 1,
	} {
		if got := counted(t, s, "gatecast_ledger_"+name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestSaveDoesNotAllocate(t *testing.T) {
	s := OpenMem(alone)
	p := at(1, 1)
	s.Save(gate, p)
	if n := testing.AllocsPerRun(1000, func() {
		p.Head++
		s.Save(gate, p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
