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

// line is a node's connection to its buckets, which can be cut.
type line struct {
	buckettest.Line
	cut    atomic.Bool
	unsaid atomic.Bool   // writes are done, and not answered
	hold   chan struct{} // if it is not nil, a drawer is written after it closes
}

func newLine(b bucket.Bucket) *line {
	l := &line{Line: buckettest.Line{Bucket: b}}
	l.Spoil(func(r buckettest.Request) buckettest.Fault {
		f := buckettest.Fault{Cut: l.cut.Load()}
		if r.Op == "get" {
			return f
		}
		if _, drawer := drawerNumber(r.Key); drawer {
			f.Late = l.hold
		}
		if l.unsaid.Load() {
			f.Unsaid = buckettest.ErrCut
		}
		return f
	})
	return l
}

// node is a store with a line of its own.
type node struct {
	*Store
	line *line
	stop func()
	log  *logs
}

func newNode(t *testing.T, m *Mem) *node {
	log := &logs{}
	o := shared
	o.Log = log.logger()
	o = o.withDefaults()
	l := newLine(&m.books)
	n := &node{Store: newStore(l, &m.letters, o), line: l, log: log}
	if err := n.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.stop = run(t, n.Store)
	return n
}

func onDisk(m *Mem) *Store {
	o := alone
	o.Mem = m.Crash()
	return OpenMem(o)
}

func TestALeaseThatIsNotRenewedIsTakenAfterFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		lead(t, a.Store)
		begin(t, a.Store, gate, at(10))
		time.Sleep(time.Minute)
		begun := time.Now()
		a.line.cut.Store(true)
		var led time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := b.Lead(t.Context()); err != nil {
				t.Error(err)
			}
			led = time.Since(begun)
		}()
		<-a.Lost()
		if gone := time.Since(begun); gone < bucket.GiveUp-bucket.RenewEvery || gone > bucket.GiveUp {
			t.Errorf("the holder gave up %v after the line was cut, want %v after its last renewal", gone, bucket.GiveUp)
		}
		if b.lease.leads() {
			t.Error("another node leads already")
		}
		<-done
		if led < bucket.TakeAfter-bucket.RenewEvery || led > bucket.TakeAfter+bucket.LookEvery {
			t.Errorf("another node leads after %v, want %v after the last renewal", led, bucket.TakeAfter)
		}
		wantProgress(t, b.Store, gate, at(10))
		if a.Healthy() == nil || !strings.Contains(a.log.String(), "out of reach") || !strings.Contains(a.log.String(), "not be renewed in time") {
			t.Errorf("health %v, log %s", a.Healthy(), a.log)
		}
	})
}

func TestAHolderKeepsItsLeaseForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		lead(t, a.Store)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		before := buckettest.Revision(t, &m.books)
		if err := b.Lead(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another node: %v", err)
		}
		if n := buckettest.Revision(t, &m.books) - before; isLost(a.Store) || n < 1199 || n > 1201 {
			t.Errorf("lost %v, renewed %d times in an hour", isLost(a.Store), n)
		}
	})
}

func TestAShortInterruptionCostsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		lead(t, a.Store)
		waiting := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { waiting <- b.Lead(ctx) }()
		for range 20 {
			time.Sleep(5500 * time.Millisecond)
			a.line.cut.Store(true)
			time.Sleep(3500 * time.Millisecond)
			a.line.cut.Store(false)
		}
		time.Sleep(5 * time.Second)
		if isLost(a.Store) || a.Healthy() != nil {
			t.Errorf("lost %v, health %v; log %s", isLost(a.Store), a.Healthy(), a.log)
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("another node: %v", err)
		}
	})
}

func TestARenewalOfWhichNothingIsHeardIsNotALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newNode(t, &Mem{})
		lead(t, a.Store)
		for range 5 {
			time.Sleep(time.Second)
			a.line.unsaid.Store(true)
			time.Sleep(4 * time.Second)
			a.line.unsaid.Store(false)
			time.Sleep(4 * time.Second)
			a.Save(gate, at(5))
			flush(t, a.Store)
		}
		if isLost(a.Store) {
			t.Errorf("the lease is lost: %s", a.log)
		}
	})
}

// TestAFormerHoldersWriteComesToNothing has a write on its way for so long that
// the next holder already delivers when it arrives.
func TestAFormerHoldersWriteComesToNothing(t *testing.T) {
	for _, first := range []gatecast.Seq{0, 10} { // 0: the drawer is not there yet
		synctest.Test(t, func(t *testing.T) {
			m := &Mem{}
			a, b := newNode(t, m), newNode(t, m)
			lead(t, a.Store)
			if first > 0 {
				begin(t, a.Store, gate, at(first))
			}
			hold := make(chan struct{})
			a.line.hold = hold
			a.Save(gate, at(20))
			time.Sleep(2 * time.Second)
			a.line.cut.Store(true)
			lead(t, b.Store)
			begin(t, b.Store, north, at(1))
			if got := headOf(b.Store, gate); got != first {
				t.Errorf("the next holder begins at %d, want %d", got, first)
			}
			a.line.cut.Store(false)
			close(hold)
			time.Sleep(10 * time.Second)
			begin(t, b.Store, gate, at(first+1))
			if got := headOf(onDisk(m), gate); got != first+1 || isLost(b.Store) {
				t.Errorf("%d is on disk, want %d; lost %v, %s", got, first+1, isLost(b.Store), b.log)
			}
			synctest.Wait()
			if !isLost(a.Store) || headOf(a.Store, gate) != first+1 {
				t.Errorf("lost %v; the former holder knows of %d", isLost(a.Store), headOf(a.Store, gate))
			}
		})
	}
}

func TestALeaseThatNobodyWantsAnyMoreIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		hold := make(chan struct{})
		a.line.hold = hold
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := a.Lead(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		close(hold)
		began := time.Now()
		lead(t, b.Store)
		if waited := time.Since(began); waited > 2*bucket.LookEvery {
			t.Errorf("another node waited for %v", waited)
		}
	})
}

func TestADamagedLeaseIsTakenWhenItDoesNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		if _, err := m.books.Set(t.Context(), bucket.LeaseKey, []byte("{")); err != nil {
			t.Fatal(err)
		}
		a := newNode(t, m)
		began := time.Now()
		lead(t, a.Store)
		if waited := time.Since(began); waited < bucket.TakeAfter || waited > bucket.TakeAfter+bucket.LookEvery {
			t.Errorf("it was taken after %v", waited)
		}
	})
}

func TestProgressOfANewerGatecastEndsTheWishToLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		if _, err := m.books.Set(t.Context(), drawerKey(9), []byte(`{"v":2}`)); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{a, b} { // the second finds the lease given back
			began := time.Now()
			if err := n.Lead(t.Context()); gatecast.CodeOf(err) != gatecast.Invalid || time.Since(began) > 2*bucket.LookEvery {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
		if got := buckettest.Value(t, &m.books, drawerKey(9)); got != `{"v":2}` {
			t.Errorf("it was written over: %s", got)
		}
	})
}

func TestANewHolderIsNotHeldAgainstTheJournalOfItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a := newNode(t, m)
		late := shared
		late.Mem, late.Last = m, ends(100) // the journal has grown since
		b := OpenMem(late)
		run(t, b)
		lead(t, a.Store)
		begin(t, a.Store, gate, at(500))
		a.stop()
		lead(t, b)
		wantProgress(t, b, gate, at(500))
		fresh := OpenMem(late)
		wantProgress(t, fresh, gate, at(500))
	})
}

func TestTheFirstHolderBringsBackWhatTheJournalLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a := newNode(t, m)
		lead(t, a.Store)
		begin(t, a.Store, gate, at(500))
		a.stop()
		o := shared
		o.Mem, o.Last = m, ends(100)
		b := OpenMem(o)
		run(t, b)
		lead(t, b)
		wantProgress(t, b, gate, at(100))
		wantProgress(t, onDisk(m), gate, at(100))
	})
}

func TestALeaseThatAnotherNodeHadMeanwhileIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a := newNode(t, m)
		lead(t, a.Store)
		// As if this process had been halted, with its clock, for a long time.
		if _, err := m.books.Set(t.Context(), bucket.LeaseKey, []byte(`{"v":1,"w":"other","n":"other","t":1,"f":true}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(bucket.RenewEvery + time.Millisecond)
		synctest.Wait()
		if !isLost(a.Store) {
			t.Error("it goes on as if nothing had happened")
		}
	})
}

// TestWhoLosesTheLeaseBeforeItDeliversDisturbsNobody has a node lose it while it
// is still shutting out the one before.
func TestWhoLosesTheLeaseBeforeItDeliversDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Mem{}
		a, b := newNode(t, m), newNode(t, m)
		hold := make(chan struct{})
		a.line.hold = hold
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go a.deliver(ctx)
		time.Sleep(time.Second)
		a.line.cut.Store(true)
		lead(t, b.Store)
		a.mend()
		close(hold)
		time.Sleep(10 * time.Second)
		begin(t, b.Store, gate, at(1))
		if isLost(b.Store) || a.lease.leads() {
			t.Errorf("lost %v: %s", isLost(b.Store), b.log)
		}
	})
}
