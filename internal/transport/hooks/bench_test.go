package hooks

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
)

// eager takes everything at once, and says when it has taken so many.
type eager struct {
	left atomic.Int64
	done chan struct{}
}

func (p *eager) Check(context.Context, string) error { return nil }

func (p *eager) Post(context.Context, egress.Request) egress.Answer {
	if p.left.Add(-1) == 0 {
		close(p.done)
	}
	return egress.Answer{Status: 200}
}

// silent is a log that nobody reads.
type silent struct{}

func (silent) Add(string, gatecast.Attempt) {}
func (silent) Forget(string)                {}

// BenchmarkDelivery is what one delivery costs without the wire.
func BenchmarkDelivery(b *testing.B) {
	s := &site{
		first: 1, subs: map[string]*gatecast.Subscription{}, kept: map[string]gatecast.Progress{},
		dead: map[string][]gatecast.DeadLetter{}, lost: make(chan struct{}),
	}
	s.put(subA, func(*gatecast.Subscription) {})
	for i := range b.N {
		s.record("d" + strconv.Itoa(i%200))
	}
	p := &eager{done: make(chan struct{})}
	p.left.Store(int64(b.N))
	server := New(Parts{Settings: s, Ring: s, History: s, Ledger: ledger{s}, Log: silent{}, Poster: p}, Options{Epoch: epoch})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	go func() { defer close(ended); _ = server.Run(ctx) }()
	<-p.done
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "events/s")
	b.StopTimer()
	cancel()
	<-ended
}
