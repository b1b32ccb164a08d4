package deliverylog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAFullDiskLeavesWholeLinesAndRoomIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a disk of its own needs rights: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, 0) }()
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 40<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Dir: dir})
	n, failed := 0, 0
	for failed < 3 {
		for range 20 {
			n++
			l.Add(subscription(1), attempt(n))
		}
		if l.flush() != nil {
			failed++
		}
	}
	kept := read(t, l, subscription(1), Query{})
	if dropped := testutil.ToFloat64(l.meters.disk); len(kept)+int(dropped) != n || dropped == 0 {
		t.Errorf("%d kept and %v dropped of %d", len(kept), dropped, n)
	}
	if diff := cmp.Diff(down(len(kept), 1), seqs(kept)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	l.Add(subscription(1), attempt(n+1))
	flush(t, l)
	if diff := cmp.Diff(append([]int{n + 1}, down(len(kept), 1)...), seqs(read(t, l, subscription(1), Query{}))); diff != "" {
		t.Error(diff)
	}
}
