package ledger

import (
	"bytes"
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

// cluster opens stores that share their buckets. They do not run yet.
type cluster struct {
	open func(t *testing.T, o Options) *Store
}

// The suite below holds for both: each of its tests gets a cluster of its own.
func TestMem(t *testing.T) { runSuite(t, memCluster) }

func memCluster(*testing.T) cluster {
	m := &Mem{}
	return cluster{func(_ *testing.T, o Options) *Store {
		o.Mem = m
		return OpenMem(o)
	}}
}

func runSuite(t *testing.T, open func(*testing.T) cluster) {
	for name, test := range map[string]func(*testing.T, cluster){
		"ABegunSubscriptionIsOnDisk":                      testBegin,
		"ManyBeginAtOnce":                                 testManyBegins,
		"EverythingOfProgressSurvives":                    testEverythingSurvives,
		"AFlushWaitsForTheDisk":                           testFlush,
		"TheEndOfRunCommitsOnceMore":                      testLastCommit,
		"AForgottenSubscriptionIsGone":                    testForget,
		"ASubscriptionBegunAgainKeepsNothing":             testBegunAgain,
		"RetainForgetsWhatIsGone":                         testRetain,
		"ProgressBeyondTheJournalIsBroughtBackOnDisk":     testClamp,
		"ProgressOfAnotherJournalStaysAsItIs":             testEpoch,
		"LargeProgressComesAndGoes":                       testLarge,
		"ADeadLetterSurvivesWhole":                        testDeadLetter,
		"ASecondDeadLetterOfAnEventReplacesTheFirst":      testReplaced,
		"DeadLettersAreListedInOrderAndInPages":           testPages,
		"ADiscardedDeadLetterIsGone":                      testDiscard,
		"BeyondTheLimitTheOldestDeadLetterIsDropped":      testMaxDead,
		"WhatIsNoSubscriptionIsRefused":                   testInvalid,
		"AnotherNodeKnowsWhatTheLeaderWrites":             testFollow,
		"ANodeThatStopsHandsOverAtOnce":                   testHandOver,
		"ANodeThatDoesNotLeadWritesNothing":               testNotLeading,
		"AWriteByAnotherNodeEndsTheLease":                 testFenced,
		"WithoutALeaseForeignWritesAreOverwritten":        testMeddled,
		"SubscriptionsDeletedMeanwhileAreGoneWhenItLeads": testRetainBeforeLead,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// limit is the most bytes of a value that a server takes unless told otherwise.
var limit = new(bucket.Mem).Limit()

// over opens a store over a line to a bucket of progress.
func over(t *testing.T, books *buckettest.Line, m *Mem, o Options) *Store {
	t.Helper()
	s := newStore(books, &m.letters, o.withDefaults())
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// writes spoils what is not a read.
func writes(f func(key string) buckettest.Fault) func(buckettest.Request) buckettest.Fault {
	return func(r buckettest.Request) buckettest.Fault {
		if r.Op == "get" {
			return buckettest.Fault{}
		}
		return f(r.Key)
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

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
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

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

const (
	gate  = "sub_00112233445566ff"
	north = "sub_0000000000000001"
	south = "sub_0000000000000002"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// at is progress of this journal at a position.
func at(head gatecast.Seq, pending ...gatecast.Seq) gatecast.Progress {
	return gatecast.Progress{Epoch: "e1", Head: head, Pending: pending}
}

// headOf is where a subscription stands; 0 if it does not.
func headOf(s *Store, id string) gatecast.Seq {
	p, _ := s.Progress(id)
	return p.Head
}

func begin(t *testing.T, s *Store, id string, p gatecast.Progress) {
	t.Helper()
	if err := s.Begin(t.Context(), id, p); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantProgress(t *testing.T, s *Store, id string, want gatecast.Progress) {
	t.Helper()
	got, there := s.Progress(id)
	if diff := cmp.Diff(want, got); diff != "" || !there {
		t.Errorf("progress of %s: there %v, %s", id, there, diff)
	}
}

func wantNone(t *testing.T, s *Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if p, there := s.Progress(id); there {
			t.Errorf("%s has progress: %+v", id, p)
		}
		letters, err := s.DeadLetters(t.Context(), id, 0, 10)
		if n := s.Dead(id); n != 0 || len(letters) != 0 || err != nil {
			t.Errorf("%s has %d dead letters, of which are read %v, %v", id, n, letters, err)
		}
	}
}

// alone is the only node there is. A busy disk may take its time.
var alone = Options{Epoch: "e1", Last: ends(1 << 60), Timeout: time.Minute}

func testBegin(t *testing.T, c cluster) {
	s := c.open(t, alone)
	run(t, s)
	begin(t, s, gate, at(42))
	wantProgress(t, c.open(t, alone), gate, at(42))
	begin(t, s, gate, at(43))
	wantProgress(t, c.open(t, alone), gate, at(43))
}

func testManyBegins(t *testing.T, c cluster) {
	s := c.open(t, alone)
	run(t, s)
	var all sync.WaitGroup
	ids := subscriptions(500)
	for i, id := range ids {
		all.Go(func() { begin(t, s, id, at(gatecast.Seq(i))) })
	}
	all.Wait()
	again := c.open(t, alone)
	for i, id := range ids {
		wantProgress(t, again, id, at(gatecast.Seq(i)))
	}
}

func everything() gatecast.Progress {
	return gatecast.Progress{
		Epoch: "e1", Head: 1<<53 + 1, Pending: []gatecast.Seq{1, 2, 3, 1 << 40, 1<<53 + 1},
		Delivered: 1<<64 - 1, Failed: 7, Lost: 8, Status: gatecast.SubscriptionDegraded, Since: start,
		Reason: "connection refused \u2028 \"\x00",
		Replay: &gatecast.Replay{
			ID: "r1", From: 5, To: 1 << 50, Position: 900, Sent: 70, Started: start, Ended: start.Add(time.Hour), Canceled: true,
		},
		Again: []gatecast.Seq{6, 899},
	}
}

func testEverythingSurvives(t *testing.T, c cluster) {
	s := c.open(t, alone)
	stop := run(t, s)
	begin(t, s, gate, gatecast.Progress{})
	s.Save(north, everything())
	stop()
	for _, s := range []*Store{s, c.open(t, alone)} {
		wantProgress(t, s, gate, gatecast.Progress{})
		wantProgress(t, s, north, everything())
		wantNone(t, s, south)
	}
}

func testFlush(t *testing.T, c cluster) {
	o := alone
	o.Interval = time.Hour
	s := c.open(t, o)
	stop := run(t, s)
	for n := range gatecast.Seq(20) {
		s.Save(gate, at(n))
		flush(t, s)
		wantProgress(t, c.open(t, alone), gate, at(n))
	}
	stop()
	s.Save(gate, at(99))
	if err := s.Flush(t.Context()); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("a flush after the end says %v", err)
	}
}

func testLastCommit(t *testing.T, c cluster) {
	o := alone
	o.Interval = time.Hour
	s := c.open(t, o)
	stop := run(t, s)
	for _, id := range subscriptions(100) {
		s.Save(id, at(7, 3))
	}
	stop()
	again := c.open(t, o)
	for _, id := range subscriptions(100) {
		wantProgress(t, again, id, at(7, 3))
	}
}

func testForget(t *testing.T, c cluster) {
	s := c.open(t, alone)
	stop := run(t, s)
	large := largeProgress(1)
	for _, id := range []string{gate, north, south} {
		begin(t, s, id, large)
		for seq := range gatecast.Seq(3) {
			setAside(t, s, letter(id, seq+1))
		}
	}
	s.Forget(gate)
	s.Forget(north)
	wantNone(t, s, gate, north)
	stop()
	for _, s := range []*Store{s, c.open(t, alone)} {
		wantNone(t, s, gate, north)
		wantProgress(t, s, south, large)
		if n := s.Dead(south); n != 3 {
			t.Errorf("another subscription has %d dead letters left, want 3", n)
		}
	}
}

func testBegunAgain(t *testing.T, c cluster) {
	o := alone
	o.Interval = time.Hour
	s := c.open(t, o)
	stop := run(t, s)
	begin(t, s, gate, largeProgress(1))
	setAside(t, s, letter(gate, 1))
	setAside(t, s, letter(gate, 2))
	s.Forget(gate)
	mine := letter(gate, 2)
	mine.Tries = 99
	setAside(t, s, mine) // before the former one has been removed
	begin(t, s, gate, at(5))
	s.Save(gate, largeProgress(2))
	stop()
	for _, s := range []*Store{s, c.open(t, alone)} {
		wantProgress(t, s, gate, largeProgress(2))
		if diff := cmp.Diff([]gatecast.DeadLetter{brief(mine)}, list(t, s, gate, 0, 10)); diff != "" || s.Dead(gate) != 1 {
			t.Errorf("%d dead letters: %s", s.Dead(gate), diff)
		}
	}
}

func testRetain(t *testing.T, c cluster) {
	s := c.open(t, alone)
	stop := run(t, s)
	begin(t, s, gate, at(1))
	begin(t, s, north, at(1))
	setAside(t, s, letter(south, 1)) // that is all there is of south
	setAside(t, s, letter(gate, 1))
	stop()
	s = c.open(t, alone)
	stop = run(t, s)
	s.Retain(func(id string) bool { return id == gate })
	stop()
	for _, s := range []*Store{s, c.open(t, alone)} {
		wantNone(t, s, north, south)
		wantProgress(t, s, gate, at(1))
		if s.Dead(gate) != 1 {
			t.Error("a dead letter of a subscription that is retained is gone")
		}
	}
}

func testClamp(t *testing.T, c cluster) {
	s := c.open(t, alone)
	stop := run(t, s)
	p := at(200, 90, 100, 101, 150)
	p.Replay, p.Again = &gatecast.Replay{ID: "r", From: 3, To: 180, Position: 120}, []gatecast.Seq{50, 110}
	begin(t, s, gate, p)
	begin(t, s, north, at(100, 100))
	stop()
	log := &logs{}
	c.open(t, Options{Epoch: "e1", Last: ends(100), Log: log.logger()})
	if n := strings.Count(log.String(), "beyond the end of the journal"); n != 1 {
		t.Errorf("the log says it %d times: %s", n, log)
	}
	want := at(100, 90, 100)
	want.Replay, want.Again = &gatecast.Replay{ID: "r", From: 3, To: 100, Position: 100}, []gatecast.Seq{50}
	// The journal has grown since.
	again := c.open(t, Options{Epoch: "e1", Last: ends(1000)})
	wantProgress(t, again, gate, want)
	wantProgress(t, again, north, at(100, 100))
}

func testEpoch(t *testing.T, c cluster) {
	s := c.open(t, alone)
	stop := run(t, s)
	begin(t, s, gate, at(200, 150))
	stop()
	wantProgress(t, c.open(t, Options{Epoch: "e2", Last: ends(100)}), gate, at(200, 150))
}

// largeProgress is more than a drawer takes of one.
func largeProgress(n gatecast.Seq) gatecast.Progress {
	p := at(1 << 50)
	for i := range gatecast.Seq(large / 4) {
		p.Pending = append(p.Pending, n+i<<30)
	}
	return p
}

func testLarge(t *testing.T, c cluster) {
	s := c.open(t, alone)
	run(t, s)
	neighbour := subscriptionIn(drawerOf(gate))
	begin(t, s, neighbour, at(7))
	for n := range gatecast.Seq(3) {
		for _, p := range []gatecast.Progress{at(n), largeProgress(n), largeProgress(n + 10), at(n + 1)} {
			s.Save(gate, p)
			flush(t, s)
			again := c.open(t, alone)
			wantProgress(t, again, gate, p)
			wantProgress(t, again, neighbour, at(7))
			_, err := s.books.Get(t.Context(), ownKey(gate))
			if there := err == nil; there != (len(p.Pending) > 0) {
				t.Errorf("with %d pending: key of its own %v", len(p.Pending), there)
			}
		}
	}
}

// subscriptionIn returns a subscription of a drawer.
func subscriptionIn(d int) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("sub_%016x", i); drawerOf(id) == d {
			return id
		}
	}
}
