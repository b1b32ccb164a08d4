package egress

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsSecondsOrADateByTheServersClock(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, want := range []struct {
		value, date string
		wait        time.Duration
	}{
		{"", "", 0},
		{"0", "", 0},
		{"120", "", 2 * time.Minute},
		{" 7 ", "", 7 * time.Second},
		{"86400", "", 24 * time.Hour},
		{"86401", "", 24 * time.Hour},
		{"99999999999999999999999", "", 24 * time.Hour},
		{"-5", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"Tue, 24 Nov 2026 12:01:00 GMT", "", time.Minute},
		{"Tue, 24 Nov 2026 11:00:00 GMT", "", 0},
		{"Tue, 24 Nov 2099 12:00:00 GMT", "", 24 * time.Hour},
		{"Tuesday, 24-Nov-26 12:00:30 GMT", "", 30 * time.Second},
		{"Tue, 24 Nov 2026 12:01:00 GMT", "Tue, 24 Nov 2026 12:00:50 GMT", 10 * time.Second},
		{"Tue, 24 Nov 2026 10:01:00 GMT", "Tue, 24 Nov 2026 10:00:00 GMT", time.Minute},
	} {
		h := http.Header{}
		if want.value != "" {
			h.Set("Retry-After", want.value)
		}
		if want.date != "" {
			h.Set("Date", want.date)
		}
		if got := retryAfter(h, now); got != want.wait {
			t.Errorf("%q at %q: %v, want %v", want.value, want.date, got, want.wait)
		}
	}
}
