package floor

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// SyncResult is what appends with fsync took.
type SyncResult struct {
	Count     int
	PerSecond float64       // appends
	P50, P99  time.Duration // of one write and its fsync
}

// fileSize is how large the file grows before it is begun again, in bytes: it
// may lie in memory.
const fileSize = 64 << 20

// Sync appends size bytes to a new file in dir, each time followed by fsync(2),
// until d has passed or ctx ends, which is its error. Between two it rests for
// pause: a disk that is left alone takes longer for the next one. The file is
// removed again. Each append's time is kept: 8 bytes.
func Sync(ctx context.Context, dir string, size int, pause, d time.Duration) (SyncResult, error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return SyncResult{}, fmt.Errorf("make a file for raw fsync: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	return appendFor(ctx, f, make([]byte, max(size, 1)), fileSize, pause, d)
}

// appendFor appends a block again and again. The file is begun again when it is
// larger than limit.
func appendFor(ctx context.Context, f *os.File, block []byte, limit int, pause, d time.Duration) (SyncResult, error) {
	var took []time.Duration
	var sum time.Duration
	for written, end := 0, time.Now().Add(d); time.Now().Before(end) || len(took) == 0; written += len(block) {
		if err := rest(ctx, pause); err != nil {
			return SyncResult{}, err
		}
		if written > limit {
			written = 0
			if err := restart(f); err != nil {
				return SyncResult{}, err
			}
		}
		one, err := appendSynced(f, block)
		if err != nil {
			return SyncResult{}, err
		}
		took = append(took, one)
		sum += one
	}
	slices.Sort(took)
	n := len(took)
	return SyncResult{Count: n, PerSecond: float64(n) / sum.Seconds(), P50: took[n/2], P99: took[n*99/100]}, nil
}

func rest(ctx context.Context, pause time.Duration) error {
	if pause <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appendSynced(f *os.File, block []byte) (time.Duration, error) {
	start := time.Now()
	if _, err := f.Write(block); err != nil {
		return 0, fmt.Errorf("append for raw fsync: %w", err)
	}
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("raw fsync: %w", err)
	}
	return time.Since(start), nil
}

// restart empties the file. Its time does not count.
func restart(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("empty the file for raw fsync: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("empty the file for raw fsync: %w", err)
	}
	return nil
}
