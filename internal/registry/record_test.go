package registry

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/google/go-cmp/cmp"
)

func TestAnAppsCatchUpSurvivesTheStore(t *testing.T) {
	st, seal := &bucket.Mem{}, newSealer(newKey())
	node := func() *Registry {
		r := openMem(st, seal, Options{})
		t.Cleanup(r.Close)
		return r
	}
	want := gatecast.CatchUp{Window: gatecast.LookbackAll, First: gatecast.FirstEarliest, Cursors: gatecast.CursorByAddress}
	first := node()
	a, err := first.CreateApp(t.Context(), gatecast.AppSpec{Name: "gate", CatchUp: want})
	if err != nil || a.CatchUp != want {
		t.Fatalf("created with %+v, %v", a.CatchUp, err)
	}
	if got, _ := node().App(a.Key); got.CatchUp != want {
		t.Errorf("another node has %+v", got.CatchUp)
	}
	want.Window = gatecast.LookbackOff
	if a, err = first.UpdateApp(t.Context(), a.Key, gatecast.AppPatch{Lookback: &want.Window}); err != nil || a.CatchUp != want {
		t.Errorf("after a change of the lookback alone: %+v, %v", a.CatchUp, err)
	}
	if got, _ := node().App(a.Key); got.CatchUp != want {
		t.Errorf("another node has %+v", got.CatchUp)
	}
}

func TestARecordFromBeforeCatchUpHasTheDefaults(t *testing.T) {
	seal := newSealer(newKey())
	for name, fields := range map[string][]string{
		"none of the fields": {"catch_up", "first_connection", "cursors"},
		"one field missing":  {"first_connection"},
	} {
		value := record(t, seal, func(rec map[string]any) {
			for _, f := range fields {
				delete(rec, f)
			}
		})
		a, err := decodeApp(value, seal)
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(gatecast.CatchUp{}.WithDefaults(), a.CatchUp); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestARecordWithACatchUpThatIsNotKnownIsNotRead(t *testing.T) {
	seal := newSealer(newKey())
	for field, text := range map[string]string{
		"catch_up": "1 day", "first_connection": "middle", "cursors": "port",
	} {
		value := record(t, seal, func(rec map[string]any) { rec[field] = text })
		if _, err := decodeApp(value, seal); err == nil || !strings.Contains(err.Error(), field) && !strings.Contains(err.Error(), text) {
			t.Errorf("%s %q: error %v", field, text, err)
		}
	}
}

// record is a stored app with the default catch-up, after change.
func record(t *testing.T, seal *sealer, change func(map[string]any)) []byte {
	t.Helper()
	value, err := encodeApp(&gatecast.App{
		Key: "0123456789abcdef", Name: "gate", Window: gatecast.DefaultWindow, CatchUp: gatecast.CatchUp{}.WithDefaults(),
	}, seal)
	if err != nil {
		t.Fatal(err)
	}
	var rec map[string]any
	if err := json.Unmarshal(value, &rec); err != nil {
		t.Fatal(err)
	}
	change(rec)
	if value, err = json.Marshal(rec); err != nil {
		t.Fatal(err)
	}
	return value
}
