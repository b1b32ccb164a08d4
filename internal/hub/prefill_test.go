package hub

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tailJournal is a journal at rest with holes in it, that damage has left,
// and with retention that passes by while it is read.
type tailJournal struct {
	events      []gatecast.Event // ascending, not dense
	first, last gatecast.Seq
	most        int // events that one Read returns at most
	reads       int
	onRead      func(j *tailJournal) error
}

func (j *tailJournal) Extent(context.Context) (gatecast.Extent, error) {
	return gatecast.Extent{First: j.first, Last: j.last}, nil
}

func (j *tailJournal) Since(context.Context, time.Time) (gatecast.Seq, error) { return j.last, nil }

func (j *tailJournal) Follow(context.Context, gatecast.Seq) gatecast.Stream {
	return func(func(gatecast.Event, error) bool) {}
}

func (j *tailJournal) Read(_ context.Context, after gatecast.Seq, limit int) (out []gatecast.Event, err error) {
	j.reads++
	if err := j.onRead(j); err != nil {
		return nil, err
	}
	if after+1 < j.first {
		return nil, gatecast.Errorf(gatecast.Gap, "events after %d are gone", after)
	}
	for _, e := range j.events {
		if e.Seq > after && e.Seq >= j.first && len(out) < min(limit, j.most) {
			out = append(out, e)
		}
	}
	return out, nil
}

func TestWindowAfterAStartIsTheJournalsTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, o, passes := drawTail(t)
		h, err := New(context.Background(), j, o)
		if err != nil {
			t.Fatal(err)
		}
		if h.Head() != j.last {
			t.Fatalf("the head is %d, the journal's newest event %d", h.Head(), j.last)
		}
		fits := fitting(j.events, o)
		for after := range j.last + 2 {
			got, ok := h.Window(after, make([]*gatecast.Event, 0, len(j.events)))
			if !ok {
				if !passes && after >= fits {
					t.Fatalf("the ring does not hold what comes after %d, though everything after %d fits", after, fits)
				}
				continue
			}
			var want, seqs []gatecast.Seq
			for _, e := range j.events {
				if e.Seq > after {
					want = append(want, e.Seq)
				}
			}
			for _, e := range got {
				seqs = append(seqs, e.Seq)
			}
			if diff := cmp.Diff(want, seqs); diff != "" {
				t.Fatalf("after %d:\n%s", after, diff)
			}
		}
	})
}

// drawTail makes a journal, and tells whether retention passes by. Holes are
// narrower than a page, so that what fits is known.
func drawTail(t *rapid.T) (*tailJournal, Options, bool) {
	j := &tailJournal{first: 1, most: rapid.IntRange(1, 100).Draw(t, "most")}
	for range rapid.IntRange(0, 300).Draw(t, "events") {
		j.last++
		if rapid.IntRange(0, 9).Draw(t, "hole") == 0 {
			j.last += gatecast.Seq(rapid.IntRange(1, 5).Draw(t, "wide"))
		}
		j.events = append(j.events, gatecast.Event{Seq: j.last, Data: make([]byte, rapid.IntRange(0, 9).Draw(t, "bytes"))})
	}
	j.last += gatecast.Seq(rapid.IntRange(0, 3).Draw(t, "lost at the end"))
	at := rapid.IntRange(0, 9).Draw(t, "retention passes at read")
	upTo := gatecast.Seq(rapid.IntRange(0, int(j.last)).Draw(t, "up to"))
	j.onRead = func(j *tailJournal) error {
		if j.reads == at {
			j.first = max(j.first, upTo+1)
		}
		return nil
	}
	o := Options{Ring: rapid.IntRange(1, 200).Draw(t, "ring"), RingBytes: rapid.IntRange(1, 1000).Draw(t, "ring bytes")}
	return j, o, at > 0 && upTo > 0
}

// fitting returns the oldest event of those that fit into the ring.
func fitting(events []gatecast.Event, o Options) gatecast.Seq {
	n, bytes, oldest := 0, 0, gatecast.Seq(0)
	for i := len(events) - 1; i >= 0; i-- {
		n++
		bytes += len(events[i].Data)
		if n > o.Ring || bytes > o.RingBytes && n > 1 {
			return oldest
		}
		oldest = events[i].Seq
	}
	return 0
}

func TestAJournalThatCannotBeReadDoesNotKeepTheHubFromStarting(t *testing.T) {
	j := &tailJournal{first: 1, last: 3, most: 10, events: []gatecast.Event{{Seq: 1}, {Seq: 2}, {Seq: 3}}}
	j.onRead = func(*tailJournal) error { return errors.New("no answer") }
	var log bytes.Buffer
	h, err := New(t.Context(), j, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if h.Head() != 3 || !strings.Contains(log.String(), "no answer") {
		t.Errorf("the hub stands at %d, want 3; log: %q", h.Head(), &log)
	}
	if _, ok := h.Window(2, make([]*gatecast.Event, 0, 10)); ok {
		t.Error("an empty ring claims to hold event 3")
	}
	j.onRead = func(*tailJournal) error { return nil }
	if diff := cmp.Diff(span(1, 3), drain(t, h, 0, 10)); diff != "" {
		t.Error(diff)
	}
}

func TestAHubThatStartsReadsNoMoreThanItsRingHolds(t *testing.T) {
	j := &tailJournal{first: 1, last: 10_000, most: 1000, onRead: func(*tailJournal) error { return nil }}
	for i := range j.last {
		j.events = append(j.events, gatecast.Event{Seq: i + 1, Data: make([]byte, 100)})
	}
	if _, err := New(t.Context(), j, Options{RingBytes: 20_000}); err != nil {
		t.Fatal(err)
	}
	if j.reads > 5 {
		t.Errorf("%d pages of %d events were read for a ring of 200", j.reads, prefillPage)
	}
}

func TestClientsThatComeBackAfterARestartAreServedFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(500)
		h := start(t, j, Options{Ring: 300})
		j.append(10)
		synctest.Wait()
		got, ok := h.Window(250, make([]*gatecast.Event, 0, 1000))
		if !ok || len(got) != 260 || got[0].Seq != 251 || got[259].Seq != 510 {
			t.Errorf("%d events (complete: %v), want 251 to 510", len(got), ok)
		}
		if diff := cmp.Diff(span(1, 510), drain(t, h, 0, 64)); diff != "" {
			t.Error(diff)
		}
	})
}
