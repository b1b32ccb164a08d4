package cursor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"pgregory.net/rapid"
)

// TestACrashTakesACursorBackToACommitAtMost drives a store by random changes,
// commits that fail before or after they are done, and crashes. What is found
// after a crash is what the cursor was at some moment since the last commit:
// never beyond what was confirmed, and never behind what was committed.
func TestACrashTakesACursorBackToACommitAtMost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel()
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "confirm": m.confirm, "pass": m.pass, "lose": m.lose, "forget": m.forget,
			"commit": m.commit, "crash": m.crash, "wait": m.wait, "": m.check,
		})
	})
}

// state is a cursor as the model has it; absent if it is not there.
type state struct {
	seq  gatecast.Seq
	lost uint64
	here bool
}

type model struct {
	clk   *clock
	mem   *bucket.Mem
	line  *buckettest.Line // to mem
	store *Store
	now   map[gatecast.Consumer]state
	since map[gatecast.Consumer][]state // the last one known to be on disk, and every one since
}

var consumers = rapid.SampledFrom([]gatecast.Consumer{
	gate, named, {App: "other"}, gatecast.AddressConsumer("other", "192.0.2.7"), gatecast.AddressConsumer("other", "192.0.2.8"),
})

var seqs = rapid.Custom(func(t *rapid.T) gatecast.Seq { return gatecast.Seq(rapid.IntRange(0, 50).Draw(t, "seq")) })

func newModel() *model {
	m := &model{clk: newClock(), mem: &bucket.Mem{}, now: map[gatecast.Consumer]state{}, since: map[gatecast.Consumer][]state{}}
	m.open()
	return m
}

func (m *model) open() {
	m.line = &buckettest.Line{Bucket: m.mem}
	m.store = newStore(m.line, Options{Epoch: "e1", Last: ends(100), Now: m.clk.Now}.withDefaults())
	if err := m.store.load(context.Background()); err != nil {
		panic(err) // memory cannot fail
	}
}

func (m *model) set(c gatecast.Consumer, s state) {
	if _, known := m.since[c]; !known {
		m.since[c] = []state{{}}
	}
	m.now[c] = s
	m.since[c] = append(m.since[c], s)
}

func (m *model) begin(t *rapid.T) {
	c, at := consumers.Draw(t, "consumer"), seqs.Draw(t, "at")
	_, existed, _, _ := m.store.table.begin(c, at, m.store.now())
	if existed != m.now[c].here {
		t.Fatalf("%v existed: %v", c, existed)
	}
	if !existed {
		m.set(c, state{seq: at, here: true})
	}
}

func (m *model) advance(c gatecast.Consumer, seq gatecast.Seq) {
	if s := m.now[c]; s.here {
		s.seq = max(s.seq, seq)
		m.set(c, s)
	}
}

func (m *model) confirm(t *rapid.T) {
	c, seq := consumers.Draw(t, "consumer"), seqs.Draw(t, "seq")
	m.store.Confirm(c, seq)
	m.advance(c, seq)
}

func (m *model) pass(t *rapid.T) {
	c, seq := consumers.Draw(t, "consumer"), seqs.Draw(t, "seq")
	m.store.Pass(c, seq)
	m.advance(c, seq)
}

func (m *model) lose(t *rapid.T) {
	c, from, to := consumers.Draw(t, "consumer"), seqs.Draw(t, "from"), seqs.Draw(t, "to")
	reason := rapid.SampledFrom([]gatecast.Reason{gatecast.GapRetention, gatecast.GapWindow, gatecast.GapEpoch, gatecast.GapAhead}).Draw(t, "reason")
	m.store.Lose(c, gatecast.GapNotice{From: from, To: to, Reason: reason}, m.clk.Now())
	s := m.now[c]
	if !s.here {
		return
	}
	if reason == gatecast.GapEpoch || reason == gatecast.GapAhead {
		s.seq = to
	} else {
		from = max(from, s.seq) // what is confirmed is not lost
		s.seq = max(s.seq, to)
	}
	if to > from {
		s.lost += uint64(to - from)
	}
	m.set(c, s)
}

func (m *model) forget(t *rapid.T) {
	app := consumers.Draw(t, "consumer").App
	m.store.Forget(app)
	for c, s := range m.now {
		if c.App == app && s.here {
			m.set(c, state{})
		}
	}
}

func (m *model) commit(t *rapid.T) {
	fate := rapid.SampledFrom([]string{"succeeds", "fails", "succeeds unheard"}).Draw(t, "the commit")
	at := rapid.IntRange(0, 3).Draw(t, "at write")
	m.line.Spoil(writes(func() buckettest.Fault {
		if at--; at >= 0 || fate == "succeeds" {
			return buckettest.Fault{}
		}
		if fate == "fails" {
			return buckettest.Fault{Lost: errors.New(fate)}
		}
		return buckettest.Fault{Unsaid: errors.New(fate)}
	}))
	_, dirty, _ := m.store.table.pending()
	err := m.store.commit(t.Context(), dirty)
	m.line.Spoil(nil)
	if err != nil {
		return
	}
	for c, s := range m.now {
		m.since[c] = []state{s}
	}
}

func (m *model) wait(*rapid.T) { m.clk.pass(time.Second) }

func (m *model) look(c gatecast.Consumer) state {
	cur, _, here := m.store.table.get(c)
	return state{cur.Seq, cur.Lost, here}
}

func (m *model) crash(t *rapid.T) {
	m.mem = m.mem.Crash()
	m.open()
	for _, c := range slices.Collect(maps.Keys(m.since)) {
		got := m.look(c)
		if !slices.Contains(m.since[c], got) {
			t.Fatalf("after a crash %v is %+v; since the last commit it was %+v", c, got, m.since[c])
		}
		m.now[c], m.since[c] = got, []state{got}
	}
}

func (m *model) check(t *rapid.T) {
	here := 0
	for c, want := range m.now {
		if got := m.look(c); got != want {
			t.Fatalf("%v is %+v, want %+v", c, got, want)
		}
		if want.here {
			here++
		}
	}
	if n := m.store.table.size(); n != here {
		t.Fatalf("%d cursors, want %d", n, here)
	}
}

// TestNodesAgreeHoweverTheirCommitsAndNewsCross lets three nodes move the same
// cursors, commit, and hear of each other in any order. What any has committed
// is never undone, and in the end all know the highest position.
func TestNodesAgreeHoweverTheirCommitsAndNewsCross(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := &bucket.Mem{}
		var nodes []*Store
		for range 3 {
			nodes = append(nodes, OpenMem(Options{Epoch: "e1", Last: ends(100), Mem: mem}))
		}
		nodes[0].table.begin(gate, 0, nodes[0].now())
		nodes[0].table.begin(named, 0, nodes[0].now())
		commit := func(s *Store) {
			if err := s.commit(t.Context(), ^mask(0)); err != nil {
				t.Fatal(err)
			}
		}
		hear := func(s *Store) {
			for _, e := range buckettest.Entries(t, mem) {
				s.watched(e)
			}
		}
		commit(nodes[0])
		hear(nodes[1])
		hear(nodes[2])
		highest, committed := map[gatecast.Consumer]gatecast.Seq{}, map[gatecast.Consumer]gatecast.Seq{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			s := rapid.SampledFrom(nodes).Draw(t, "node")
			switch rapid.SampledFrom([]string{"confirm", "commit", "hear", "old news"}).Draw(t, "step") {
			case "confirm":
				c, seq := rapid.SampledFrom([]gatecast.Consumer{gate, named}).Draw(t, "consumer"), seqs.Draw(t, "seq")
				s.Confirm(c, seq)
				highest[c] = max(highest[c], seq)
			case "commit":
				commit(s)
				for _, c := range []gatecast.Consumer{gate, named} {
					committed[c] = max(committed[c], seqOf(s, c))
				}
			case "hear":
				hear(s)
			case "old news":
				s.table.news(drawerOf(gate), 1, []record{{App: "old", Epoch: "e1", Seq: 7}})
			}
			for c, least := range committed {
				if got := onDisk(mem, c).Seq; got < least || got > highest[c] {
					t.Fatalf("%d of %v is on disk; %d was committed, %d confirmed", got, c, least, highest[c])
				}
			}
		}
		for _, s := range append(nodes, nodes...) {
			commit(s)
		}
		for i, s := range nodes {
			hear(s)
			for c, want := range highest {
				if got := seqOf(s, c); got != want {
					t.Fatalf("node %d has %v at %d, want %d", i, c, got, want)
				}
			}
			if len(s.Of("old")) > 0 {
				t.Fatalf("node %d took news that were older than what it knew", i)
			}
		}
	})
}
