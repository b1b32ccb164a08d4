package quarantine

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// meters counts what the quarantine does.
type meters struct {
	items    prometheus.Collector
	bytes    prometheus.Collector
	kept     prometheus.Counter
	repeated prometheus.Counter
	evicted  prometheus.Counter
	lost     *prometheus.CounterVec
	busy     prometheus.Counter // of lost
	disk     prometheus.Counter // of lost
}

func newMeters(s *Store) *meters {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatecast_quarantine_" + name, Help: help}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return value()
		})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_quarantine_" + name, Help: help})
	}
	lost := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatecast_quarantine_lost_total",
		Help: "Messages that could not be kept: the disk did not take them (disk), or was too slow (busy).",
	}, []string{"reason"})
	return &meters{
		items:    gauge("items", "Messages that could not be understood and are kept.", func() float64 { return float64(len(s.items)) }),
		bytes:    gauge("bytes", "Space that they take.", func() float64 { return float64(s.bytes) }),
		kept:     counter("kept_total", "Messages that were kept."),
		repeated: counter("repeated_total", "Messages that had come within the last minute already, and were only counted."),
		evicted:  counter("evicted_total", "Messages that went because newer ones needed their room."),
		lost:     lost,
		busy:     lost.WithLabelValues("busy"),
		disk:     lost.WithLabelValues("disk"),
	}
}

// Metrics returns what there is to register.
func (s *Store) Metrics() []prometheus.Collector {
	m := s.meters
	return []prometheus.Collector{m.items, m.bytes, m.kept, m.repeated, m.evicted, m.lost}
}

// outage is whether the disk has failed and not worked since.
type outage struct{ on atomic.Bool }

// failed tells the log of the first failure of an outage.
func (s *Store) failed(err error) {
	if s.outage.on.CompareAndSwap(false, true) {
		s.opts.Log.Error("the quarantine cannot be written; what cannot be understood is lost", "err", err)
	}
}

// worked tells the log that an outage is over.
func (s *Store) worked() {
	if s.outage.on.CompareAndSwap(true, false) {
		s.opts.Log.Info("the quarantine can be written again")
	}
}
