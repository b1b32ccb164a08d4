package load

import (
	"syscall"
	"time"
)

// nap sleeps in nanosleep(2), which is exact to some 50 µs.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&ts, nil) // a signal wakes it: the caller looks at the clock
}
