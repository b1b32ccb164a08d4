package pull

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// mostPause is the default one.
const mostPause = 30 * time.Second

func TestNoMinuteHasMoreLoginsThanAllowedAndNobodyWaitsForNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pace{perMinute: rapid.IntRange(1, 10).Draw(t, "per minute")}
		now := time.Unix(1_600_000_000, 0)
		var logins []time.Time
		for range 50 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			if wait := p.untilLogin(now); wait > 0 {
				if n := recent(logins, now.Add(wait-1)); n != p.perMinute {
					t.Fatalf("waits although there are only %d logins in the minute", n)
				}
				now = now.Add(wait)
			}
			if n := recent(logins, now); n >= p.perMinute {
				t.Fatalf("login number %d of the minute is let through", n+1)
			}
			p.login(now)
			logins = append(logins, now)
		}
	})
}

// recent counts the logins of the minute before now.
func recent(logins []time.Time, now time.Time) int {
	n := 0
	for _, at := range logins {
		if now.Sub(at) < time.Minute {
			n++
		}
	}
	return n
}

func TestPausesGrowToALimitAndAreForgottenAfterAGoodConnection(t *testing.T) {
	p := pace{rand: func() float64 { return 1 }, most: mostPause}
	var got []time.Duration
	for range 12 {
		got = append(got, p.failed())
	}
	for i := range got[1:] {
		if got[i+1] != min(mostPause, 2*got[i]) {
			t.Fatalf("pauses %v", got)
		}
	}
	if got[0] != firstPause || got[11] != mostPause {
		t.Errorf("pauses %v", got)
	}
	p.lasted(steady - 1)
	if d := p.failed(); d != mostPause {
		t.Errorf("%v after a short connection", d)
	}
	p.lasted(steady)
	if d := p.failed(); d != firstPause {
		t.Errorf("%v after a good connection", d)
	}
}

func TestRefusalsAreAMinuteToFiveApart(t *testing.T) {
	for dice, want := range map[float64][]time.Duration{
		0: {time.Minute, time.Minute, time.Minute, time.Minute, time.Minute},
		1: {time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute},
	} {
		p := pace{rand: func() float64 { return dice }}
		for i, d := range want {
			if got := p.refused(); got != d {
				t.Errorf("refusal %d, dice %v: %v, want %v", i+1, dice, got, d)
			}
		}
	}
}
