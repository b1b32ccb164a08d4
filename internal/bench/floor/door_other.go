//go:build !unix

package floor

import (
	"context"
	"errors"
	"time"
)

// door cannot be opened here: its sockets are Unix descriptors.
type door struct{}

var errNoUnix = errors.New("the bare loop runs on Unix only")

func open() (*door, error) { return nil, errNoUnix }

func (*door) addr() string   { return "" }
func (*door) close()         {}
func (*door) clients() []int { return nil }

func (*door) write(context.Context, []byte, int) (Spent, error) { return Spent{}, errNoUnix }

// Used returns the CPU time of this process.
func Used() (time.Duration, error) { return 0, errNoUnix }
