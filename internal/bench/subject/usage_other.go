//go:build !linux

package subject

import "github.com/gatecast/gatecast"

func usageOf(int) (Usage, error) {
	return Usage{}, gatecast.Errorf(gatecast.Unavailable, "what a process uses can be read on Linux only")
}
