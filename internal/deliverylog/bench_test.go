package deliverylog

import (
	"testing"

	"github.com/gatecast/gatecast"
)

func BenchmarkAdd(b *testing.B) {
	l := open(b, Options{MaxBuffered: 1 << 40})
	id, a := subscription(1), attempt(1)
	a.Answer = []byte(`{"code":200,"message":"received, thank you very much"}`)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Add(id, a)
		if n%5000 == 0 { // as if a round had taken them
			l.Forget(id)
		}
	}
}

// BenchmarkRound writes what comes in a second at 5,000 attempts.
func BenchmarkRound(b *testing.B) {
	for name, subscriptions := range map[string]int{"1 subscription": 1, "1000 subscriptions": 1000} {
		b.Run(name, func(b *testing.B) {
			l := open(b, Options{})
			ids := make([]string, subscriptions)
			for s := range ids {
				ids[s] = subscription(s)
			}
			a := attempt(1)
			for b.Loop() {
				for n := range 5000 {
					l.Add(ids[n%subscriptions], a)
				}
				flush(b, l)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	l := open(b, Options{})
	for n := range 10_000 {
		l.Add(subscription(1), attempt(n))
	}
	flush(b, l)
	for name, q := range map[string]Query{"newest page": {}, "rare outcome": {Outcome: gatecast.Gone}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Read(b.Context(), subscription(1), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
