//go:build !linux

package wsconn

import "errors"

// unacknowledged is not known here.
func unacknowledged(int) (int, error) { return 0, errors.ErrUnsupported }
