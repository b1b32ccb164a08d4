package journal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// TestSincePassesOverNothingWhereTheClockWentBack stores an event whose Stored
// lies after its commit, which is what a step back between the two looks like.
func TestSincePassesOverNothingWhereTheClockWentBack(t *testing.T) {
	j := openQuiet(t)
	now := time.Now().Truncate(time.Millisecond)
	for i, ahead := range []time.Duration{-time.Second, 9 * time.Second, 0, 0, 0} {
		raw := encode(&gatecast.Event{ID: fmt.Sprint(i), Stored: now.Add(ahead)})
		if _, err := j.link.js.PublishMsg(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	j.tail.advance(5)
	for _, tt := range []struct {
		ahead time.Duration
		want  gatecast.Seq
	}{{-2 * time.Second, 0}, {0, 1}, {5 * time.Second, 1}, {9 * time.Second, 1}, {10 * time.Second, 5}, {time.Hour, 5}} {
		if got, err := j.Since(t.Context(), now.Add(tt.ahead)); err != nil || got != tt.want {
			t.Errorf("Since(now%+v): %d, %v, want %d", tt.ahead, got, err, tt.want)
		}
	}
}

// TestSinceAsksTheEventsThemselvesWhereJetStreamFindsNone holds the way back
// from the end, which stands in for a search that damage has made blind.
func TestSinceAsksTheEventsThemselvesWhereJetStreamFindsNone(t *testing.T) {
	j := openQuiet(t)
	for i := range 40 {
		if _, err := j.Append(t.Context(), []gatecast.Event{{ID: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	x, err := j.Extent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := x.First; seq <= x.Last; seq++ {
		m, err := j.fetch.ask(t.Context(), seq)
		if err != nil || m == nil {
			t.Fatalf("event %d: %v, %v", seq, m, err)
		}
		got, err := j.backBefore(t.Context(), x, m.at)
		if err != nil || got >= seq || x.Last-got > 2*(x.Last-seq+1) {
			t.Errorf("back from %d for the commit of %d: %d, %v", x.Last, seq, got, err)
		}
	}
	if got, err := j.backBefore(t.Context(), x, time.Now()); err != nil || got != x.Last {
		t.Errorf("back before now: %d, %v, want %d", got, err, x.Last)
	}
}

func openQuiet(t *testing.T) *Journal {
	t.Helper()
	j, err := Open(t.Context(), Options{Dir: t.TempDir(), Check: Check{LowDisk: -1, Scrub: -1, Ring: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close(context.Background()) })
	return j
}
