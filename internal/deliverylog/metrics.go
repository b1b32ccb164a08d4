package deliverylog

import "github.com/prometheus/client_golang/prometheus"

// meters counts what the log does.
type meters struct {
	buffered prometheus.Collector
	written  prometheus.Counter
	dropped  *prometheus.CounterVec
	full     prometheus.Counter // of dropped
	disk     prometheus.Counter // of dropped
	invalid  prometheus.Counter // of dropped
}

func newMeters(l *Log) *meters {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatecast_deliverylog_dropped_total",
		Help: "Attempts that are not kept: too many waited to be written (full), the disk did not take them (disk), or they belong to no subscription (invalid).",
	}, []string{"reason"})
	return &meters{
		buffered: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_deliverylog_buffered",
			Help: "Attempts in memory that wait to be written.",
		}, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return float64(l.buffered)
		}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatecast_deliverylog_written_total",
			Help: "Attempts written to a file.",
		}),
		dropped: dropped,
		full:    dropped.WithLabelValues("full"),
		disk:    dropped.WithLabelValues("disk"),
		invalid: dropped.WithLabelValues("invalid"),
	}
}

func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.buffered, m.written, m.dropped}
}
