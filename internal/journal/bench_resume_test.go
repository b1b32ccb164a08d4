package journal_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
)

// BenchmarkResumeNearTheHead is what one client costs that comes back a
// thousand events behind, in a journal of GATECAST_BENCH_EVENTS events (default
// 200,000) just opened, which holds none of them in memory. Neither the time nor
// the bytes read may grow with the journal: compare runs of different sizes.
// The first-… figures are those of the first call, which finds no block loaded.
func BenchmarkResumeNearTheHead(b *testing.B) {
	n := benchEvents(b)
	dir := b.TempDir()
	load(b, dir, n)
	past := func() time.Time { return time.Now().Add(-time.Minute) }
	var last gatecast.Seq
	for _, bb := range []struct {
		name string
		call func(ctx context.Context, j *journal.Journal) (int, error)
	}{
		{"Read256", func(ctx context.Context, j *journal.Journal) (int, error) {
			events, err := j.Read(ctx, last-1000, 256)
			return len(events), err
		}},
		{"SinceAMinuteAgo", func(ctx context.Context, j *journal.Journal) (int, error) {
			after, err := j.Since(ctx, past())
			return int(last - after), err
		}},
		{"SinceNow", func(ctx context.Context, j *journal.Journal) (int, error) {
			after, err := j.Since(ctx, time.Now())
			return int(last-after) + 1, err
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			j := openLoaded(b, dir)
			x, err := j.Extent(b.Context())
			if err != nil || x.Events != uint64(n) {
				b.Fatalf("extent %+v, %v, want %d events", x, err, n)
			}
			last = x.Last
			read := func() {
				if got, err := bb.call(b.Context(), j); err != nil || got <= 0 {
					b.Fatalf("%d, %v", got, err)
				}
			}
			start, bytes := time.Now(), bytesRead()
			read()
			first, firstBytes := time.Since(start), bytesRead()-bytes
			bytes = bytesRead()
			for b.Loop() {
				read()
			}
			b.ReportMetric(float64(bytesRead()-bytes)/float64(b.N), "read-B/op")
			b.ReportMetric(float64(firstBytes), "first-read-B")
			b.ReportMetric(float64(first.Microseconds()), "first-µs")
		})
	}
}

func benchEvents(b *testing.B) int {
	b.Helper()
	s := os.Getenv("GATECAST_BENCH_EVENTS")
	if s == "" {
		return 200_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 2000 {
		b.Fatalf("GATECAST_BENCH_EVENTS is %q, want a number of at least 2000", s)
	}
	return n
}

func openLoaded(b *testing.B, dir string) *journal.Journal {
	b.Helper()
	j, err := journal.Open(b.Context(), journal.Options{
		Dir: dir, MaxBytes: 1 << 40, Sync: journal.SyncInterval, Dedup: journal.Dedup{Window: time.Second},
		Check: journal.Check{Scrub: -1, Ring: 1},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close(context.Background()) })
	return j
}

// load fills the journal in dir with n events as fast as it takes them.
func load(b *testing.B, dir string, n int) {
	b.Helper()
	j := openLoaded(b, dir)
	defer func() { _ = j.Close(context.Background()) }()
	const senders = 4
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			share := n / senders
			if s == 0 {
				share += n % senders
			}
			for i := 0; i < share; {
				events := make([]gatecast.Event, min(1000, share-i))
				for k := range events {
					i++
					events[k] = numbered(fmt.Sprint("load", s), int64(i))
				}
				if _, err := j.Append(b.Context(), events); err != nil {
					b.Errorf("Append: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// bytesRead returns what this process has read from files so far, cached by
// the system or not; zero where that is not told.
func bytesRead() (n int64) {
	s, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	_, _ = fmt.Sscanf(string(s), "rchar: %d", &n)
	return n
}
