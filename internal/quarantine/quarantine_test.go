package quarantine

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only the test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "q")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t testing.TB, s *Store) []gatecast.Quarantined {
	t.Helper()
	all, err := s.List(t.Context(), "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bodies returns what is kept, newest first.
func bodies(t testing.TB, s *Store) string {
	t.Helper()
	var all []string
	for _, q := range list(t, s) {
		full, err := s.Get(t.Context(), q.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(full.Body))
	}
	return strings.Join(all, " ")
}

func TestWhatIsPutCanBeSeenAlsoAfterARestart(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	body := "\xff\x00\n{"
	s := open(t, Options{Dir: dir, MaxBody: 10, Now: c.now})
	s.Put("office", "no JSON", []byte(body))
	s.Put("yard", "too\nlong\xff", []byte("0123456789abc"))
	for range 2 {
		got := list(t, s)
		if len(got) != 2 || got[0].Source != "yard" || got[0].Size != 13 || !got[0].Truncated || got[0].Reason != "too\nlong" ||
			got[1].Size != 4 || got[1].Truncated || got[1].Count != 1 || !got[1].At.Equal(c.Time) || got[1].Body != nil {
			t.Fatalf("%+v", got)
		}
		if got := bodies(t, s); got != "0123456789 "+body {
			t.Errorf("bodies %q", got)
		}
		s = open(t, Options{Dir: dir, MaxBody: 10, Now: c.now})
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestTheSameBodyOfASourceCountsOnceAMinute(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	s := open(t, Options{Dir: dir, Now: c.now})
	for range 5 {
		s.Put("office", "no JSON", []byte("same"))
		c.Time = c.Add(10 * time.Second)
	}
	s.Put("yard", "no JSON", []byte("same"))
	c.Time = c.Add(10 * time.Second) // the first is a minute old
	s.Put("office", "no JSON", []byte("same"))
	got := list(t, s)
	if len(got) != 3 || got[0].Count != 1 || got[1].Source != "yard" || got[2].Count != 5 {
		t.Errorf("%+v", got)
	}
	full, err := s.Get(t.Context(), got[2].ID)
	if err != nil || full.Count != 5 {
		t.Errorf("%+v, %v", full, err)
	}
	if got := list(t, open(t, Options{Dir: dir, Now: c.now})); got[2].Count != 4 {
		t.Errorf("after a restart %d, want what was last written", got[2].Count)
	}
	if testutil.ToFloat64(s.meters.repeated) != 4 || testutil.ToFloat64(s.meters.kept) != 3 {
		t.Error("counted wrongly")
	}
}

// size returns what the files in a directory take.
func size(t testing.TB, dir string) (n int64, files int) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n, len(all)
}

func TestItNeverGrowsBeyondItsBoundsAndTheOldestGoesFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		c := newClock()
		o := Options{Dir: dir, MaxItems: rapid.IntRange(1, 5).Draw(rt, "items"), MaxBytes: maxHead + 100, MaxBody: 100, Now: c.now}
		s := open(t, o)
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				n++
				c.Time = c.Add(time.Duration(rapid.IntRange(-50, 100).Draw(rt, "seconds")) * time.Second)
				s.Put("office", strings.Repeat("\x01", rapid.IntRange(0, 600).Draw(rt, "reason")),
					[]byte(fmt.Sprintf("%d%s", n, strings.Repeat("x", rapid.IntRange(0, 150).Draw(rt, "size")))))
				if got := bodies(t, s); !strings.HasPrefix(got, fmt.Sprint(n)) {
					rt.Fatalf("the newest is not the first: %q", got)
				}
			},
			"restart": func(*rapid.T) { s = open(t, o) },
			"drop": func(rt *rapid.T) {
				if all := list(t, s); len(all) > 0 {
					if err := s.Drop(t.Context(), all[len(all)-1].ID); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"": func(rt *rapid.T) {
				bytes, files := size(t, dir)
				if files > o.MaxItems || bytes > o.MaxBytes || files != len(list(t, s)) || bytes != s.bytes {
					rt.Fatalf("%d files, %d bytes; %d known, %d counted", files, bytes, len(s.items), s.bytes)
				}
			},
		})
	})
}

func TestPagesFollowEachOther(t *testing.T) {
	s := open(t, Options{})
	for n := range 7 {
		s.Put("office", "no JSON", fmt.Append(nil, n))
	}
	before, got := "", ""
	for range 4 {
		page, err := s.List(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range page {
			full, err := s.Get(t.Context(), q.ID)
			if err != nil {
				t.Fatal(err)
			}
			got, before = got+string(full.Body), q.ID
			if q.ID == list(t, s)[0].ID || string(full.Body) == "4" { // a page goes on behind one that is gone
				if err := s.Drop(t.Context(), q.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if got != "6543210" {
		t.Errorf("got %s", got)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := open(t, Options{})
	s.Put("office", "no JSON", []byte("x"))
	id := list(t, s)[0].ID
	if err := os.Remove(s.file(id)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{id, "", "../../etc/passwd", "q0"} {
		if _, err := s.Get(t.Context(), id); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := s.Drop(t.Context(), id); err != nil {
		t.Errorf("what is gone cannot be dropped: %v", err)
	}
	if err := s.Drop(t.Context(), id); gatecast.CodeOf(err) != gatecast.NotFound {
		t.Errorf("%v", err)
	}
}

func TestDamageCostsTheFileItIsIn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	for n := range 4 {
		s.Put("office", "no JSON", fmt.Append(nil, "body", n))
	}
	all := list(t, s)
	for _, err := range []error{
		os.Truncate(s.file(all[0].ID), 0), os.Truncate(s.file(all[1].ID), 130), os.WriteFile(s.file(all[2].ID)+temporary, nil, 0o600),
		os.WriteFile(filepath.Join(dir, "note.txt"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := bodies(t, open(t, Options{Dir: dir})); got != "body1 body0" {
		t.Errorf("left: %q", got)
	}
	if _, files := size(t, dir); files != 3 {
		t.Errorf("%d files, want the two messages and what is not ours", files)
	}
}

func TestAnOutageIsLoggedOnceAndFailsNobody(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "q")
	s := open(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no directory can be made here
		t.Fatal(err)
	}
	for n := range 3 {
		s.Put("office", "no JSON", fmt.Append(nil, n))
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.Put("office", "no JSON", []byte("again"))
	if got := bodies(t, s); got != "again" {
		t.Errorf("kept %q", got)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "can be written again") {
		t.Errorf("log: %s", &log)
	}
	if got := testutil.ToFloat64(s.meters.disk); got != 3 {
		t.Errorf("%v counted as lost", got)
	}
}

func TestADiskThatHangsHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		s.pen <- struct{}{} // somebody waits for the disk
		s.Put("office", "no JSON", []byte("x"))
		s.givePen()
		if got := testutil.ToFloat64(s.meters.busy); got != 1 || len(list(t, s)) != 0 {
			t.Errorf("%v counted as lost", got)
		}
	})
}

func TestManyMayPutAtOnce(t *testing.T) {
	s := open(t, Options{MaxItems: 20})
	all := prometheus.NewPedanticRegistry()
	all.MustRegister(s.Metrics()...)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for n := range 20 {
				s.Put("office", "no JSON", fmt.Append(nil, g, " ", n))
				for _, q := range list(t, s) {
					if q, err := s.Get(t.Context(), q.ID); err == nil && len(q.Body) == 0 {
						t.Error("a message without its body")
					}
				}
				if _, err := all.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := len(list(t, s)); got != 20 {
		t.Errorf("%d kept", got)
	}
}

func TestOptionsThatCannotStandAreRefused(t *testing.T) {
	for _, o := range []Options{{}, {Dir: t.TempDir(), MaxBytes: 1 << 10}, {Dir: t.TempDir(), MaxItems: -1}} {
		if _, err := Open(o); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
