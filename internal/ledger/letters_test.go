package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

// letter is a dead letter with everything in it.
func letter(id string, seq gatecast.Seq) gatecast.DeadLetter {
	data := fmt.Appendf(nil, `{"seq":%d,"photo":"%s"}`, seq, strings.Repeat("Ä", 100))
	return gatecast.DeadLetter{
		Subscription: id, Seq: seq,
		Event: gatecast.Event{
			Seq: seq, ID: fmt.Sprint("e", seq), Kind: gatecast.Record, Device: "door", Groups: []int64{-1, 1 << 40},
			At: start.Truncate(time.Second), Stored: start, Source: "push", Data: data,
		},
		First: start, Tries: 12, SetAside: start.Add(time.Hour),
		Last: gatecast.Exchange{
			Attempt: gatecast.Attempt{
				Time: start.Add(time.Minute), Seq: seq, Events: 1, Message: fmt.Sprint("e", seq), Try: 12, Status: 422,
				Took: 1234567, Outcome: gatecast.Refused, Error: "the endpoint answered 422", Answer: []byte("no\n\x00\xff"), Replay: true,
			},
			URL: "https://example.com/hook", Headers: map[string]string{"webhook-id": "x", "a": "b"},
			Body:          []byte(`{"eventType":30000,"data":` + string(data) + `}`),
			AnswerHeaders: map[string]string{"server": "nginx"},
		},
	}
}

func setAside(t *testing.T, s *Store, d gatecast.DeadLetter) {
	t.Helper()
	if err := s.SetAside(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, s *Store, id string, after gatecast.Seq, limit int) []gatecast.DeadLetter {
	t.Helper()
	all, err := s.DeadLetters(t.Context(), id, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// brief is a dead letter as it is listed.
func brief(d gatecast.DeadLetter) gatecast.DeadLetter {
	d.Event.Data, d.Last.Body, d.Last.Answer = nil, nil, nil
	return d
}

func seqsOf(all []gatecast.DeadLetter) string {
	var s []string
	for _, d := range all {
		s = append(s, fmt.Sprint(d.Seq))
	}
	return strings.Join(s, " ")
}

func testDeadLetter(t *testing.T, c cluster) {
	s := c.open(t, alone) // SetAside needs no Run
	want := letter(gate, 1<<53+1)
	setAside(t, s, want)
	none := gatecast.DeadLetter{Subscription: gate, Seq: 7, SetAside: start}
	setAside(t, s, none)
	for _, s := range []*Store{s, c.open(t, alone)} {
		for _, want := range []gatecast.DeadLetter{want, none} {
			got, err := s.DeadLetter(t.Context(), gate, want.Seq)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v, %s", err, diff)
			}
		}
		if n := s.Dead(gate); n != 2 {
			t.Errorf("%d dead letters, want 2", n)
		}
		for _, other := range []string{north, gate} {
			if _, err := s.DeadLetter(t.Context(), other, 1); gatecast.CodeOf(err) != gatecast.NotFound {
				t.Errorf("a letter that does not exist: %v", err)
			}
		}
	}
}

func testReplaced(t *testing.T, c cluster) {
	s := c.open(t, alone)
	setAside(t, s, letter(gate, 1))
	want := letter(gate, 1)
	want.Tries = 13
	setAside(t, s, want)
	for _, s := range []*Store{s, c.open(t, alone)} {
		if diff := cmp.Diff([]gatecast.DeadLetter{brief(want)}, list(t, s, gate, 0, 10)); diff != "" || s.Dead(gate) != 1 {
			t.Errorf("%d dead letters: %s", s.Dead(gate), diff)
		}
	}
}

func testPages(t *testing.T, c cluster) {
	s := c.open(t, alone)
	for _, seq := range []gatecast.Seq{10, 9, 100, 2, 1 << 50} {
		setAside(t, s, letter(gate, seq))
	}
	setAside(t, s, letter(north, 11))
	for _, s := range []*Store{s, c.open(t, alone)} {
		for _, q := range []struct {
			after gatecast.Seq
			limit int
			want  string
		}{
			{0, 10, "2 9 10 100 1125899906842624"},
			{0, 2, "2 9"},
			{9, 2, "10 100"},
			{8, 1, "9"},
			{1 << 50, 1, ""},
			{1 << 60, 1, ""},
			{0, 0, ""},
		} {
			if got := seqsOf(list(t, s, gate, q.after, q.limit)); got != q.want {
				t.Errorf("after %d, limit %d: %s, want %s", q.after, q.limit, got, q.want)
			}
		}
	}
}

func testDiscard(t *testing.T, c cluster) {
	s := c.open(t, alone)
	for seq := range gatecast.Seq(3) {
		setAside(t, s, letter(gate, seq))
	}
	if err := s.Discard(t.Context(), gate, 1); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, c.open(t, alone)} {
		if err := s.Discard(t.Context(), gate, 1); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("discarded again: %v", err)
		}
		if got := seqsOf(list(t, s, gate, 0, 10)); got != "2" || s.Dead(gate) != 2 { // 0 is not after 0
			t.Errorf("%d are left: %s", s.Dead(gate), got)
		}
	}
	setAside(t, s, letter(gate, 1))
	if got := seqsOf(list(t, s, gate, 0, 10)); got != "1 2" {
		t.Errorf("set aside again: %s", got)
	}
}

func testMaxDead(t *testing.T, c cluster) {
	log := &logs{}
	o := alone
	o.MaxDead, o.Log = 3, log.logger()
	s := c.open(t, o)
	for _, seq := range []gatecast.Seq{50, 10, 40, 30, 20, 5} {
		setAside(t, s, letter(gate, seq))
	}
	setAside(t, s, letter(north, 1))
	// 10 made room for 30, 20 took the place of 30, as the newest it stayed, and 5 that of 20.
	want := "5 40 50"
	for _, s := range []*Store{s, c.open(t, o)} {
		if got := seqsOf(list(t, s, gate, 0, 10)); got != want || s.Dead(gate) != 3 || s.Dead(north) != 1 {
			t.Errorf("%d dead letters are left: %s, want %s", s.Dead(gate), got, want)
		}
	}
	if n := strings.Count(log.String(), "too many dead letters"); n != 1 {
		t.Errorf("the log says it %d times within a minute: %s", n, log)
	}
	if n := counted(t, s, "gatecast_ledger_dead_letters_dropped_total"); n != 3 {
		t.Errorf("%v dropped, want 3", n)
	}
	o.MaxDead = 1
	s = c.open(t, o)
	setAside(t, s, letter(gate, 60))
	if got := seqsOf(list(t, s, gate, 0, 10)); got != "60" {
		t.Errorf("under a lower limit are left: %s", got)
	}
}

func testInvalid(t *testing.T, c cluster) {
	log := &logs{}
	o := alone
	o.Log = log.logger()
	s := c.open(t, o)
	run(t, s)
	for _, id := range []string{"", "sub_", "sub_00112233445566fg", "x.>", "sub_00112233445566ff.1"} {
		s.Save(id, at(1))
		wantNone(t, s, id)
		if err := s.Begin(t.Context(), id, at(1)); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("begin %q: %v", id, err)
		}
		if err := s.SetAside(t.Context(), letter(id, 1)); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("set aside of %q: %v", id, err)
		}
		if _, err := s.DeadLetter(t.Context(), id, 1); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("dead letter of %q: %v", id, err)
		}
		if err := s.Discard(t.Context(), id, 1); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("discard of %q: %v", id, err)
		}
	}
	if n := strings.Count(log.String(), "no subscription"); n != 5 {
		t.Errorf("the log tells of %d dropped saves, want 5: %s", n, log)
	}
}
