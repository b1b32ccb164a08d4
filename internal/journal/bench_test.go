package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
)

// Run with: go test -run '^$' -bench . ./internal/journal/
// The data directory is a temporary one; set TMPDIR to choose the disk.

var payload = bytes.Repeat([]byte("x"), 900)

func numbered(prefix string, n int64) gatecast.Event {
	return gatecast.Event{ID: fmt.Sprintf("%s-%d", prefix, n), Kind: gatecast.Record, Device: "SPS-0001", Data: payload}
}

func openBench(b *testing.B) *journal.Journal {
	b.Helper()
	j, err := journal.Open(b.Context(), journal.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close(b.Context()) })
	return j
}

// BenchmarkRawFsync is the floor: one write and one fsync of 1 KiB.
func BenchmarkRawFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, 1024)
	for b.Loop() {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, 1)
}

// BenchmarkAppendLone is one caller that waits for each of its events.
func BenchmarkAppendLone(b *testing.B) {
	j := openBench(b)
	n := int64(0)
	for b.Loop() {
		n++
		if _, err := j.Append(b.Context(), []gatecast.Event{numbered("lone", n)}); err != nil {
			b.Fatal(err)
		}
	}
	report(b, 1)
}

// BenchmarkAppendConcurrent is many callers with one event at a time.
func BenchmarkAppendConcurrent(b *testing.B) {
	for _, callers := range []int{2, 4, 8, 16, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			j := openBench(b)
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						if _, err := j.Append(b.Context(), []gatecast.Event{numbered("many", i)}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			report(b, 1)
		})
	}
}

// BenchmarkAppendBatch is one caller with many events at a time.
func BenchmarkAppendBatch(b *testing.B) {
	for _, size := range []int{2, 4, 8, 16, 64, 256, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			j := openBench(b)
			n := int64(0)
			for b.Loop() {
				events := make([]gatecast.Event, size)
				for i := range events {
					n++
					events[i] = numbered("batch", n)
				}
				if _, err := j.Append(b.Context(), events); err != nil {
					b.Fatal(err)
				}
			}
			report(b, size)
		})
	}
}

// BenchmarkReplay reads a stored journal from its beginning, from disk.
func BenchmarkReplay(b *testing.B) {
	j := openBench(b)
	const total = 50_000
	for n := int64(0); n < total; {
		events := make([]gatecast.Event, 1000)
		for i := range events {
			n++
			events[i] = numbered("replay", n)
		}
		if _, err := j.Append(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		seen := 0
		for _, err := range j.Follow(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			if seen++; seen == total {
				break
			}
		}
	}
	report(b, total)
}

func report(b *testing.B, events int) {
	b.Helper()
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}
