package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDiskIsLoudAndHeals fills the disk around the server until it refuses
// events, and frees it again.
func TestFullDiskIsLoudAndHeals(t *testing.T) {
	rng := seeded(t)
	disk, books := newVolume(t, 64), newLedger()
	data, filler := filepath.Join(disk.dir, "data"), filepath.Join(disk.dir, "filler")
	s := start(t, data, roomy)
	halt := books.load(s, rng, 2)
	books.untilAcked(t, 200)
	fill(t, filler, disk.free(t)-20<<20) // the load takes the rest

	books.until(t, "a sender is refused", func() bool { return books.refused != nil })
	halt()
	if !strings.Contains(books.refused.Error(), "503") {
		t.Errorf("refused, but not with 503: %v", books.refused)
	}
	if disk.free(t) == 0 {
		t.Error("the server went on until no byte was free")
	}
	eventually(t, "/readyz tells of the disk", func(ctx context.Context) bool {
		status, body, err := s.get(ctx, "/readyz")
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(body, "disk")
	})

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz answers 200 again", func(ctx context.Context) bool {
		status, _, err := s.get(ctx, "/readyz")
		return err == nil && status == http.StatusOK
	})
	halt = books.load(s, rng, 2)
	books.untilAcked(t, 100)
	halt()
	s.stop(t)
	books.check(t, openJournal(t, data))
}

// fill writes a file of so many bytes.
func fill(t *testing.T, path string, size uint64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for written := uint64(0); written < size; written += uint64(len(block)) {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
