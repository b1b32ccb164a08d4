package ledger

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestASubscriptionsDrawerNeverChanges(t *testing.T) {
	for id, want := range map[string]int{gate: 20, north: 17, south: 24} {
		if got := drawerOf(id); got != want {
			t.Errorf("%s lies in drawer %d, want %d: its progress would no longer be found there", id, got, want)
		}
	}
	for d := range drawers {
		if n, ok := drawerNumber(drawerKey(d)); n != d || !ok {
			t.Errorf("%s is drawer %d, %v", drawerKey(d), n, ok)
		}
	}
	for _, key := range []string{"", "drawer.", "drawer.7", "drawer.64", "drawer.-1", "drawer.07x", "lease"} {
		if n, ok := drawerNumber(key); ok {
			t.Errorf("%q is drawer %d", key, n)
		}
	}
}

// TestADrawersFormIsWhatOlderVersionsWrote holds the code to what lies on the
// disks of those who have updated.
func TestADrawersFormIsWhatOlderVersionsWrote(t *testing.T) {
	value := `{"v":1,"w":"me","s":[` +
		`{"i":"sub_0000000000000001","e":"e1","h":9007199254740993,"p":"AQEB/f////8fgYCAgIDg/w8=",` +
		`"d":18446744073709551615,"f":7,"l":8,"s":"degraded","t":1767323045678,"r":"refused",` +
		`"y":{"i":"r1","f":5,"t":1125899906842624,"p":900,"n":70,"s":1767323045678,"e":1767326645678,"c":true},"a":"Bv0G"},` +
		`{"i":"sub_0000000000000002","e":"","h":0}],"o":["sub_00112233445566ff"]}`
	d, err := decodeDrawer([]byte(value))
	if err != nil || !cmp.Equal(d.Own, []string{gate}) || d.Writer != "me" {
		t.Fatalf("%+v, %v", d, err)
	}
	want := everything()
	want.Reason = "refused"
	r, err := parse(d.Records[0])
	if diff := cmp.Diff(want, r.p); diff != "" || r.id != north || err != nil {
		t.Errorf("%s, %v, %s", r.id, err, diff)
	}
	again := drawerRecord{Writer: "me", Own: d.Own}
	for _, raw := range d.Records {
		r, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		raw, cut, err := encodeRecord(r.id, r.p, limit)
		if cut || err != nil {
			t.Fatal(cut, err)
		}
		again.Records = append(again.Records, raw)
	}
	if got, err := again.encode(); string(got) != value || err != nil {
		t.Errorf("written again: %s, %v", got, err)
	}
}

func drawList(t *rapid.T, label string) []gatecast.Seq {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gatecast.Seq {
		return gatecast.Seq(rapid.OneOf(rapid.Uint64Range(0, 300), rapid.Uint64()).Draw(t, "seq"))
	}), 0, 50).Draw(t, label)
}

// sorted is what a list comes back as.
func sorted(list []gatecast.Seq) []gatecast.Seq {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func TestAnyProgressComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := gatecast.Progress{
			Epoch: rapid.String().Draw(t, "epoch"), Head: gatecast.Seq(rapid.Uint64().Draw(t, "head")), Pending: drawList(t, "pending"),
			Delivered: rapid.Uint64().Draw(t, "delivered"), Status: gatecast.SubscriptionPaused,
			Reason: rapid.String().Draw(t, "reason"), Again: drawList(t, "again"),
		}
		raw, cut, err := encodeRecord(gate, p, limit)
		if cut || err != nil {
			t.Fatal(cut, err)
		}
		r, err := parse(raw)
		p.Pending, p.Again = sorted(p.Pending), sorted(p.Again)
		if diff := cmp.Diff(p, r.p); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

func TestTextThatIsNoUTF8IsStoredAllTheSame(t *testing.T) {
	raw, _, err := encodeRecord(gate, gatecast.Progress{Reason: "a\xffb"}, limit)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := parse(raw); err != nil || r.p.Reason != "a\uFFFDb" {
		t.Errorf("%q, %v", r.p.Reason, err)
	}
	d := letter(gate, 1)
	d.Last.Error, d.Last.Headers = "a\xffb", map[string]string{"x": "\xff"}
	value, cut, err := encodeLetter(d, limit)
	if cut || err != nil {
		t.Fatal(cut, err)
	}
	if d, err := decodeLetter(value); err != nil || d.Last.Error != "a\uFFFDb" || d.Last.Headers["x"] != "\uFFFD" {
		t.Errorf("%q, %v, %v", d.Last.Error, d.Last.Headers, err)
	}
}

func TestTenThousandNeighboursTakeLittle(t *testing.T) {
	p := at(1 << 40)
	for i := range gatecast.Seq(10_000) {
		p.Pending = append(p.Pending, 1<<39+i*100)
	}
	raw, _, err := encodeRecord(gate, p, limit)
	if err != nil || len(raw) > 14_000 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

func TestADamagedDrawerLeavesTheOthersAlone(t *testing.T) {
	neighbour := subscriptionIn(drawerOf(gate))
	for damage, left := range map[string]bool{ // whether the neighbour is
		"": false, "{": false, "[]": false, `{"s":[]}`: false, `{"v":0,"s":[]}`: false, `{"v":1,"s":7}`: false, `{"v":1,"o":["x.>"]}`: false,
		`{"v":1,"s":[7,{"i":"` + neighbour + `","e":"e1","h":3}]}`:                                     true,
		`{"v":1,"s":[{"i":"` + gate + `","p":"gA"},{"i":"` + neighbour + `","e":"e1","h":3}]}`:         true, // a varint that does not end
		`{"v":1,"s":[{"i":"` + gate + `","p":"AQA="},{"i":"` + neighbour + `","e":"e1","h":3}]}`:       true, // the same Seq twice
		`{"v":1,"s":[{"i":"` + neighbour + `","e":"e1","h":3}],"o":["` + gate + `"]}`:                  true, // there is no such key
		`{"v":1,"s":[{"i":"` + north + `","e":"e1","h":99},{"i":"` + neighbour + `","e":"e1","h":3}]}`: true, // lies elsewhere
		`{"v":1,"s":[{"i":"` + neighbour + `","e":"e1","h":3}],"o":["sub_00112233445566ff"]}`:          true,
	} {
		m, log := &Mem{}, &logs{}
		o := alone
		o.Mem, o.Log = m, log.logger()
		s := OpenMem(o)
		for _, id := range []string{gate, north, neighbour} {
			s.Save(id, at(3))
		}
		if err := s.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		key := drawerKey(drawerOf(gate))
		if _, err := m.books.Set(t.Context(), key, []byte(damage)); err != nil {
			t.Fatal(err)
		}
		s = OpenMem(o)
		wantProgress(t, s, north, at(3))
		_, there := s.Progress(neighbour)
		if _, damaged := s.Progress(gate); there != left || damaged || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%q: the neighbour is there: %v, log %s", damage, there, log)
		}
		s.Save(gate, at(9))
		if err := s.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantProgress(t, OpenMem(o), gate, at(9))
	}
}

func TestWhatANewerVersionWroteIsNotOverwritten(t *testing.T) {
	m, log := &Mem{}, &logs{}
	o := alone
	o.Mem, o.Log = m, log.logger()
	s := OpenMem(o)
	s.Save(gate, at(5))
	s.Save(north, at(5))
	key := drawerKey(drawerOf(gate))
	if _, err := m.books.Put(t.Context(), key, []byte(`{"v":2,"s":"?"}`), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.commit(t.Context()); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("commit: %v", err)
		}
	}
	if got := buckettest.Value(t, &m.books, key); got != `{"v":2,"s":"?"}` || headOf(s, gate) != 5 || s.Healthy() == nil {
		t.Errorf("the drawer holds %s, health %v", got, s.Healthy())
	}
	wantProgress(t, s, north, at(5))
	if _, err := m.books.Get(t.Context(), drawerKey(drawerOf(north))); err != nil {
		t.Error("another drawer was not written")
	}
	if err := newStore(&m.books, &m.letters, o.withDefaults()).load(t.Context()); gatecast.CodeOf(err) != gatecast.Invalid || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a start says %v", err)
	}
}

func TestADeadLettersFormIsWhatOlderVersionsWrote(t *testing.T) {
	d := letter(gate, 7)
	d.Event.Data, d.Last.Body = []byte(`{"a":1}`), []byte(`{"data":{"a":1}}`)
	value := `{"v":1,"f":1767323045678,"n":12,"t":1767326645678,` +
		`"e":{"q":7,"i":"e7","k":30000,"d":"door","g":[-1,1099511627776],"a":1767323045000,"s":1767323045678,"o":"push"},` +
		`"x":{"t":1767323105678,"q":7,"n":1,"i":"e7","y":12,"s":422,"d":1234567,"o":"refused","e":"the endpoint answered 422","r":true,` +
		`"u":"https://example.com/hook","h":{"a":"b","webhook-id":"x"},"a":{"server":"nginx"}},"ld":7,"lb":8,"la":1,"lr":5,"r":true}` + "\n" +
		`{"a":1}` + `{"data":` + `}` + "no\n\x00\xff"
	got, cut, err := encodeLetter(d, limit)
	if string(got) != value || cut || err != nil {
		t.Errorf("%s, %v, %v", got, cut, err)
	}
	again, err := decodeLetter([]byte(value))
	again.Subscription, again.Seq = d.Subscription, d.Seq
	if diff := cmp.Diff(d, again); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestADeadLetterKeepsWhatHasRoom(t *testing.T) {
	d := letter(gate, 1)
	d.Event.Data = bytes.Repeat([]byte("x"), 1000)
	d.Last.Body, d.Last.AnswerHeaders = bytes.Repeat([]byte("y"), 1000), map[string]string{"long": strings.Repeat("z", 1000)}
	last := 5000
	for limit := 4000; limit >= 200; limit -= 50 {
		value, cut, err := encodeLetter(d, limit)
		if gatecast.CodeOf(err) == gatecast.TooLarge && limit < 250 {
			continue
		}
		if err != nil || len(value) > limit || len(value) > last {
			t.Fatalf("limit %d: %d bytes, %v", limit, len(value), err)
		}
		last = len(value)
		got, err := decodeLetter(value)
		switch {
		case err != nil:
			t.Fatal(err)
		case !cut && !cmp.Equal(got.Last, d.Last), cut && cmp.Equal(got.Last, d.Last):
			t.Errorf("limit %d: cut is %v", limit, cut)
		case limit > 1300 && len(got.Event.Data) != 1000:
			t.Errorf("limit %d: the event's data is left out", limit)
		case got.Event.ID != "e1" || got.Tries != 12:
			t.Errorf("limit %d: %+v", limit, got)
		}
	}
}

func TestADamagedDeadLetterIsListedAndCanBeDiscarded(t *testing.T) {
	for _, damage := range []string{"", "{", "{}\n", `{"v":2}` + "\n", `{"v":1,"ld":3}` + "\nab", `{"v":1,"ld":1}` + "\nab", `{"v":1,"ld":-1}` + "\n"} {
		m, log := &Mem{}, &logs{}
		o := alone
		o.Mem, o.Log = m, log.logger()
		if _, err := m.letters.Set(t.Context(), letterKey(gate, 5), []byte(damage)); err != nil {
			t.Fatal(err)
		}
		s := OpenMem(o)
		setAside(t, s, letter(gate, 6))
		all := list(t, s, gate, 0, 10)
		if len(all) != 2 || all[0].Seq != 5 || all[0].Subscription != gate || all[0].Last.Error == "" || all[1].Tries != 12 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%q: %+v", damage, all)
		}
		if err := s.Discard(t.Context(), gate, 5); err != nil || s.Dead(gate) != 1 {
			t.Errorf("%q: %v, %d are left", damage, err, s.Dead(gate))
		}
	}
}

func TestWhatIsNoDeadLetterIsLeftAlone(t *testing.T) {
	m := &Mem{}
	for _, key := range []string{"x", gate, gate + ".", gate + ".x", gate + ".01", gate + ".-1", gate + ".1.2", "sub_x.1", gate + ".18446744073709551616"} {
		if _, err := m.letters.Set(t.Context(), key, []byte("?")); err != nil {
			t.Fatal(err)
		}
	}
	o := alone
	o.Mem = m
	if s := OpenMem(o); s.index.size() != 0 {
		t.Errorf("%d dead letters", s.index.size())
	}
}

// FuzzDrawer reads what could lie in a bucket. What can be read, can be written
// and read again.
func FuzzDrawer(f *testing.F) {
	for _, p := range []gatecast.Progress{{}, everything(), at(7, 1, 2, 3)} {
		raw, _, err := encodeRecord(gate, p, limit)
		if err != nil {
			f.Fatal(err)
		}
		value, err := drawerRecord{Writer: "w", Own: []string{north}}.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decodeDrawer(b); err == nil {
			if _, err := d.encode(); err != nil {
				t.Fatal(err)
			}
		}
		r, err := parse(b)
		if err != nil {
			return
		}
		raw, _, err := encodeRecord(r.id, r.p, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(raw)
		if diff := cmp.Diff(r.p, again.p); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		for _, list := range [][]gatecast.Seq{clamp(r.p, 5).Pending, shorten(r.p).Pending} {
			if !slices.IsSorted(list) || len(list) > 6 {
				t.Fatal(list)
			}
		}
	})
}

// FuzzLetter is the same for dead letters.
func FuzzLetter(f *testing.F) {
	for _, d := range []gatecast.DeadLetter{{}, letter(gate, 5)} {
		value, _, err := encodeLetter(d, limit)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeLetter(b)
		if err != nil {
			return
		}
		value, _, err := encodeLetter(d, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeLetter(value)
		if diff := cmp.Diff(d, again); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

var errFault = errors.New("it fails")
