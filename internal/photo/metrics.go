package photo

import "github.com/prometheus/client_golang/prometheus"

// metrics is what the store counts. All labels come from closed sets.
type metrics struct {
	stored   *prometheus.CounterVec
	refused  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	removed  *prometheus.CounterVec
	failures prometheus.Counter
	bytes    prometheus.Collector
}

func newMetrics(s *Store) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_photo_" + name, Help: help}, labels)
	}
	return &metrics{
		stored:  counter("stored_total", "Photos stored that were not there before, by type.", "type"),
		refused: counter("refused_total", "What was brought as a photo and is none, or is too large, by error code.", "code"),
		dropped: counter("dropped_total", "Photos of senders that are not refused, which could not be kept, by error code.", "code"),
		removed: counter("removed_total", "Files removed, by type and because of their age or for want of room.", "type", "why"),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatecast_photo_failures_total", Help: "Photos that the disk did not take.",
		}),
		bytes: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_photo_bytes", Help: "Room that the photos take, as of the latest look at all files and what came since.",
		}, func() float64 { return float64(s.bytes.Load()) }),
	}
}

// Metrics returns what there is to register.
func (s *Store) Metrics() []prometheus.Collector {
	m := s.metrics
	return []prometheus.Collector{m.stored, m.refused, m.dropped, m.removed, m.failures, m.bytes}
}
