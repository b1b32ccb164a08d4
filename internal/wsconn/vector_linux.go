package wsconn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// vector is the argument of writev(2). unix.Writev would allocate one for
// every call with more than a few frames.
type vector [batchSize]unix.Iovec

// write is write(2) for a socket that does not block. As with writev(2) below,
// the scheduler is not told: by the time it had found other work for this
// processor the call is over, and to get the processor back in the middle of a
// fan-out costs more than the call (docs/adr/0005-fan-out.md).
func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// write makes one attempt to write the frames, at most batchSize of them.
func (v *vector) write(fd int, frames []*Frame, deflateMin int) (int, error) {
	if len(frames) == 1 {
		return retry(fd, frames[0].wire(deflateMin), write)
	}
	for i, f := range frames {
		wire := f.wire(deflateMin)
		v[i].Base = &wire[0]
		v[i].SetLen(len(wire))
	}
	defer clear(v[:len(frames)]) // the pool must not keep frames alive
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v[0])), uintptr(len(frames)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
