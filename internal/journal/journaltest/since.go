package journaltest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func sinceFinds(t *testing.T, s Subject) {
	j := s.Open(t, t.Name(), Limits{Ring: 4})
	for _, at := range []time.Time{{}, time.Now(), time.Now().Add(time.Hour)} {
		if n := since(t, j, at); n != 0 {
			t.Errorf("Since(%v) in an empty journal: %d", at, n)
		}
	}
	for call := range 6 {
		mustAppend(t, j, Events(fmt.Sprint("call", call), 1+call%3)...)
		nextMillisecond()
	}
	checkSince(t, j)
	ctx, cancel := context.WithCancel(bounded(t))
	cancel()
	if _, err := j.Since(ctx, time.Now()); err == nil {
		t.Error("Since with an ended context: no error")
	}
	closeJournal(t, j)
	if _, err := j.Since(bounded(t), time.Now()); gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
		t.Errorf("Since after Close: %v, want unavailable", err)
	}
	if s.Durable {
		j = open(t, s, Limits{Ring: 4}) // everything is on disk only
		checkSince(t, j)
	}
}

// checkSince holds Since against all times that can make a difference.
func checkSince(t *testing.T, j Journal) {
	t.Helper()
	x := extent(t, j)
	events := readAll(t, j, x.First-1, 100)
	if len(events) == 0 {
		t.Fatal("no events to look for")
	}
	times := []time.Time{{}, time.Unix(0, -1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(time.Hour)}
	for _, e := range events {
		times = append(times, e.Stored.Add(-time.Millisecond), e.Stored, e.Stored.Add(time.Microsecond), e.Stored.Add(time.Millisecond))
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, at := range slices.CompactFunc(times, time.Time.Equal) { // those of a call were stored together
		want := x.Last
		for _, e := range events {
			if !e.Stored.Before(at.Truncate(time.Millisecond)) {
				want = e.Seq - 1
				break
			}
		}
		if got := since(t, j, at); got != want {
			t.Errorf("Since(%s): %d, want %d", at.Format(time.RFC3339Nano), got, want)
		}
	}
}

func sinceAfterRetention(t *testing.T, s Subject) {
	j := open(t, s, Limits{MaxBytes: 256 << 10, Ring: 8})
	for call := range 10 {
		events := Events(fmt.Sprint("call", call), 50)
		for i := range events {
			events[i].Data = make([]byte, 1000)
		}
		mustAppend(t, j, events...)
		nextMillisecond()
	}
	if x := extent(t, j); x.First <= 1 {
		t.Fatalf("nothing was removed: %+v", x)
	}
	checkSince(t, j)
}

// sinceUnderLoad asks while others append: whatever is before the answer, then
// or later, must have been stored before the time asked for.
func sinceUnderLoad(t *testing.T, s Subject) {
	j := open(t, s, Limits{Ring: 64})
	type answer struct {
		at    time.Time
		after gatecast.Seq
	}
	var answers []answer
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			at := time.Now().Truncate(time.Millisecond)
			n, err := j.Since(bounded(t), at)
			if err != nil {
				t.Errorf("Since: %v", err)
				return
			}
			answers = append(answers, answer{at, n})
		}
	})
	writers(t, j, 8, 25)
	close(done)
	wg.Wait()
	events := readAll(t, j, 0, 1000)
	if len(answers) == 0 || len(events) == 0 {
		t.Fatalf("%d answers about %d events", len(answers), len(events))
	}
	for _, a := range answers {
		for _, e := range events[:a.after] {
			if !e.Stored.Before(a.at) {
				t.Fatalf("Since(%s) is %d, but event %d was stored at %s",
					a.at.Format(time.StampMilli), a.after, e.Seq, e.Stored.Format(time.StampMilli))
			}
		}
	}
}

func since(t *testing.T, j Journal, at time.Time) gatecast.Seq {
	t.Helper()
	n, err := j.Since(bounded(t), at)
	if err != nil {
		t.Fatalf("Since(%v): %v", at, err)
	}
	return n
}

// nextMillisecond returns when the clock shows another millisecond, so that
// the next event has a Stored of its own.
func nextMillisecond() {
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
		runtime.Gosched()
	}
}
