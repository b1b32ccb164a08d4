package gatecast

import (
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration as people write it: as [time.ParseDuration]
// does, or whole days, such as "7d", up to 65,535 of them.
func ParseDuration(s string) (time.Duration, error) {
	days, whole := strings.CutSuffix(s, "d")
	if !whole {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, Errorf(Invalid, "%q is neither a duration such as 36h nor a number of days such as 7d", s)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
