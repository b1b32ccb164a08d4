package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// shared is what a node of several has.
var shared = Options{Epoch: "e1", Last: ends(1 << 60), Lease: true, Timeout: time.Minute}

func lead(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func isLost(s *Store) bool {
	select {
	case <-s.Lost():
		return true
	default:
		return false
	}
}

// counted is the value of one of a store's metrics.
func counted(t *testing.T, s *Store, name string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Metrics()...)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func testFollow(t *testing.T, c cluster) {
	a, b := c.open(t, shared), c.open(t, shared)
	run(t, a)
	run(t, b)
	lead(t, a)
	for _, p := range []gatecast.Progress{at(1), largeProgress(1), largeProgress(2), at(2), at(3)} {
		begin(t, a, gate, p)
		eventually(t, "the other node knows the progress", func() bool { return headOf(b, gate) == p.Head && len(progress(b, gate).Pending) == len(p.Pending) })
	}
	setAside(t, a, letter(gate, 1))
	setAside(t, a, letter(gate, 2))
	eventually(t, "the other node knows the dead letters", func() bool { return b.Dead(gate) == 2 })
	if err := b.Discard(t.Context(), gate, 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader knows what was discarded", func() bool { return a.Dead(gate) == 1 })
	a.Forget(gate)
	flush(t, a)
	eventually(t, "the other node knows what was forgotten", func() bool {
		_, there := b.Progress(gate)
		return !there && b.Dead(gate) == 0
	})
	if isLost(a) || !isLost(b) {
		t.Errorf("lost: %v, %v; want the first to lead", isLost(a), isLost(b))
	}
	for s, want := range map[*Store]float64{a: 1, b: 0} {
		if got := counted(t, s, "gatecast_ledger_leading"); got != want {
			t.Errorf("the metric says %v, want %v", got, want)
		}
	}
}

func progress(s *Store, id string) gatecast.Progress {
	p, _ := s.Progress(id)
	return p
}

func testHandOver(t *testing.T, c cluster) {
	a, b := c.open(t, shared), c.open(t, shared)
	stop := run(t, a)
	run(t, b)
	lead(t, a)
	begin(t, a, gate, at(1))
	begin(t, a, north, at(1))
	a.Save(gate, at(77, 70))
	a.Save(north, largeProgress(5))
	lost := a.Lost()
	stop()
	<-lost
	lead(t, b)
	wantProgress(t, b, gate, at(77, 70))
	wantProgress(t, b, north, largeProgress(5))
	begin(t, b, gate, at(78))
	wantProgress(t, c.open(t, shared), gate, at(78))
	if err := a.Lead(t.Context()); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("to lead after the end: %v", err)
	}
}

func testNotLeading(t *testing.T, c cluster) {
	a, b := c.open(t, shared), c.open(t, shared)
	run(t, a)
	stop := run(t, b)
	lead(t, a)
	begin(t, a, gate, at(50))
	setAside(t, a, letter(gate, 1))
	eventually(t, "the other node knows", func() bool { return headOf(b, gate) == 50 && b.Dead(gate) == 1 })
	b.Save(gate, at(99))
	b.Forget(gate)
	b.Retain(func(string) bool { return false })
	for what, err := range map[string]error{
		"begin": b.Begin(t.Context(), gate, at(99)), "set aside": b.SetAside(t.Context(), letter(gate, 2)), "flush": b.Flush(t.Context()),
	} {
		if gatecast.CodeOf(err) != gatecast.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantProgress(t, b, gate, at(50))
	stop()
	again := c.open(t, shared)
	wantProgress(t, again, gate, at(50))
	if again.Dead(gate) != 1 || isLost(a) {
		t.Errorf("%d dead letters, lost %v", again.Dead(gate), isLost(a))
	}
}

func testFenced(t *testing.T, c cluster) {
	a, other := c.open(t, shared), c.open(t, alone)
	run(t, a)
	lead(t, a)
	begin(t, a, gate, at(10))
	lost := a.Lost()
	// other believes that it is the only one, and writes over whatever there is.
	stop := run(t, other)
	other.Save(gate, at(20))
	stop()
	a.Save(gate, at(30))
	if err := a.Flush(t.Context()); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("a write over another node's: %v", err)
	}
	<-lost
	wantProgress(t, c.open(t, alone), gate, at(20))
	lead(t, a)
	wantProgress(t, a, gate, at(20))
	begin(t, a, gate, at(40))
	wantProgress(t, c.open(t, alone), gate, at(40))
}

func testMeddled(t *testing.T, c cluster) {
	s := c.open(t, alone)
	run(t, s)
	for n, meddle := range []func() error{
		func() error { return s.books.Delete(t.Context(), drawerKey(drawerOf(gate)), 0) },
		func() error { _, err := s.books.Set(t.Context(), drawerKey(drawerOf(gate)), []byte("?")); return err },
		func() error { return s.books.Delete(t.Context(), ownKey(gate), 0) },
		func() error { _, err := s.books.Set(t.Context(), ownKey(gate), []byte("?")); return err },
	} {
		begin(t, s, gate, largeProgress(gatecast.Seq(n)))
		if err := meddle(); err != nil {
			t.Fatal(err)
		}
		s.Save(subscriptionIn(drawerOf(gate)), at(gatecast.Seq(n)))
		s.Save(gate, largeProgress(gatecast.Seq(n+100)))
		flush(t, s)
		wantProgress(t, c.open(t, alone), gate, largeProgress(gatecast.Seq(n+100)))
	}
}

func testRetainBeforeLead(t *testing.T, c cluster) {
	a, b := c.open(t, shared), c.open(t, shared)
	stop := run(t, a)
	run(t, b)
	lead(t, a)
	begin(t, a, gate, at(1))
	begin(t, a, north, at(1))
	setAside(t, a, letter(north, 1))
	eventually(t, "the other node knows the dead letter", func() bool { return b.Dead(north) == 1 })
	b.Retain(func(id string) bool { return id == gate })
	stop()
	lead(t, b)
	wantNone(t, b, north)
	flush(t, b)
	again := c.open(t, shared)
	wantNone(t, again, north)
	wantProgress(t, again, gate, at(1))
}

func TestWithoutALeaseThereIsNothingToWaitFor(t *testing.T) {
	s := OpenMem(alone)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Lead(ctx); err != nil || isLost(s) {
		t.Errorf("%v, lost %v", err, isLost(s))
	}
}
