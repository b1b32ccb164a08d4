package cursor

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAConsumersDrawerNeverChanges(t *testing.T) {
	for c, want := range map[gatecast.Consumer]int{
		gate:  29,
		named: 57,
		gatecast.AddressConsumer(gate.App, "192.0.2.7"): 17,
	} {
		if got := drawerOf(c); got != want {
			t.Errorf("%v lies in drawer %d, want %d: its cursor would no longer be found there", c, got, want)
		}
	}
	for d := range drawers {
		if n, ok := drawerNumber(drawerKey(d)); n != d || !ok {
			t.Errorf("%s is drawer %d, %v", drawerKey(d), n, ok)
		}
	}
	for _, key := range []string{"", "drawer.", "drawer.7", "drawer.64", "drawer.-1", "drawer.07x", "shelf.07"} {
		if n, ok := drawerNumber(key); ok {
			t.Errorf("%q is drawer %d", key, n)
		}
	}
}

// TestADrawersFormIsWhatOlderVersionsWrote holds the code to what lies on the
// disks of those who have updated.
func TestADrawersFormIsWhatOlderVersionsWrote(t *testing.T) {
	value := `{"v":1,"c":[` +
		`{"a":"00112233445566ff","n":"name:east","e":"e1","s":9007199254740993,"c":1767323045678,"f":1767323045000,"l":7,"u":1767323045678,"b":1767323044000},` +
		`{"a":"00112233445566ff","e":"e1","s":0,"f":1767323045000,"u":1767323045000,"b":1767323044000}]}`
	records, err := decode([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	want := gatecast.Cursor{
		Consumer: named, Epoch: "e1", Seq: 1<<53 + 1, Confirmed: start, Complete: start.Truncate(1e9), Lost: 7,
	}
	if diff := cmp.Diff(want, records[0].slot().cur); diff != "" {
		t.Error(diff)
	}
	again, out, err := encode(records, len(value))
	if string(again) != value || len(out) != 0 || err != nil {
		t.Errorf("written again: %s, without %v, %v", again, out, err)
	}
}

func TestADrawerThatIsTooFullKeepsWhatWasUsedLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record {
			return record{App: rapid.String().Draw(t, "app"), Used: rapid.Int64Range(0, 9).Draw(t, "used")}
		}), 0, 30).Draw(t, "records")
		limit := rapid.IntRange(20, 1500).Draw(t, "limit")
		value, out, err := encode(records, limit)
		if err != nil || len(value) > limit {
			t.Fatalf("%d bytes of %d, %v", len(value), limit, err)
		}
		in, err := decode(value)
		if err != nil || len(in)+len(out) != len(records) {
			t.Fatalf("%d in, %d out of %d, %v", len(in), len(out), len(records), err)
		}
		for _, r := range in {
			if len(out) > 0 && r.Used < out[0].Used {
				t.Fatalf("a record used at %d stays, one used at %d goes", r.Used, out[0].Used)
			}
		}
	})
}

func TestADamagedDrawerLeavesTheOthersAlone(t *testing.T) {
	other := gatecast.Consumer{App: "other"}
	for _, damage := range []string{"", "{", "[]", `{"c":[]}`, `{"v":1,"c":[7]}`, `{"v":1,"c":[{"s":-1}]}`} {
		m, log := &bucket.Mem{}, &logs{}
		s := OpenMem(Options{Epoch: "e1", Last: ends(100), Mem: m})
		s.table.begin(gate, 5, s.now())
		s.table.begin(other, 6, s.now())
		flush(t, s)
		key := drawerKey(drawerOf(gate))
		if _, err := m.Set(t.Context(), key, []byte(damage)); err != nil {
			t.Fatal(err)
		}
		s = OpenMem(Options{Epoch: "e1", Last: ends(100), Mem: m, Log: slog.New(slog.NewTextHandler(log, nil))})
		if len(s.Of(gate.App)) != 0 || seqOf(s, other) != 6 || !strings.Contains(log.String(), key) {
			t.Errorf("%q: %v, %v, log %s", damage, s.Of(gate.App), s.Of("other"), log)
		}
		s.table.begin(gate, 9, s.now())
		flush(t, s)
		if got := seqOf(OpenMem(Options{Epoch: "e1", Last: ends(100), Mem: m}), gate); got != 9 {
			t.Errorf("%q: the drawer holds %d after the repair, want 9", damage, got)
		}
	}
}

func TestWhatANewerVersionWroteIsNotOverwritten(t *testing.T) {
	m := &bucket.Mem{}
	s := OpenMem(Options{Epoch: "e1", Mem: m})
	s.table.begin(gate, 5, s.now())
	key := drawerKey(drawerOf(gate))
	if _, err := m.Put(t.Context(), key, []byte(`{"v":2,"c":"?"}`), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.commit(t.Context(), ^mask(0)); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("commit: %v", err)
	}
	if n := len(buckettest.Entries(t, m)); n != drawers || gatecast.CodeOf(s.Healthy()) != gatecast.Unavailable {
		t.Errorf("%d drawers are written beside it, health %v", n-1, s.Healthy())
	}
	s.watched(buckettest.Entry(t, m, key))
	if err := s.commit(t.Context(), ^mask(0)); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("commit after the watch told of it: %v", err)
	}
	if got := buckettest.Value(t, m, key); got != `{"v":2,"c":"?"}` || seqOf(s, gate) != 5 {
		t.Errorf("the drawer holds %s", got)
	}
	if err := newStore(m, s.opts).load(t.Context()); gatecast.CodeOf(err) != gatecast.Invalid || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a start says %v", err)
	}
}
