package registry

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// BenchmarkCreateSubscriptions tells the cost of one more beside those there
// are: it must not grow with them.
func BenchmarkCreateSubscriptions(b *testing.B) {
	for _, n := range []int{500, 5_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				r := OpenMem(Options{})
				for range n {
					if _, err := r.CreateSubscription(b.Context(), gatecast.SubscriptionSpec{Settings: quiet()}); err != nil {
						b.Fatal(err)
					}
				}
				r.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/subscription")
		})
	}
}

// BenchmarkShelf tells the cost of one change to a snapshot.
func BenchmarkShelf(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		s := newShelf[*gatecast.Subscription]()
		for i := range n {
			s = s.with(fmt.Sprintf("sub_%016x", i), &gatecast.Subscription{})
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.with("sub_00000000000000ff", nil)
			}
		})
	}
}

// BenchmarkOpen tells how long a node takes to read 10,000 subscriptions.
func BenchmarkOpen(b *testing.B) {
	st, seal := &bucket.Mem{}, newSealer(newKey())
	r := openMem(st, seal, Options{})
	defer r.Close()
	for range 10_000 {
		if _, err := r.CreateSubscription(b.Context(), gatecast.SubscriptionSpec{Settings: quiet()}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		openMem(st, seal, Options{}).Close()
	}
}
