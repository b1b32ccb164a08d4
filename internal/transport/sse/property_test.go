package sse

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// diary is what a reader has received over all its connections.
type diary struct {
	seqs   []gatecast.Seq
	gaps   [][2]gatecast.Seq
	lastID string
}

// read takes in what a connection brings until enough says that it is enough
// or the last event is known to be passed.
func (d *diary) read(t fataler, r *reader, last gatecast.Seq, enough func(lines int) bool) {
	for lines := 0; ; lines++ {
		if id, _ := strconv.ParseUint(r.lastID, 10, 64); last > 0 && gatecast.Seq(id) >= last || enough(lines) {
			return
		}
		m, err := r.step()
		if err != nil {
			t.Fatalf("after %s: %v", r.lastID, err)
		}
		if r.lastID != "" {
			d.lastID = r.lastID
		}
		if m != nil {
			d.note(t, m)
		}
	}
}

func (d *diary) note(t fataler, m *message) {
	data, ok := value(t, m.Data).(map[string]any)
	if !ok {
		t.Fatalf("%+v", m)
	}
	number := func(name string) gatecast.Seq {
		n, err := strconv.ParseUint(fmt.Sprint(data[name]), 10, 64)
		if err != nil {
			t.Fatalf("%s in %+v: %v", name, m, err)
		}
		return gatecast.Seq(n)
	}
	switch m.Type {
	case "gap":
		d.gaps = append(d.gaps, [2]gatecast.Seq{number("from"), number("to")})
	case "record", "alarm":
		if m.ID != fmt.Sprint(number("seq")) {
			t.Fatalf("the id and the number of %+v differ", m)
		}
		d.seqs = append(d.seqs, number("seq"))
	}
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// want returns the positions of the events that a filter lets through.
func want(events []gatecast.Event, f gatecast.Filter) []gatecast.Seq {
	var seqs []gatecast.Seq
	for i := range events {
		if f.Match(&events[i]) {
			seqs = append(seqs, gatecast.Seq(i+1))
		}
	}
	return seqs
}

// drawEvents makes events that differ in what filters look at, some of them
// written over several lines.
func drawEvents(t *rapid.T, most int) []gatecast.Event {
	n := rapid.IntRange(1, most).Draw(t, "events")
	events := make([]gatecast.Event, n)
	for i := range events {
		events[i] = gatecast.Event{
			Kind:   gatecast.Kinds()[i*7%5%2],
			Device: "D" + strconv.Itoa(i*5%3),
			Groups: []int64{int64(i % 4)},
			Data:   fmt.Appendf(nil, "{\"i\":%d,%s\"x\":\"%s\"}", i, strings.Repeat("\r\n", i%3), strings.Repeat("y", i*31%200)),
		}
	}
	return events
}

func drawFilter(t *rapid.T) (f gatecast.Filter, query url.Values) {
	query = url.Values{}
	if k := rapid.IntRange(0, 2).Draw(t, "kind"); k > 0 {
		f.Kinds = gatecast.Kinds()[k-1 : k]
		query.Set("kinds", f.Kinds[0].String())
	}
	if rapid.Bool().Draw(t, "by device") {
		f.Devices = []string{"D1"}
		query.Set("sn", "D1")
	}
	if rapid.Bool().Draw(t, "by group") {
		f.Groups = []int64{1, 3}
		query["group"] = []string{"1", "3"}
	}
	return f, query
}

// TestCutAnywhereAReaderThatComesBackHasEverythingOnce cuts connections after
// any number of lines while events are being published.
func TestCutAnywhereAReaderThatComesBackHasEverythingOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, plan{ring: 16, opts: Options{Heartbeat: beats, Readers: 2}})
		defer s.stop()
		f, query := drawFilter(rt)
		query.Set("since", "earliest")
		events := drawEvents(rt, 300)
		early := rapid.IntRange(0, len(events)).Draw(rt, "early")
		cuts := rapid.SliceOfN(rapid.IntRange(0, 400), 0, 8).Draw(rt, "cuts")
		if early > 0 {
			s.awaitHead(s.publish(events[:early]...))
		}
		var work sync.WaitGroup
		work.Go(func() {
			for part := range slices.Chunk(events[early:], 7) {
				s.publish(part...)
			}
		})
		defer work.Wait()
		d := diary{}
		open := func() *reader {
			if d.lastID == "" {
				return s.read(query.Encode())
			}
			return s.read(query.Encode(), "Last-Event-ID: "+d.lastID)
		}
		last := gatecast.Seq(len(events))
		for _, n := range cuts {
			r := open()
			d.read(rt, r, last, func(lines int) bool { return lines >= n })
			r.cut()
		}
		r := open()
		d.read(rt, r, last, func(int) bool { return false })
		r.cut()
		if diff := cmp.Diff(want(events, f), d.seqs); diff != "" || len(d.gaps) > 0 {
			rt.Fatalf("gaps %v, events %s", d.gaps, diff)
		}
	})
}

// TestWhatRetentionTakesIsExactlyWhatTheGapsTell has a reader come back to a
// journal that has lost its oldest events meanwhile.
func TestWhatRetentionTakesIsExactlyWhatTheGapsTell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, plan{ring: 16, opts: Options{Heartbeat: beats}})
		defer s.stop()
		events := drawEvents(rt, 300)
		last := s.publish(events...)
		s.awaitHead(last)
		d := diary{lastID: "0"}
		for _, upTo := range rapid.SliceOfN(rapid.IntRange(0, len(events)), 0, 5).Draw(rt, "expire") {
			n := rapid.IntRange(0, 300).Draw(rt, "lines")
			r := s.read("", "Last-Event-ID: "+d.lastID)
			s.journal.Expire(gatecast.Seq(upTo))
			d.read(rt, r, last, func(lines int) bool { return lines >= n })
			r.cut()
		}
		r := s.read("", "Last-Event-ID: "+d.lastID)
		d.read(rt, r, last, func(int) bool { return false })
		r.cut()
		got := slices.Clone(d.seqs)
		for _, g := range d.gaps {
			for seq := g[0] + 1; seq <= g[1]; seq++ {
				got = append(got, seq)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want(events, gatecast.Filter{}), got); diff != "" {
			rt.Fatalf("gaps %v: %s", d.gaps, diff)
		}
	})
}

// TestUnderFullLoadReadersThatKeepComingBackMissNothing has several readers be
// cut all the time while events are published as fast as they go.
func TestUnderFullLoadReadersThatKeepComingBackMissNothing(t *testing.T) {
	const total = 3000
	for _, f := range []front{{}, {http2: true}} {
		s := newSite(t, plan{front: f, ring: 256, opts: Options{Heartbeat: beats}})
		var work sync.WaitGroup
		for i := range 4 {
			work.Go(func() {
				d := diary{lastID: "0"}
				for round := 0; d.lastID != strconv.Itoa(total); round++ {
					r := s.read("", "Last-Event-ID: "+d.lastID)
					d.read(t, r, total, func(lines int) bool { return lines > 300*(i+1)+round })
					r.cut()
				}
				if diff := cmp.Diff(want(make([]gatecast.Event, total), gatecast.Filter{}), d.seqs); diff != "" || len(d.gaps) > 0 {
					t.Errorf("reader %d: gaps %v, events %s", i, d.gaps, diff)
				}
			})
		}
		for range total / 20 {
			s.publish(records(20, 100)...)
		}
		work.Wait()
		s.stop()
	}
}
