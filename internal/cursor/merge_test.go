package cursor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
)

// neighbour is a consumer whose cursor lies in the same drawer as gate's.
var neighbour = gatecast.Consumer{App: "46"}

// stored makes a bucket that holds gate's cursor and its neighbour's.
func stored(t *testing.T, at gatecast.Seq) *bucket.Mem {
	t.Helper()
	if drawerOf(neighbour) != drawerOf(gate) {
		t.Fatal("the neighbour lies in another drawer")
	}
	m := &bucket.Mem{}
	s := OpenMem(Options{Epoch: "e1", Mem: m})
	s.table.begin(gate, at, s.now())
	s.table.begin(neighbour, 1, s.now())
	flush(t, s)
	return m
}

func TestACursorThatWasMovedBackIsNotPushedForwardByWhatWasOnDisk(t *testing.T) {
	m := stored(t, 50)
	a := OpenMem(Options{Epoch: "e1", Last: ends(60), Mem: m})
	b := OpenMem(Options{Epoch: "e1", Last: ends(60), Mem: m})
	a.Lose(gate, gatecast.GapNotice{From: 50, To: 5, Reason: gatecast.GapAhead}, start)
	b.Confirm(neighbour, 2) // and writes gate's cursor as it was
	flush(t, b)
	flush(t, a)
	if seqOf(a, gate) != 5 || onDisk(m, gate).Seq != 5 || onDisk(m, neighbour).Seq != 2 {
		t.Errorf("cursor at %d, %d on disk; want 5", seqOf(a, gate), onDisk(m, gate).Seq)
	}
	a.Confirm(gate, 6)
	b.Confirm(gate, 9)
	flush(t, b)
	flush(t, a)
	if seqOf(a, gate) != 50 { // b has yet to be told of the loss by its own reader
		t.Errorf("cursor at %d: the other node's position counts again, want 50", seqOf(a, gate))
	}
}

func TestACursorBeyondTheJournalIsBroughtBackThoughAnotherNodeWrites(t *testing.T) {
	m := stored(t, 50)
	l, meddled := &buckettest.Line{Bucket: m}, false
	l.Spoil(func(r buckettest.Request) buckettest.Fault {
		if r.Op == "get" || meddled {
			return buckettest.Fault{}
		}
		meddled = true
		if _, err := m.Set(t.Context(), r.Key, buckettest.Entry(t, m, r.Key).Value); err != nil {
			t.Error(err)
		}
		return buckettest.Fault{}
	})
	over(t, l, Options{Epoch: "e1", Last: ends(40)})
	if got := onDisk(m, gate).Seq; !meddled || got != 40 {
		t.Errorf("the cursor stands at %d on disk, want 40", got)
	}
}

func TestANodeIsNotTakenInByItsOwnEcho(t *testing.T) {
	m := &bucket.Mem{}
	l := &buckettest.Line{Bucket: m}
	l.Spoil(writes(func() buckettest.Fault { return buckettest.Fault{Unsaid: errors.New("no answer")} }))
	s := over(t, l, Options{Epoch: "e1"})
	s.table.begin(gate, 5, s.now())
	if err := s.commit(t.Context(), 1<<drawerOf(gate)); err == nil || len(buckettest.Entries(t, m)) != 1 {
		t.Fatal("the cursor is not on disk, or the write was heard of")
	}
	s.watched(buckettest.Entry(t, m, drawerKey(drawerOf(gate))))
	if cur, found, _ := s.table.get(gate); found || cur.Seq != 5 {
		t.Errorf("cursor at %d, found %v", cur.Seq, found)
	}
}

func TestOfTwoJournalsTheCurrentOneCounts(t *testing.T) {
	old := gatecast.Cursor{Consumer: gate, Epoch: "e1", Seq: 90, Confirmed: start, Complete: start, Lost: 3}
	now := gatecast.Cursor{Consumer: gate, Epoch: "e2", Seq: 4, Complete: start.Add(-time.Hour), Lost: 2}
	want := now
	want.Confirmed, want.Lost = old.Confirmed, old.Lost
	for _, pair := range [][2]gatecast.Cursor{{old, now}, {now, old}} {
		mine, theirs := &slot{cur: pair[0]}, &slot{cur: pair[1]}
		mine.join(theirs, "e2")
		if diff := cmp.Diff(want, mine.cur); diff != "" {
			t.Errorf("%s joined by %s: %s", pair[0].Epoch, pair[1].Epoch, diff)
		}
	}
	mine, theirs := &slot{cur: old, used: start}, &slot{cur: now, used: start.Add(1)}
	if mine.join(theirs, "e3"); mine.cur.Epoch != "e2" {
		t.Errorf("of two old journals %s counts, want the one used later", mine.cur.Epoch)
	}
}

func TestACursorUsedWhileAFullDrawerIsWrittenStays(t *testing.T) {
	m := stored(t, 50)
	l := &buckettest.Line{Bucket: m}
	s := over(t, l, Options{Epoch: "e1", Last: ends(60), Now: func() time.Time { return time.Now().Add(time.Hour) }})
	m.MaxValue = 150 // room for one
	s.Confirm(gate, 51)
	first := true
	l.Spoil(func(r buckettest.Request) buckettest.Fault {
		if first && r.Op == "put" && r.Key == drawerKey(drawerOf(gate)) {
			first = false
			for _, c := range []gatecast.Consumer{gate, neighbour} {
				s.Confirm(c, 55)
			}
		}
		return buckettest.Fault{}
	})
	flush(t, s)
	if seqOf(s, gate) != 55 || seqOf(s, neighbour) != 55 {
		t.Error("a cursor that has just been used is gone")
	}
	if _, dirty, _ := s.table.pending(); dirty&(1<<drawerOf(gate)) == 0 {
		t.Error("what was not written is not waiting to be")
	}
	flush(t, s)
	if n := s.table.size(); n != 1 {
		t.Errorf("%d cursors are left, want the one there is room for", n)
	}
}

func TestTheCursorThatIsOneTooManyIsNotTheNewOne(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1", MaxPerApp: 1, Now: newClock().Now}) // all in one millisecond
	s.table.begin(named, 1, s.now())
	s.table.begin(gate, 2, s.now())
	if all := s.Of(gate.App); len(all) != 1 || all[0].Consumer != gate {
		t.Errorf("cursors %v, want the new one alone", all)
	}
}

// TestACursorThatMovesOnWhileAnotherNodeStartsIsNotBroughtBack has the journal and
// the cursor grow between the first read of the one that starts and its last.
func TestACursorThatMovesOnWhileAnotherNodeStartsIsNotBroughtBack(t *testing.T) {
	m := stored(t, 50)
	other := OpenMem(Options{Epoch: "e1", Last: ends(60), Mem: m})
	newest := gatecast.Seq(60)
	l, begun := &buckettest.Line{Bucket: m}, false
	l.Spoil(func(buckettest.Request) buckettest.Fault {
		if !begun {
			begun, newest = true, 90
			other.Confirm(gate, 80)
			flush(t, other)
		}
		return buckettest.Fault{}
	})
	s := over(t, l, Options{Epoch: "e1", Last: func(context.Context) (gatecast.Seq, error) { return newest, nil }})
	if seqOf(s, gate) != 80 || onDisk(m, gate).Seq != 80 {
		t.Errorf("the cursor stands at %d, on disk at %d, want 80", seqOf(s, gate), onDisk(m, gate).Seq)
	}
	unreadable := errors.New("no leader")
	broken := newStore(m, Options{Epoch: "e1", Last: func(context.Context) (gatecast.Seq, error) { return 0, unreadable }}.withDefaults())
	if err := broken.load(t.Context()); !errors.Is(err, unreadable) || onDisk(m, gate).Seq != 80 {
		t.Errorf("a journal that does not say where it ends: %v", err)
	}
}
