package floor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// write is write(2) without a word to the scheduler: what is compared with this
// loop does without it, too.
func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
