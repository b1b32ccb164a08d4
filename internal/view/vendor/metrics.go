package vendor

import "github.com/prometheus/client_golang/prometheus"

// metrics is what this door counts. All labels come from closed sets.
type metrics struct {
	refused *prometheus.CounterVec
	images  *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_vendor_" + name, Help: help}, []string{label})
	}
	return &metrics{
		refused: counter("refused_total", "REST calls of the vendor's that were not let in, by reason.", "reason"),
		images:  counter("images_total", "Images asked for by those who were let in, by what came of it.", "result"),
	}
}

// Metrics returns what there is to register.
func (d *Door) Metrics() []prometheus.Collector {
	return []prometheus.Collector{d.metrics.refused, d.metrics.images}
}
