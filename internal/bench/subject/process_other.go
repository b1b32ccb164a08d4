//go:build !linux

package subject

import "syscall"

func leaveNothingBehind() *syscall.SysProcAttr { return nil }
