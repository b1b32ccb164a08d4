package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with a unit: "8MiB".
type Size int64

// Units of a [Size].
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// String writes the size with the largest unit that divides it: "8MiB",
// "1500B", "0".
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseSize reads a whole number of bytes with an optional unit: B, KiB, MiB,
// GiB, TiB, or KB, MB, GB, TB for powers of ten.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, errors.New("not a size")
	}
	unit, ok := unitNamed(strings.TrimLeft(text[len(digits):], " "))
	if !ok {
		return 0, errors.New("no such unit")
	}
	if n > uint64(math.MaxInt64/unit) {
		return 0, errors.New("too large")
	}
	return Size(n) * unit, nil
}

type sizeUnit struct {
	name string
	size Size
}

func sizeUnits() []sizeUnit {
	return []sizeUnit{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}
}

func unitNamed(name string) (Size, bool) {
	if name == "" || name == "B" {
		return 1, true
	}
	for _, u := range append(sizeUnits(), sizeUnit{"TB", 1e12}, sizeUnit{"GB", 1e9}, sizeUnit{"MB", 1e6}, sizeUnit{"KB", 1e3}) {
		if strings.EqualFold(u.name, name) {
			return u.size, true
		}
	}
	return 0, false
}
