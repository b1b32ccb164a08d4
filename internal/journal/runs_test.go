package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"
)

// openFilled opens a journal of n events that keeps none of them in memory.
func openFilled(t *testing.T, n int) *Journal {
	t.Helper()
	j, err := Open(t.Context(), Options{Dir: t.TempDir(), Check: Check{LowDisk: -1, Ring: 1, Scrub: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close(context.Background()) })
	appendMany(t, j, "e", n)
	return j
}

func appendMany(t *testing.T, j *Journal, name string, n int) {
	t.Helper()
	for i := 0; i < n; i += MaxCall {
		if _, err := j.Append(t.Context(), events(fmt.Sprint(name, i), min(MaxCall, n-i))); err != nil {
			t.Fatal(err)
		}
	}
}

func (j *Journal) consumers(t *testing.T) int {
	t.Helper()
	info, err := j.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Consumers
}

// readOn reads pages from a position on until none come, or an error.
func readOn(t *testing.T, j *Journal, after gatecast.Seq, page int) (all []gatecast.Event, err error) {
	t.Helper()
	for {
		events, err := j.Read(t.Context(), after, page)
		if err != nil || len(events) == 0 {
			return all, err
		}
		all = append(all, events...)
		after = events[len(events)-1].Seq
	}
}

func TestAReaderGoesOnWhereItStood(t *testing.T) {
	j := openFilled(t, 4000)
	var after gatecast.Seq
	before := time.Now()
	for page := 0; after < 4000; page++ {
		began := time.Now()
		events, err := j.Read(t.Context(), after, 256)
		if err != nil || len(events) == 0 || events[0].Seq != after+1 {
			t.Fatalf("after %d: %d events, %v", after, len(events), err)
		}
		after = events[len(events)-1].Seq
		if page%2 == 1 { // its socket took half of it
			after = events[len(events)/2].Seq
		}
		if n := j.consumers(t); n != 1 && time.Since(before) < runIdle { // later it has been given up
			t.Fatalf("after %d: %d consumers, want the reader's own", after, n)
		}
		before = began
	}
	j.link.runs.end(j.link.runs.abandoned(time.Now())...)
	for j.consumers(t) != 0 { // the server removes it behind our back
		if t.Context().Err() != nil {
			t.Fatal("the consumer stays behind")
		}
	}
	if j.link.runs.count != 0 {
		t.Errorf("%d runs are counted, want none", j.link.runs.count)
	}
}

func TestAShortReadBeginsNoRun(t *testing.T) {
	j := openFilled(t, 3000)
	for _, read := range []struct{ after, limit int }{{0, runPage - 1}, {3000 - runWorth + 1, 256}} {
		events, err := j.Read(t.Context(), gatecast.Seq(read.after), read.limit)
		if err != nil || len(events) == 0 {
			t.Errorf("after %d: %d events, %v", read.after, len(events), err)
		}
		if n := j.consumers(t); n != 0 {
			t.Errorf("after %d, at most %d: %d consumers, want none", read.after, read.limit, n)
		}
	}
}

func TestReadersBeyondTheBoundReadAsWell(t *testing.T) {
	j := openFilled(t, 4000)
	for slow := true; slow; {
		began := time.Now()
		for after := range gatecast.Seq(2 * maxRuns) {
			events, err := j.Read(t.Context(), 100*after, 64)
			if err != nil || len(events) != 64 || events[0].Seq != 100*after+1 {
				t.Errorf("after %d: %d events, %v", 100*after, len(events), err)
			}
		}
		n := j.consumers(t)
		if slow = time.Since(began) > runIdle && n < maxRuns; !slow && n != maxRuns { // else some have been given up
			t.Errorf("%d consumers, want %d", n, maxRuns)
		}
	}
}

// TestReadersAtOnceDoNotMixUpTheirRuns has more readers than runs, in step and
// out of step.
func TestReadersAtOnceDoNotMixUpTheirRuns(t *testing.T) {
	j := openFilled(t, 4000)
	var wg sync.WaitGroup
	for i := range maxRuns + 4 {
		wg.Go(func() {
			next := gatecast.Seq(1)
			for next <= 4000 {
				events, err := j.Read(t.Context(), next-1, 256+i%3)
				if err != nil || len(events) == 0 {
					t.Errorf("before %d: %d events, %v", next, len(events), err)
					return
				}
				for _, e := range events {
					if e.Seq != next || e.ID == "" {
						t.Errorf("event %d %q where %d was expected", e.Seq, e.ID, next)
						return
					}
					next++
				}
			}
		})
	}
	wg.Wait()
	if h := j.Holes(); len(h) > 0 {
		t.Errorf("holes %+v", h)
	}
}

// spoil makes a journal of 5,000 events of which some are lost: one whose bytes
// have changed, two stretches that are missing, and more behind the committed
// end that nobody has acknowledged.
func spoil(t *testing.T) *Journal {
	t.Helper()
	j := openFilled(t, 1500)
	gone := events("gone", 20)
	for i := range gone {
		gone[i].Device = "gone"
	}
	if _, err := j.Append(t.Context(), gone[:15]); err != nil {
		t.Fatal(err)
	}
	appendMany(t, j, "f", 500)
	publish(t, j, "changed", func(m *nats.Msg) { m.Data = []byte("changed") })
	appendMany(t, j, "g", 2900)
	if _, err := j.Append(t.Context(), gone[15:]); err != nil {
		t.Fatal(err)
	}
	appendMany(t, j, "h", 79)
	for i := range 40 {
		publish(t, j, fmt.Sprint("early", i), func(*nats.Msg) {})
	}
	if err := j.stream.Purge(t.Context(), jetstream.WithPurgeSubject(subjectRoot+"*.gone")); err != nil {
		t.Fatal(err)
	}
	return j
}

func publish(t *testing.T, j *Journal, id string, change func(*nats.Msg)) {
	t.Helper()
	m := encode(&gatecast.Event{ID: id, Stored: time.Now()})
	change(m)
	if _, err := j.link.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// TestALostStretchIsToldTheSameWayByBothReaders reads a damaged journal once
// with runs, and once without.
func TestALostStretchIsToldTheSameWayByBothReaders(t *testing.T) {
	lost := []Hole{
		{From: 1501, To: 1515, What: whatMissing}, {From: 2016, To: 2016, What: whatChanged}, {From: 4917, To: 4921, What: whatMissing},
	}
	for _, way := range []string{"runs", "single requests"} {
		t.Run(way, func(t *testing.T) {
			j := spoil(t)
			if way != "runs" {
				j.link.runs.close()
			}
			next := gatecast.Seq(1)
			got, err := readOn(t, j, 0, 256)
			for _, e := range got {
				for next == 1501 || next == 2016 || next == 4917 {
					next += map[gatecast.Seq]gatecast.Seq{1501: 15, 2016: 1, 4917: 5}[next]
				}
				if e.Seq != next {
					t.Fatalf("event %d where %d was expected", e.Seq, next)
				}
				next++
			}
			if err != nil || next != 5001 {
				t.Errorf("read up to %d, %v, want up to the committed end, 5000", next-1, err)
			}
			ignored := cmpopts.IgnoreFields(Hole{}, "Epoch", "Found")
			if diff := cmp.Diff(lost, j.Holes(), ignored); diff != "" {
				t.Errorf("holes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARunNeverShowsWhatIsNotCommitted(t *testing.T) {
	j := openFilled(t, 4000)
	for i := range 40 {
		publish(t, j, fmt.Sprint("early", i), func(*nats.Msg) {})
	}
	began := time.Now()
	got, err := readOn(t, j, 0, 256)
	n := j.consumers(t)
	if err != nil || len(got) != 4000 || n != 1 && time.Since(began) < runIdle { // later it has been given up
		t.Errorf("%d events by %d consumers, %v, want the 4000 that are committed, by one", len(got), n, err)
	}
}

func TestAReaderOvertakenByRetentionIsTold(t *testing.T) {
	j := openFilled(t, 4000)
	if _, err := j.Read(t.Context(), 0, 256); err != nil {
		t.Fatal(err)
	}
	if err := j.stream.Purge(t.Context(), jetstream.WithPurgeSequence(3001)); err != nil {
		t.Fatal(err)
	}
	got, err := readOn(t, j, 256, 256) // what was read ahead may still be shown
	if gatecast.CodeOf(err) != gatecast.Gap || err == nil {
		t.Errorf("%d events, then %v, want a gap", len(got), err)
	}
	if got, err = readOn(t, j, 3000, 256); err != nil || len(got) != 1000 {
		t.Errorf("%d events behind the gap, %v, want 1000", len(got), err)
	}
	if h := j.Holes(); len(h) > 0 {
		t.Errorf("retention was taken for a loss: %+v", h)
	}
}

// TestARunThatIsNotAnsweredGivesUp has a server that falls silent.
func TestARunThatIsNotAnsweredGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRuns(func() (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }()
				peer := &peer{t: t, conn: theirs, in: bufio.NewReader(theirs)}
				peer.greet()
				for peer.read() != "" { // takes everything, says nothing
				}
			}()
			return ours, nil
		}, slog.New(slog.DiscardHandler))
		start := time.Now()
		if events := p.page(t.Context(), 0, 10_000, 256); len(events) > 0 {
			t.Errorf("%d events of a silent server", len(events))
		}
		if took := time.Since(start); took != readTimeout/2 {
			t.Errorf("gave up after %v", took)
		}
		if p.count != 0 {
			t.Errorf("%d runs are left", p.count)
		}
	})
}

// TestBothDecodersReadTheSame holds the one for the wire against the one for
// the library's maps, and changes a byte of what was stored.
func TestBothDecodersReadTheSame(t *testing.T) {
	var d decoder
	rapid.Check(t, func(t *rapid.T) {
		e := gatecast.Event{
			Seq: 1, ID: rapid.StringN(1, 40, 128).Draw(t, "id"), Kind: gatecast.Kind(rapid.Int().Draw(t, "kind")),
			Device: rapid.StringMatching("[a-c%]{0,2}").Draw(t, "device"), Source: rapid.String().Draw(t, "source"),
			Groups: rapid.SliceOf(rapid.Int64()).Draw(t, "groups"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			Stored: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "stored")).UTC(), Late: rapid.Bool().Draw(t, "late"),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.At = time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "at"), 0).UTC()
		}
		header := append(appendHeader(nil, &e), "\r\n"...)
		got := gatecast.Event{Seq: 1}
		err := d.decode(&got, header, e.Data)
		if diff := cmp.Diff(e, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-sent +read):\n%s", err, diff)
		}
		header[rapid.IntRange(0, len(header)-1).Draw(t, "place")] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		got = gatecast.Event{Seq: 1}
		if err := d.decode(&got, header, e.Data); err == nil && !cmp.Equal(e, got, cmpopts.EquateEmpty()) {
			t.Fatalf("changed headers are read as %+v", got)
		} else if err != nil && !errors.Is(err, errDamaged) {
			t.Fatal(err)
		}
	})
}

// TestReadingAllocatesLittle bounds what an event costs the garbage collector
// on its way from the disk: with us its ID, and a share of its page; the rest is
// the server's.
func TestReadingAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const pages, size, ours, whole = 20, 256, 1.1, 16
	e := gatecast.Event{ID: "id-of-an-event", Kind: gatecast.Record, Device: "SPS-0001", Source: "push", Groups: []int64{7, 8}, Data: payload, Stored: time.Now()}
	header := append(appendHeader(nil, &e), "\r\n"...)
	var d decoder
	got := testing.AllocsPerRun(1000, func() {
		var into gatecast.Event
		data := d.data(len(e.Data))
		copy(data, e.Data)
		if err := d.decode(&into, header, data); err != nil {
			t.Fatal(err)
		}
	})
	if got > ours {
		t.Errorf("%.2f allocations for decoding an event, at most %v are needed", got, ours)
	}
	j := openFilled(t, (pages+4)*size)
	var after gatecast.Seq
	got = testing.AllocsPerRun(pages, func() {
		events, err := j.Read(t.Context(), after, size)
		if err != nil || len(events) != size {
			t.Fatal(len(events), err)
		}
		after += size
	})
	if got/size > whole {
		t.Errorf("%.2f allocations for reading an event, at most %v are needed", got/size, float64(whole))
	}
	t.Logf("%.2f allocations for each event of a page of %d", got/size, size)
}
