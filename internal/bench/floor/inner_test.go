//go:build linux

package floor

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAFrameIsWrittenToItsEnd however little the socket takes at a time.
func TestAFrameIsWrittenToItsEnd(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(ends[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 8192); err != nil {
		t.Fatal(err)
	}
	frame := textFrame(bytes.Repeat([]byte("0123456789abcde"), 20_000))
	reader := os.NewFile(uintptr(ends[1]), "reader")
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(reader)
		reader.Close()
		got <- all
	}()
	for range 2 {
		if gone := writeAll(t.Context(), ends[:1], frame); len(gone) > 0 {
			t.Error("the reader has gone")
		}
	}
	unix.Close(ends[0])
	if all := <-got; !bytes.Equal(all, append(bytes.Clone(frame), frame...)) {
		t.Errorf("%d bytes came of two frames of %d", len(all), len(frame))
	}
}

func TestTheFileOfSyncDoesNotGrowForEver(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := appendFor(t.Context(), f, make([]byte, 1000), 3000, 0, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	about, err := f.Stat()
	if err != nil || about.Size() > 4000 || about.Size() != min(4000, int64(r.Count)*1000) && r.Count < 5 {
		t.Errorf("the file has %d bytes after %d appends, %v", about.Size(), r.Count, err)
	}
}
