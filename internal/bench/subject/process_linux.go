package subject

import "syscall"

// leaveNothingBehind has the child die with this process.
func leaveNothingBehind() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
