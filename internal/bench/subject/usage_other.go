//go:build !linux

package subject

import "github.com/gatecast/gatecast"

var errLinux = gatecast.Errorf(gatecast.Unavailable, "what a process uses can be read on Linux only")

func usageOf(int) (Usage, error) {
	return Usage{}, errLinux
}

func openFilesOf(int) (int, error) { return 0, errLinux }
