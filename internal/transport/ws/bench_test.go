package ws

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	gows "github.com/gobwas/ws"
)

// BenchmarkStoppedReaders publishes one event after another to 500 clients, of
// which some read nothing, and measures when the last of the others has it.
// Compare the two in one run: neither the time nor the memory may depend on the
// clients that have stopped.
func BenchmarkStoppedReaders(b *testing.B) {
	for name, stopped := range map[string]int{"none": 0, "five": 5} {
		b.Run(name, func(b *testing.B) { benchmarkReaders(b, 500, stopped) })
	}
}

func benchmarkReaders(b *testing.B, all, stopped int) {
	o := Options{Heartbeat: time.Hour, DeadAfter: 24 * time.Hour, MaxPerApp: all}
	o.Conn.WriteStall = time.Hour
	s := openSite(b, front{narrow: true}, 1024, o)
	var arrived atomic.Int64
	woken := make(chan struct{}, 1)
	for i := range all {
		p := s.connect()
		_ = p.conn.SetDeadline(time.Time{})
		if i >= stopped {
			go p.count(&arrived, woken, int64(all-stopped))
		}
	}
	// What the stopped ones take into their sockets is over before it counts.
	published := 2000
	s.publish(1, published, 1000, gatecast.Record)
	awaitArrivals(&arrived, woken, int64(published*(all-stopped)))
	before := heapInUse()
	times := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for range b.N {
		published++
		began := time.Now()
		s.publish(published, 1, 1000, gatecast.Record)
		awaitArrivals(&arrived, woken, int64(published*(all-stopped)))
		times = append(times, time.Since(began))
	}
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric((float64(heapInUse())-float64(before))/1024, "heap-KiB")
}

// count reads and answers Pings; each time that every reader has had another
// event it wakes the benchmark.
func (p *peer) count(arrived *atomic.Int64, woken chan<- struct{}, readers int64) {
	for {
		f, err := p.frame()
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case gows.OpPing:
			_ = gows.WriteFrame(p.conn, gows.MaskFrame(gows.NewPongFrame(f.Payload)))
		case gows.OpText:
			if arrived.Add(1)%readers == 0 {
				select {
				case woken <- struct{}{}:
				default:
				}
			}
		}
	}
}

func awaitArrivals(arrived *atomic.Int64, woken <-chan struct{}, want int64) {
	for arrived.Load() < want {
		<-woken
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
