package ledger

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"pgregory.net/rapid"
)

// TestACrashTakesProgressBackToACommitAtMost drives a store by random changes,
// commits that fail before or after they are done, and crashes. What is found
// after a crash is what the progress was at some moment since the last commit:
// never beyond what was saved, and never behind what was committed. Dead letters
// are there at once.
func TestACrashTakesProgressBackToACommitAtMost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{mem: &Mem{}, now: map[string]state{}, since: map[string][]state{}, dead: map[string][]gatecast.Seq{}}
		m.mem.books.MaxValue = 4 << 10 // so that some lie apart
		m.open()
		rt.Repeat(map[string]func(*rapid.T){
			"save": m.save, "forget": m.forget, "commit": m.commit, "crash": m.crash,
			"set aside": m.setAside, "discard": m.discard, "": m.check,
		})
	})
}

// state is progress as the model has it; zero if there is none.
type state struct {
	head    gatecast.Seq
	pending int
}

type model struct {
	mem   *Mem
	line  *buckettest.Line // to mem's progress
	store *Store
	now   map[string]state
	since map[string][]state // the last one known to be on disk, and every one since
	dead  map[string][]gatecast.Seq
}

// All but one lie in one drawer.
var ids = []string{gate, subscriptionIn(drawerOf(gate)), north, inDrawerOf(gate, 5), inDrawerOf(gate, 6)}

func inDrawerOf(id string, n int) string {
	for i := 0; ; i++ {
		if other := subscription(i); drawerOf(other) == drawerOf(id) {
			if n--; n < 0 {
				return other
			}
		}
	}
}

func (m *model) open() {
	o := alone
	o.MaxDead = 4
	m.line = &buckettest.Line{Bucket: &m.mem.books}
	m.store = newStore(m.line, &m.mem.letters, o.withDefaults())
	if err := m.store.load(context.Background()); err != nil {
		panic(err) // memory cannot fail
	}
}

func (m *model) set(id string, s state) {
	if _, known := m.since[id]; !known {
		m.since[id] = []state{{}}
	}
	m.now[id] = s
	m.since[id] = append(m.since[id], s)
}

func (m *model) save(t *rapid.T) {
	id := rapid.SampledFrom(ids).Draw(t, "subscription")
	s := state{gatecast.Seq(rapid.IntRange(1, 1000).Draw(t, "head")), rapid.SampledFrom([]int{0, 3, 300, 2000}).Draw(t, "pending")}
	p := at(s.head + 1<<40)
	for i := range s.pending {
		p.Pending = append(p.Pending, gatecast.Seq(1+i))
	}
	m.store.Save(id, p)
	m.set(id, s)
}

func (m *model) forget(t *rapid.T) {
	id := rapid.SampledFrom(ids).Draw(t, "subscription")
	m.store.Forget(id)
	if m.now[id] != (state{}) {
		m.set(id, state{})
	}
	m.store.bury(t.Context())
	delete(m.dead, id)
}

func (m *model) commit(t *rapid.T) {
	fate := rapid.SampledFrom([]string{"succeeds", "fails", "succeeds unheard"}).Draw(t, "the commit")
	at := rapid.IntRange(0, 6).Draw(t, "at request")
	m.line.Spoil(func(r buckettest.Request) buckettest.Fault {
		switch at--; {
		case at >= 0 || fate == "succeeds":
			return buckettest.Fault{}
		case fate == "fails":
			return buckettest.Fault{Lost: errFault}
		case r.Op == "get":
			return buckettest.Fault{}
		}
		return buckettest.Fault{Unsaid: errFault}
	})
	err := m.store.commit(t.Context())
	m.line.Spoil(nil)
	if err != nil {
		return
	}
	for id, s := range m.now {
		m.since[id] = []state{s}
	}
}

func (m *model) look(id string) state {
	p, there := m.store.Progress(id)
	if !there {
		return state{}
	}
	return state{p.Head - 1<<40, len(p.Pending)}
}

func (m *model) crash(t *rapid.T) {
	m.mem = m.mem.Crash()
	m.open()
	for id, since := range m.since {
		got := m.look(id)
		if !slices.Contains(since, got) {
			t.Fatalf("after a crash %s is %+v; since the last commit it was %+v", id, got, since)
		}
		m.now[id], m.since[id] = got, []state{got}
	}
}

func (m *model) setAside(t *rapid.T) {
	id, seq := rapid.SampledFrom(ids).Draw(t, "subscription"), gatecast.Seq(rapid.IntRange(1, 9).Draw(t, "seq"))
	if err := m.store.SetAside(t.Context(), letter(id, seq)); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(m.dead[id], seq) {
		m.dead[id] = append(m.dead[id], seq)
	}
	slices.Sort(m.dead[id])
	if len(m.dead[id]) > 4 {
		oldest := 0
		if m.dead[id][0] == seq {
			oldest = 1
		}
		m.dead[id] = slices.Delete(m.dead[id], oldest, oldest+1)
	}
}

func (m *model) discard(t *rapid.T) {
	id, seq := rapid.SampledFrom(ids).Draw(t, "subscription"), gatecast.Seq(rapid.IntRange(1, 9).Draw(t, "seq"))
	err := m.store.Discard(t.Context(), id, seq)
	i, there := slices.BinarySearchFunc(m.dead[id], seq, func(a, b gatecast.Seq) int { return cmp.Compare(a, b) })
	if there != (err == nil) || !there && gatecast.CodeOf(err) != gatecast.NotFound {
		t.Fatalf("there %v, %v", there, err)
	}
	if there {
		m.dead[id] = slices.Delete(m.dead[id], i, i+1)
	}
}

func (m *model) check(t *rapid.T) {
	for id, want := range m.now {
		if got := m.look(id); got != want {
			t.Fatalf("%s is %+v, want %+v", id, got, want)
		}
	}
	for _, id := range ids {
		all, err := m.store.DeadLetters(t.Context(), id, 0, 100)
		if err != nil || len(all) != len(m.dead[id]) || m.store.Dead(id) != len(all) {
			t.Fatalf("%d dead letters of %s, %d in memory, %v; want %v", len(all), id, m.store.Dead(id), err, m.dead[id])
		}
		for i, d := range all {
			if d.Seq != m.dead[id][i] {
				t.Fatalf("dead letter %d, want %v", d.Seq, m.dead[id])
			}
		}
	}
}

// TestAWriteOfWhichNobodyHeardIsWrittenOver has a commit reach the disk while its
// answer is lost, and then takes back what it was about.
func TestAWriteOfWhichNobodyHeardIsWrittenOver(t *testing.T) {
	m := &model{mem: &Mem{}}
	m.open()
	m.store.Save(subscriptionIn(drawerOf(gate)), at(1))
	if err := m.store.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.store.Save(gate, at(1))
	m.line.Spoil(writes(func(string) buckettest.Fault { return buckettest.Fault{Unsaid: errFault} }))
	if m.store.commit(t.Context()) == nil {
		t.Fatal("the answer was not lost")
	}
	m.line.Spoil(nil)
	m.store.Forget(gate)
	if err := m.store.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.mem = m.mem.Crash()
	m.open()
	if p, there := m.store.Progress(gate); there {
		t.Errorf("what was forgotten is there again: %+v", p)
	}
}
