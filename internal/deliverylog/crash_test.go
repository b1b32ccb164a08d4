package deliverylog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Wherever a crash cuts the file off: what is whole is read, and what comes
// after is whole.
func TestALineThatWasCutOffIsPassedOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		l := open(t, Options{Dir: dir})
		for n := range 5 {
			l.Add(subscription(1), attempt(n+1))
		}
		flush(t, l)
		file := filepath.Join(dir, subscription(1)+".ndjson")
		whole, err := os.ReadFile(file)
		if err != nil {
			rt.Fatal(err)
		}
		cut := whole[:rapid.IntRange(0, len(whole)).Draw(rt, "cut")]
		if err := os.WriteFile(file, cut, 0o600); err != nil {
			rt.Fatal(err)
		}
		left := bytes.Count(cut, []byte("\n"))
		l = open(t, Options{Dir: dir})
		if diff := cmp.Diff(down(left, 1), seqs(read(t, l, subscription(1), Query{}))); diff != "" {
			rt.Fatalf("after the crash:\n%s", diff)
		}
		l.Add(subscription(1), attempt(left+1))
		flush(t, l)
		l.Add(subscription(1), attempt(left+2))
		got := seqs(read(t, l, subscription(1), Query{}))
		// A last line that lacks nothing but its end may come back.
		if len(cut) > 0 && len(got) == left+3 {
			got = append(got[:2], got[3:]...)
		}
		if diff := cmp.Diff(down(left+2, 1), got); diff != "" {
			rt.Fatalf("written after the crash:\n%s", diff)
		}
	})
}

func TestDamageCostsTheLinesItIsIn(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	for n := range 9 {
		l.Add(subscription(1), attempt(n+1))
	}
	flush(t, l)
	file := filepath.Join(dir, subscription(1)+".ndjson")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	lines[2] = "\x00\x00\x00\n"
	lines[4] = strings.Repeat("x", 200_000) + "\n"
	lines[6] = "{}\n\n[]\n"
	lines[7] = `{"n":"8"}` + "\n"
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	if diff := cmp.Diff([]int{9, 6, 4, 2, 1}, seqs(read(t, l, subscription(1), Query{}))); diff != "" {
		t.Error(diff)
	}
}

func TestNumbersGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	for n := range 5 {
		l := open(t, Options{Dir: dir})
		l.Add(subscription(n%2), attempt(n))
		flush(t, l)
		l.Add(subscription(n%2), attempt(1000)) // lost with the process
	}
	l := open(t, Options{Dir: dir})
	if diff := cmp.Diff([]int{4, 2, 0}, seqs(read(t, l, subscription(0), Query{Limit: 1}))); diff != "" {
		t.Error(diff)
	}
	// A crash between the two steps of a rotation leaves only the older file.
	if err := os.Rename(filepath.Join(dir, subscription(0)+".ndjson"), filepath.Join(dir, subscription(0)+".1.ndjson")); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	l.Add(subscription(0), attempt(6))
	flush(t, l)
	if diff := cmp.Diff([]int{6, 4, 2, 0}, seqs(read(t, l, subscription(0), Query{Limit: 1}))); diff != "" {
		t.Error(diff)
	}
}
