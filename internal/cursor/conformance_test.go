package cursor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster opens stores that share one bucket. They do not run yet.
type cluster struct {
	open func(t *testing.T, o Options) *Store
}

// The suite below holds for both: each of its tests gets a cluster of its own.
func TestMem(t *testing.T) { runSuite(t, memCluster) }

func memCluster(*testing.T) cluster {
	m := &bucket.Mem{}
	return cluster{func(_ *testing.T, o Options) *Store {
		o.Mem = m
		return OpenMem(o)
	}}
}

func runSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ABegunCursorIsOnDisk":                           testBegin,
		"ManyBeginsShareCommits":                         testManyBegins,
		"OfTwoNodesThatBeginACursorTheFirstOneWins":      testBeginRace,
		"EverythingOfACursorSurvives":                    testEverythingSurvives,
		"TheEndOfRunCommitsOnceMore":                     testLastCommit,
		"TwoNodesAgreeOnTheHigherPosition":               testConverge,
		"AWriterMergesWhatItHasNotSeen":                  testConflict,
		"AForgottenAppIsGoneAndStaysSo":                  testForget,
		"AForgottenAppIsNotBroughtBackByAnotherNode":     testForgetRace,
		"AnAppMadeAgainBeginsAnew":                       testMadeAgain,
		"RetainForgetsWhatIsGone":                        testRetain,
		"BeyondTheLimitTheIdlestIsForgotten":             testLimit,
		"ACursorBeyondTheJournalIsBroughtBackOnDisk":     testClamp,
		"ACursorOfAnotherJournalStaysUntilItsLossIsTold": testEpoch,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// over opens a store over a line to a bucket.
func over(t *testing.T, l *buckettest.Line, o Options) *Store {
	t.Helper()
	s := newStore(l, o.withDefaults())
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// writes spoils what is not a read.
func writes(f func() buckettest.Fault) func(buckettest.Request) buckettest.Fault {
	return func(r buckettest.Request) buckettest.Fault {
		if r.Op == "get" {
			return buckettest.Fault{}
		}
		return f()
	}
}

// ends is a journal whose newest event is the one with a Seq.
func ends(last gatecast.Seq) func(context.Context) (gatecast.Seq, error) {
	return func(context.Context) (gatecast.Seq, error) { return last, nil }
}

// run runs a store until the test ends or stop is called.
func run(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// flush writes what has changed now, without Run.
func flush(t *testing.T, s *Store) {
	t.Helper()
	_, dirty, stale := s.table.pending()
	if err := s.commit(t.Context(), dirty|stale); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what another node learns by itself.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

var (
	gate  = gatecast.Consumer{App: "00112233445566ff"}
	named = gatecast.NamedConsumer(gate.App, "east")
	start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: start.Add(900 * time.Microsecond).In(time.FixedZone("", 3600))}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func begin(t *testing.T, s *Store, c gatecast.Consumer, at gatecast.Seq) gatecast.Cursor {
	t.Helper()
	cur, _, err := s.Begin(t.Context(), c, at)
	if err != nil {
		t.Fatal(err)
	}
	return cur
}

func seqOf(s *Store, c gatecast.Consumer) gatecast.Seq {
	cur, _, _ := s.table.get(c)
	return cur.Seq
}

func wantCursors(t *testing.T, s *Store, app string, want ...gatecast.Cursor) {
	t.Helper()
	if diff := cmp.Diff(want, s.Of(app)); diff != "" {
		t.Errorf("cursors of %s: %s", app, diff)
	}
}

func testBegin(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Last: ends(100), Now: newClock().Now}
	s := c.open(t, o)
	run(t, s)
	want := gatecast.Cursor{Consumer: gate, Epoch: "e1", Seq: 42, Complete: start}
	cur, existed, err := s.Begin(t.Context(), gate, 42)
	if diff := cmp.Diff(want, cur); existed || err != nil || diff != "" {
		t.Errorf("first: existed %v, %v, %s", existed, err, diff)
	}
	other := c.open(t, o)
	wantCursors(t, other, gate.App, want)
	for _, s := range []*Store{s, other} { // other does not run: what is there needs no commit
		cur, existed, err = s.Begin(t.Context(), gate, 77)
		if diff := cmp.Diff(want, cur); !existed || err != nil || diff != "" {
			t.Errorf("again: existed %v, %v, %s", existed, err, diff)
		}
	}
}

func testManyBegins(t *testing.T, c cluster) {
	s := c.open(t, Options{Epoch: "e1"})
	run(t, s)
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() { begin(t, s, gatecast.NamedConsumer(gate.App, fmt.Sprint(i%250)), 1) })
	}
	all.Wait()
	if n := len(c.open(t, Options{Epoch: "e1", Last: ends(1)}).Of(gate.App)); n != 250 {
		t.Errorf("%d cursors on disk, want 250", n)
	}
}

func testBeginRace(t *testing.T, c cluster) {
	o := Options{Epoch: "e1"}
	a, b := c.open(t, o), c.open(t, o)
	stop := run(t, a)
	begin(t, a, gate, 50)
	stop()
	// b has not been told yet: its watch begins with Run, beside this Begin.
	run(t, b)
	cur, existed, err := b.Begin(t.Context(), gate, 100)
	if cur.Seq != 50 || !existed || err != nil {
		t.Errorf("cursor at %d, existed %v, %v; want the other node's at 50", cur.Seq, existed, err)
	}
}

func testEverythingSurvives(t *testing.T, c cluster) {
	clk := newClock()
	o := Options{Epoch: "e1", Last: ends(1 << 60), Now: clk.Now}
	s := c.open(t, o)
	stop := run(t, s)
	begin(t, s, gate, 10)
	begin(t, s, named, 1<<55)
	clk.pass(time.Second)
	s.Confirm(gate, 20)
	s.Pass(gate, 30)
	s.Pass(gate, 29)
	s.Confirm(gate, 19)
	complete := start.Add(time.Hour)
	s.Lose(gate, gatecast.GapNotice{From: 30, To: 75, Reason: gatecast.GapWindow}, complete.Add(300*time.Microsecond))
	s.Confirm(gatecast.Consumer{App: "ffffffffffffffff"}, 5)
	stop()
	want := []gatecast.Cursor{
		{Consumer: gate, Epoch: "e1", Seq: 75, Confirmed: start.Add(time.Second), Complete: complete, Lost: 45},
		{Consumer: named, Epoch: "e1", Seq: 1 << 55, Complete: start},
	}
	wantCursors(t, s, gate.App, want...)
	reopened := c.open(t, o)
	wantCursors(t, reopened, gate.App, want...)
	wantCursors(t, reopened, "ffffffffffffffff")
}

func testLastCommit(t *testing.T, c cluster) {
	clk := newClock()
	o := Options{Epoch: "e1", Last: ends(100), Interval: time.Hour, Now: clk.Now}
	s := c.open(t, o)
	stop := run(t, s)
	begin(t, s, gate, 1)
	s.Confirm(gate, 2)
	s.Commit()
	eventually(t, "a commit is made when it is asked for", func() bool { return seqOf(c.open(t, o), gate) == 2 })
	clk.pass(time.Second)
	s.Confirm(gate, 2) // changes a time, and nothing else
	stop()
	if cur := c.open(t, o).Of(gate.App)[0]; !cur.Confirmed.Equal(start.Add(time.Second)) {
		t.Errorf("confirmed %v on disk, want a second after %v", cur.Confirmed, start)
	}
}

func testConverge(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Interval: time.Millisecond}
	a, b := c.open(t, o), c.open(t, o)
	run(t, a)
	run(t, b)
	begin(t, a, gate, 1)
	begin(t, b, gate, 1)
	var both sync.WaitGroup
	for i, s := range []*Store{a, b} {
		both.Go(func() {
			for n := range gatecast.Seq(2000) {
				s.Confirm(gate, 2*n+gatecast.Seq(i))
				if n%100 == 0 {
					s.Commit()
				}
			}
		})
	}
	both.Wait()
	eventually(t, "both know the higher position", func() bool { return seqOf(a, gate) == 3999 && seqOf(b, gate) == 3999 })
	eventually(t, "the disk has it", func() bool { return seqOf(c.open(t, Options{Epoch: "e1", Last: ends(1 << 40)}), gate) == 3999 })
}

func testConflict(t *testing.T, c cluster) {
	clk := newClock()
	o := Options{Epoch: "e1", Last: ends(100), Now: clk.Now}
	first := c.open(t, o)
	stop := run(t, first)
	begin(t, first, gate, 10)
	stop()
	a, b := c.open(t, o), c.open(t, o) // neither watches
	a.Confirm(gate, 30)
	a.Lose(gate, gatecast.GapNotice{From: 30, To: 33, Reason: gatecast.GapRetention}, start)
	clk.pass(time.Second)
	b.Confirm(gate, 20)
	flush(t, a)
	flush(t, b)
	want := gatecast.Cursor{Consumer: gate, Epoch: "e1", Seq: 33, Confirmed: start.Add(time.Second), Complete: start, Lost: 3}
	wantCursors(t, b, gate.App, want)
	wantCursors(t, c.open(t, o), gate.App, want)
	a.Pass(gate, 40)
	flush(t, a)
	want.Seq = 40
	wantCursors(t, a, gate.App, want)
}

func testForget(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Last: ends(100)}
	s := c.open(t, o)
	stop := run(t, s)
	begin(t, s, gate, 1)
	begin(t, s, named, 1)
	begin(t, s, gatecast.Consumer{App: "other"}, 1)
	s.Forget(gate.App)
	s.Confirm(gate, 50)
	s.Pass(named, 50)
	s.Lose(named, gatecast.GapNotice{From: 1, To: 50, Reason: gatecast.GapWindow}, start)
	stop()
	for _, s := range []*Store{s, c.open(t, o)} {
		wantCursors(t, s, gate.App)
		if len(s.Of("other")) != 1 {
			t.Error("another app's cursor is gone too")
		}
	}
}

func testForgetRace(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Last: ends(100)}
	first := c.open(t, o)
	stop := run(t, first)
	begin(t, first, gate, 1)
	stop()
	a, b := c.open(t, o), c.open(t, o) // neither watches
	a.Forget(gate.App)
	b.Confirm(gate, 50) // it has yet to hear that the app is gone
	flush(t, b)
	flush(t, a) // has to merge what b wrote
	wantCursors(t, a, gate.App)
	wantCursors(t, c.open(t, o), gate.App)
	b.Confirm(gate, 60)
	flush(t, b)
	stop = run(t, a) // its watch tells what b wrote
	b.Forget(gate.App)
	flush(t, b)
	eventually(t, "the watch has told everything", func() bool { return a.table.revision(drawerOf(gate)) == b.table.revision(drawerOf(gate)) })
	stop()
	for _, s := range []*Store{a, b, c.open(t, o)} {
		wantCursors(t, s, gate.App)
	}
}

func testMadeAgain(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Last: ends(100), Now: newClock().Now} // the clock stands still
	a, b := c.open(t, o), c.open(t, o)
	run(t, a)
	begin(t, a, gate, 90)
	a.Forget(gate.App)
	b.Forget(gate.App)
	cur, existed, err := a.Begin(t.Context(), gate, 5)
	if cur.Seq != 5 || existed || err != nil {
		t.Errorf("cursor at %d, existed %v, %v", cur.Seq, existed, err)
	}
	run(t, b)
	eventually(t, "the other node knows the new cursor", func() bool { return seqOf(b, gate) == 5 })
	if got := seqOf(c.open(t, o), gate); got != 5 {
		t.Errorf("the cursor stands at %d on disk, want 5", got)
	}
}

func testRetain(t *testing.T, c cluster) {
	o := Options{Epoch: "e1", Last: ends(100)}
	s := c.open(t, o)
	stop := run(t, s)
	for _, app := range []string{"a", "b", "c"} {
		begin(t, s, gatecast.Consumer{App: app}, 1)
	}
	s.Retain(func(app string) bool { return app == "b" })
	stop()
	for _, s := range []*Store{s, c.open(t, o)} {
		if got := s.table.names(); !cmp.Equal(got, []string{"b"}) {
			t.Errorf("apps %v have cursors, want b alone", got)
		}
	}
}

func testLimit(t *testing.T, c cluster) {
	clk, log := newClock(), &logs{}
	o := Options{Epoch: "e1", Last: ends(100), MaxPerApp: 3, Now: clk.Now, Log: slog.New(slog.NewTextHandler(log, nil))}
	s := c.open(t, o)
	stop := run(t, s)
	consumer := func(i int) gatecast.Consumer { return gatecast.NamedConsumer(gate.App, fmt.Sprint(i)) }
	for i := range 3 {
		begin(t, s, consumer(i), 1)
		clk.pass(time.Second)
	}
	begin(t, s, gatecast.Consumer{App: "other"}, 1)
	s.Confirm(consumer(0), 2)
	clk.pass(time.Second)
	if _, _, err := s.Begin(t.Context(), consumer(9), 1); gatecast.CodeOf(err) != gatecast.TooMany {
		t.Errorf("a fourth consumer, while three were here lately: %v, want TooMany", err)
	}
	clk.pass(s.opts.Spare)
	begin(t, s, consumer(9), 1) // 1 is now the idlest
	stop()
	for _, s := range []*Store{s, c.open(t, o)} {
		var names []string
		for _, cur := range s.Of(gate.App) {
			names = append(names, cur.Consumer.ClientName())
		}
		if !cmp.Equal(names, []string{"0", "2", "9"}) {
			t.Errorf("consumers %v are left, want 0, 2 and 9", names)
		}
	}
	if n := strings.Count(log.String(), "too many cursors"); n != 1 {
		t.Errorf("the log says %d times that a cursor was forgotten: %s", n, log)
	}
}

func testClamp(t *testing.T, c cluster) {
	s := c.open(t, Options{Epoch: "e1", Last: ends(100)})
	stop := run(t, s)
	begin(t, s, gate, 100)
	begin(t, s, named, 80)
	stop()
	c.open(t, Options{Epoch: "e1", Last: ends(90)})
	// The journal has grown past the old position: the cursor must not be there.
	grown := c.open(t, Options{Epoch: "e1", Last: ends(1000)})
	if seqOf(grown, gate) != 90 || seqOf(grown, named) != 80 {
		t.Errorf("cursors at %d and %d, want 90 and 80", seqOf(grown, gate), seqOf(grown, named))
	}
}

func testEpoch(t *testing.T, c cluster) {
	s := c.open(t, Options{Epoch: "e1", Last: ends(100)})
	stop := run(t, s)
	begin(t, s, gate, 100)
	begin(t, s, named, 100)
	stop()
	o := Options{Epoch: "e2", Last: ends(7)}
	s = c.open(t, o)
	stop = run(t, s)
	cur, existed, err := s.Begin(t.Context(), gate, 7)
	if cur.Epoch != "e1" || cur.Seq != 100 || !existed || err != nil {
		t.Errorf("cursor at %d of %s, existed %v, %v; want it as it was", cur.Seq, cur.Epoch, existed, err)
	}
	s.Lose(gate, gatecast.GapNotice{From: 100, To: 3, Reason: gatecast.GapEpoch}, start)
	s.Lose(named, gatecast.GapNotice{From: 100, To: 6, Reason: gatecast.GapEpoch}, start)
	s.Lose(named, gatecast.GapNotice{From: 6, To: 5, Reason: gatecast.GapAhead}, start)
	s.Confirm(gate, 5)
	stop()
	wantCursors(t, c.open(t, o), gate.App,
		gatecast.Cursor{Consumer: gate, Epoch: "e2", Seq: 5, Confirmed: s.Of(gate.App)[0].Confirmed, Complete: start},
		gatecast.Cursor{Consumer: named, Epoch: "e2", Seq: 5, Complete: start},
	)
}

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
