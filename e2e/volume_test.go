package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// volume is a small ext4 file system of the test's own, in a file.
type volume struct {
	image string
	dir   string // where it is mounted
}

// newVolume makes and mounts a volume of so many MiB, and takes it down at the
// end. It needs root and a loop device; without them the test is skipped.
func newVolume(t *testing.T, size int64) *volume {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "making a file system needs root")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%s is not installed", tool)
		}
	}
	base := t.TempDir()
	v := &volume{image: filepath.Join(base, "image"), dir: filepath.Join(base, "mounted")}
	if err := os.WriteFile(v.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(v.image, size<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", v.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := v.mount(); err != nil {
		missing(t, "no loop device can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", v.dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return v
}

func (v *volume) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop", v.image, v.dir).CombinedOutput()
}

// cutPower makes the file system dead at once, as if the machine had lost its
// power: what was not flushed is gone, the journal of ext4 included.
func (v *volume) cutPower(t *testing.T) {
	t.Helper()
	const (
		shutdown   = 0x8004587D // EXT4_IOC_SHUTDOWN
		noLogFlush = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	dir, err := os.Open(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, noLogFlush); err != nil {
		t.Fatalf("EXT4_IOC_SHUTDOWN: %v", err)
	}
}

// remount mounts the volume anew, as after a power cut or a clean stop of the
// machine. Nobody may still use it.
func (v *volume) remount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("umount", v.dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	if out, err := v.mount(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

// free returns the bytes that a process may still write.
func (v *volume) free(t *testing.T) uint64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(v.dir, &s); err != nil {
		t.Fatal(err)
	}
	return s.Bavail * uint64(s.Bsize)
}
