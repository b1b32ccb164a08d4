package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/journal/journaltest"
)

const stored = 3000

// TestDamageIsNeverSilent breaks the files of a stopped journal in every way a
// bad disk does. Whatever can no longer be read must be listed as a hole, and
// what can be read must be what was stored.
func TestDamageIsNeverSilent(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, block string)
		lost  int // events, at least
	}{
		{"a changed byte in old data", func(t *testing.T, b string) { flip(t, b, `"n-100"}`) }, 1},
		{"a changed byte in new data", func(t *testing.T, b string) { flip(t, b, `"n-2999"}`) }, 1},
		{"a changed byte in a header", func(t *testing.T, b string) { flip(t, b, "Nats-Msg-Id: n-200\r") }, 1},
		{"a truncated block", func(t *testing.T, b string) { truncate(t, b, 2) }, stored / 3},
		{"a truncated block without an index", func(t *testing.T, b string) { dropIndex(t, b); truncate(t, b, 2) }, stored / 3},
		{"a changed byte without an index", func(t *testing.T, b string) { dropIndex(t, b); flip(t, b, `"n-2000"}`) }, 1},
		{"a missing block", func(t *testing.T, b string) { must(t, os.Remove(b)) }, stored},
		{"a zeroed page", func(t *testing.T, b string) { zero(t, b, 64<<10) }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, stored)
			blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "jetstream", "*", "streams", "*", "msgs", "*.blk"))
			if err != nil || len(blocks) != 1 {
				t.Fatalf("blocks %v, %v", blocks, err)
			}
			tt.spoil(t, blocks[0])
			checkDamage(t, dir, tt.lost)
		})
	}
}

func checkDamage(t *testing.T, dir string, lost int) {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Check: journal.Check{LowDisk: -1, Ring: 1, Tail: stored}})
	if err != nil {
		t.Fatalf("a damaged journal must open and tell: %v", err)
	}
	defer func() { must(t, j.Close(t.Context())) }()
	inHole := make(map[gatecast.Seq]bool)
	n := 0
	for _, h := range j.Holes() {
		for s := h.From; s <= h.To; s++ {
			inHole[s] = true
			n++
		}
	}
	if n < lost {
		t.Errorf("%d events reported lost in %+v, want at least %d", n, j.Holes(), lost)
	}
	if err := j.Healthy(); gatecast.CodeOf(err) != gatecast.Internal || err == nil {
		t.Errorf("Healthy: %v, want the hole", err)
	}
	sent := journaltest.Events("n", stored)
	readable := make(map[gatecast.Seq]bool)
	x, err := j.Extent(t.Context())
	must(t, err)
	for after := x.First - 1; after < x.Last; {
		events, err := j.Read(t.Context(), after, 500)
		must(t, err)
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if want := sent[e.Seq-1]; e.ID != want.ID || !bytes.Equal(e.Data, want.Data) {
				t.Errorf("seq %d came back as %q %s", e.Seq, e.ID, e.Data)
			}
			readable[e.Seq] = true
			after = e.Seq
		}
	}
	for s := gatecast.Seq(1); s <= stored; s++ {
		if readable[s] == inHole[s] {
			t.Fatalf("seq %d: readable %v, in a hole %v; holes %+v", s, readable[s], inHole[s], j.Holes())
		}
	}
	must(t, j.AcceptHoles())
	must(t, j.Healthy())
}

func fill(t *testing.T, dir string, n int) {
	t.Helper()
	j := mustOpen(t, journal.Options{Dir: dir, Check: journal.Check{LowDisk: -1}})
	events := journaltest.Events("n", n)
	for ; len(events) > 0; events = events[min(1000, len(events)):] {
		if _, err := j.Append(t.Context(), events[:min(1000, len(events))]); err != nil {
			t.Fatal(err)
		}
	}
	must(t, j.Close(t.Context()))
}

func flip(t *testing.T, path, at string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	i := bytes.Index(b, []byte(at))
	if i < 0 {
		t.Fatalf("%q is not in the block", at)
	}
	b[i+len(at)-3] ^= 0x01
	must(t, os.WriteFile(path, b, 0o600))
}

func zero(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	clear(b[at : at+4096])
	must(t, os.WriteFile(path, b, 0o600))
}

func truncate(t *testing.T, path string, part int64) {
	t.Helper()
	st, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, st.Size()/part))
}

func dropIndex(t *testing.T, block string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(filepath.Dir(block), "index.db")))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLostFrontBlocksAreNotTakenForRetention removes the oldest block of a
// journal that is far younger than the age at which events are removed.
func TestLostFrontBlocksAreNotTakenForRetention(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, journal.Options{Dir: dir, Check: journal.Check{LowDisk: -1}})
	for call := range 3 {
		events := journaltest.Events(fmt.Sprint("call", call), 1000)
		for i := range events {
			events[i].Data = make([]byte, 4096)
		}
		if _, err := j.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	must(t, j.Close(t.Context()))
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) < 2 {
		t.Fatalf("blocks %v, %v, want several", blocks, err)
	}
	must(t, os.Remove(filepath.Join(filepath.Dir(blocks[0]), "1.blk")))
	for range 2 {
		j = mustOpen(t, journal.Options{Dir: dir, Check: journal.Check{LowDisk: -1}})
		x, err := j.Extent(t.Context())
		must(t, err)
		if x.First <= 1 || x.Last != 3000 {
			t.Fatalf("extent %+v, want a later first event", x)
		}
		if h := j.Holes(); len(h) != 1 || h[0].From != 1 || h[0].To != x.First-1 {
			t.Errorf("holes %+v, want one from 1 to %d", h, x.First-1)
		}
		must(t, j.Close(t.Context()))
	}
}

// TestWhatAgeRemovesIsNoHole lets events grow old while the journal is open,
// and while it is closed.
func TestWhatAgeRemovesIsNoHole(t *testing.T) {
	dir := t.TempDir()
	options := journal.Options{Dir: dir, MaxAge: 300 * time.Millisecond, Check: journal.Check{LowDisk: -1}}
	for round := range 3 {
		j := mustOpen(t, options)
		if h := j.Holes(); len(h) > 0 {
			t.Fatalf("round %d: holes %+v", round, h)
		}
		for i := range 2 {
			if _, err := j.Append(t.Context(), journaltest.Events(fmt.Sprint(round, i), 10)); err != nil {
				t.Fatal(err)
			}
			for i == 0 {
				if x, err := j.Extent(t.Context()); err != nil || x.Events == 0 {
					must(t, err)
					break
				}
			}
		}
		must(t, j.Close(t.Context()))
		<-time.After(options.MaxAge)
	}
}
