package journal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"golang.org/x/sys/unix"
)

// TestAFailedFsyncIsNeverAcknowledged lets every write to the journal's block
// succeed and its fsync fail, as a dying disk does: the events can be read back
// from memory, yet they are not on disk.
func TestAFailedFsyncIsNeverAcknowledged(t *testing.T) {
	for _, together := range []int{1, 3} {
		dir := t.TempDir()
		j, err := Open(t.Context(), Options{Dir: dir, Commit: Commit{Timeout: 500 * time.Millisecond, Singles: 1}, Check: Check{Every: time.Hour, LowDisk: -1}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close(context.Background()) }()
		if _, err := j.Append(t.Context(), []gatecast.Event{{ID: "before"}}); err != nil {
			t.Fatal(err)
		}
		failFsync(t, filepath.Join(dir, "jetstream"))
		events := []gatecast.Event{{ID: "a"}, {ID: "b"}, {ID: "c"}}[:together]
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			r, err := j.Append(ctx, events)
			if ctx.Err() != nil {
				t.Errorf("%d events: no answer", together)
			}
			cancel()
			if gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
				t.Errorf("%d events whose fsync failed: %+v, %v, want unavailable", together, r, err)
			}
		}
		if got, err := j.Read(t.Context(), 1, 10); err != nil || len(got) != 0 {
			t.Errorf("%d events are shown that are not on disk, %v", len(got), err)
		}
		j.health.poll(t.Context())
		if j.Ready() == nil {
			t.Error("the journal calls itself ready on a disk that cannot sync")
		}
	}
}

// failFsync puts /dev/null, which takes all writes and refuses fsync, in the
// place of this process's open blocks of the journal below dir.
func failFsync(t *testing.T, dir string) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	replaced := 0
	for _, d := range fds {
		path, _ := os.Readlink(filepath.Join("/proc/self/fd", d.Name()))
		if !strings.HasPrefix(path, dir) || !strings.Contains(path, streamName+"/msgs/") || !strings.HasSuffix(path, ".blk") {
			continue
		}
		fd := 0
		for _, c := range d.Name() {
			fd = 10*fd + int(c-'0')
		}
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		replaced++
	}
	if replaced == 0 {
		t.Fatal("no open block found")
	}
}
