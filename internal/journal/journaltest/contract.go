package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func storedEventsComeBack(t *testing.T, s Subject) {
	j := open(t, s, Limits{Ring: 2})
	in := []gatecast.Event{
		{
			ID: "a b%c\r\nd: e", Kind: gatecast.Record, Device: "SPS.1 *>", Groups: []int64{-1, 7, 1 << 60},
			At: time.Unix(1700000000, 0).UTC(), Source: "push", Data: []byte("{\"b\":1, \"a\" : \"\u65e5\u672c\"}\r\n\x00\xff"),
		},
		{ID: " \u00e9 ", Kind: gatecast.Alarm, Late: true, Data: []byte("{}")},
		{ID: strings.Repeat("x", 128), Kind: 12345, Source: "sim", At: time.Unix(0, 0).UTC(), Data: nil},
		{ID: "4", Kind: gatecast.Record, Device: strings.Repeat("d", 256), Data: []byte(strings.Repeat("z", 1<<20))},
	}
	before := time.Now().Truncate(time.Millisecond)
	r := mustAppend(t, j, in...)
	after := time.Now()
	if want := (gatecast.Receipt{Accepted: 4, First: 1, Last: 4}); r != want {
		t.Errorf("receipt %+v, want %+v", r, want)
	}
	got := readAll(t, j, 0, 100)
	for i := range got {
		if got[i].Stored.Before(before) || got[i].Stored.After(after) {
			t.Errorf("event %d was stored at %v, not between %v and %v", i+1, got[i].Stored, before, after)
		}
		in[i].Seq, in[i].Stored = gatecast.Seq(i+1), got[i].Stored
	}
	// Byte by byte, cmp would take half a minute for the large one.
	whole := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))
	if diff := cmp.Diff(in, got, cmpopts.EquateEmpty(), whole); diff != "" {
		t.Errorf("what came back differs (-sent +read):\n%s", diff)
	}
	if x := extent(t, j); x.Epoch == "" || x.First != 1 || x.Last != 4 || x.Events != 4 || x.Bytes == 0 {
		t.Errorf("extent %+v", x)
	}
	if err := j.Healthy(); err != nil {
		t.Errorf("Healthy: %v", err)
	}
}

func duplicatesAreDropped(t *testing.T, s Subject) {
	j := open(t, s, Limits{})
	mustAppend(t, j, Events("a", 3)...)
	if r, want := mustAppend(t, j, Event("a-2")), (gatecast.Receipt{Duplicates: 1}); r != want {
		t.Errorf("a repeated event: %+v, want %+v", r, want)
	}
	mixed := []gatecast.Event{Event("b-1"), Event("a-1"), Event("b-1"), Event("b-2"), Event("a-3")}
	if r, want := mustAppend(t, j, mixed...), (gatecast.Receipt{Accepted: 2, Duplicates: 3, First: 4, Last: 5}); r != want {
		t.Errorf("a mixed call: %+v, want %+v", r, want)
	}
	if got, want := ids(readAll(t, j, 0, 10)), "a-1 a-2 a-3 b-1 b-2"; got != want {
		t.Errorf("the journal holds %q, want %q", got, want)
	}
}

func ids(events []gatecast.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func refusedWhole(t *testing.T, s Subject) {
	j := open(t, s, Limits{})
	tests := []struct {
		name   string
		events []gatecast.Event
		code   gatecast.Code
		index  int // -1: the error is about no event
	}{
		{"an empty ID", []gatecast.Event{Event("ok"), {Kind: gatecast.Record}}, gatecast.Invalid, 1},
		{"a long ID", []gatecast.Event{Event(strings.Repeat("x", 129))}, gatecast.Invalid, 0},
		{"too many events", Events("many", 1001), gatecast.TooLarge, -1},
		{"a huge event", []gatecast.Event{{ID: "huge", Data: make([]byte, 8<<20)}}, gatecast.TooLarge, 0},
	}
	for _, tt := range tests {
		_, err := j.Append(bounded(t), tt.events)
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != tt.code {
			t.Errorf("%s: error %v, want code %v", tt.name, err, tt.code)
			continue
		}
		if tt.index >= 0 && (e.At == nil || e.At.Index != tt.index) {
			t.Errorf("%s: the error points at %+v, want event %d", tt.name, e.At, tt.index)
		}
	}
	if x := extent(t, j); x.Events != 0 || x.Last != 0 || x.First != 1 {
		t.Errorf("something was stored: %+v", x)
	}
	if r := mustAppend(t, j); r != (gatecast.Receipt{}) {
		t.Errorf("an empty call: %+v", r)
	}
	if r := mustAppend(t, j, Events("full", 1000)...); r.Accepted != 1000 || r.Last != 1000 {
		t.Errorf("a full call: %+v", r)
	}
}

func readTellsTheEnd(t *testing.T, s Subject) {
	j := open(t, s, Limits{Ring: 4})
	if got, err := j.Read(bounded(t), 0, 10); err != nil || len(got) != 0 {
		t.Errorf("an empty journal: %d events, %v", len(got), err)
	}
	mustAppend(t, j, Events("a", 20)...)
	for after := range gatecast.Seq(20) {
		got, err := j.Read(bounded(t), after, 1)
		if err != nil || len(got) != 1 || got[0].Seq != after+1 {
			t.Errorf("Read(%d, 1): %+v, %v", after, got, err)
		}
	}
	if got, err := j.Read(bounded(t), 20, 10); err != nil || len(got) != 0 {
		t.Errorf("at the end: %d events, %v", len(got), err)
	}
	if got, err := j.Read(bounded(t), 3, 0); err != nil || len(got) != 0 {
		t.Errorf("a limit of 0: %d events, %v", len(got), err)
	}
	for _, after := range []gatecast.Seq{21, 1 << 40} {
		if _, err := j.Read(bounded(t), after, 10); gatecast.CodeOf(err) != gatecast.Gap {
			t.Errorf("Read(%d) beyond the end: %v, want a gap", after, err)
		}
	}
	followIsAGap(t, j, 21)
}

// followIsAGap wants a stream of one error and nothing else.
func followIsAGap(t *testing.T, j Journal, after gatecast.Seq) {
	t.Helper()
	told := 0
	for e, err := range j.Follow(bounded(t), after) {
		if told++; gatecast.CodeOf(err) != gatecast.Gap || err == nil {
			t.Errorf("Follow(%d): event %d, error %v, want a gap", after, e.Seq, err)
			break
		}
	}
	if told != 1 {
		t.Errorf("Follow(%d) yielded %d times, want one gap", after, told)
	}
}

func followWaits(t *testing.T, s Subject) {
	j := open(t, s, Limits{})
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var seen []gatecast.Event
	var last error
	mustAppend(t, j, Event("1"))
	for e, err := range j.Follow(ctx, 0) {
		if err != nil {
			last = err
			continue
		}
		seen = append(seen, e)
		if len(seen) < 5 {
			mustAppend(t, j, Event(fmt.Sprint(len(seen)+1)))
		} else {
			cancel()
		}
	}
	if got, want := ids(seen), "1 2 3 4 5"; got != want {
		t.Errorf("saw %q, want %q", got, want)
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the stream ended with %v, want the context's error", last)
	}
}

func closeEndsFollowers(t *testing.T, s Subject) {
	j := s.Open(t, t.Name(), Limits{})
	mustAppend(t, j, Event("1"))
	seen, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for _, err := range j.Follow(context.Background(), 0) {
			if err != nil {
				ended <- err
				return
			}
			close(seen)
		}
	}()
	<-seen
	closeJournal(t, j)
	if err := <-ended; gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("the stream ended with %v, want unavailable", err)
	}
	if _, err := j.Append(bounded(t), Events("late", 1)); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("Append after Close: %v, want unavailable", err)
	}
	closeJournal(t, j) // once more is harmless
}

func retentionIsTold(t *testing.T, s Subject) {
	j := open(t, s, Limits{MaxBytes: 256 << 10, Ring: 8})
	for call := range 20 {
		events := Events(fmt.Sprint("call", call), 50)
		for i := range events {
			events[i].Data = make([]byte, 1000)
		}
		mustAppend(t, j, events...)
	}
	x := extent(t, j)
	if x.First <= 1 || x.Last != 1000 || x.Events != uint64(x.Last-x.First+1) {
		t.Fatalf("extent %+v after 1000 events with room for fewer", x)
	}
	for _, after := range []gatecast.Seq{0, 1, x.First - 2} {
		if _, err := j.Read(bounded(t), after, 10); gatecast.CodeOf(err) != gatecast.Gap {
			t.Errorf("Read(%d) with the first at %d: %v, want a gap", after, x.First, err)
		}
		followIsAGap(t, j, after)
	}
	got := readAll(t, j, x.First-1, 1000)
	if len(got) == 0 || got[0].Seq != x.First || got[len(got)-1].Seq != x.Last || len(got) != int(x.Events) {
		t.Errorf("read %d events from %d on, want all of %+v", len(got), x.First, x)
	}
}

func restartForgetsNothing(t *testing.T, s Subject) {
	if !s.Durable {
		t.Skip("not a durable journal")
	}
	j := s.Open(t, t.Name(), Limits{})
	mustAppend(t, j, Events("a", 5)...)
	mustAppend(t, j, Event("b"))
	before, was := readAll(t, j, 0, 100), extent(t, j)
	closeJournal(t, j)
	for range 2 {
		j = s.Open(t, t.Name(), Limits{})
		if diff := cmp.Diff(before, readAll(t, j, 0, 100), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("after a restart (-before +after):\n%s", diff)
		}
		if x := extent(t, j); x != was {
			t.Errorf("extent %+v after a restart, was %+v", x, was)
		}
		if r := mustAppend(t, j, Event("a-3"), Event("b")); r.Accepted != 0 || r.Duplicates != 2 {
			t.Errorf("repeated after a restart: %+v, want two duplicates", r)
		}
		closeJournal(t, j)
	}
	j = s.Open(t, t.Name(), Limits{})
	defer closeJournal(t, j)
	if r := mustAppend(t, j, Event("new")); r.First != 7 {
		t.Errorf("the first event after a restart: %+v, want seq 7", r)
	}
}
