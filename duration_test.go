package gatecast_test

import (
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestDurationsMayBeWholeDays(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"7d": 7 * day, "0d": 0, "65535d": 65535 * day, "36h": 36 * time.Hour, "1m30s": 90 * time.Second} {
		if got, err := gatecast.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "65536d", "1d2h", "7", "7 d"} {
		if got, err := gatecast.ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if l, err := gatecast.ParseLookback("7d"); err != nil || time.Duration(l) != 7*day {
		t.Errorf("catch-up of 7d: %v, %v", l, err)
	}
	if w, err := gatecast.ParseWindow("1d"); err != nil || time.Duration(w) != day {
		t.Errorf("window of 1d: %v, %v", w, err)
	}
}
