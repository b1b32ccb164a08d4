package image

import "github.com/prometheus/client_golang/prometheus"

// metrics is what is counted of each source. Their names are labels: sources are
// made by operators, and few.
type metrics struct {
	asked   *prometheus.CounterVec
	lost    *prometheus.CounterVec
	waiting *prometheus.GaugeVec
}

func newMetrics() *metrics {
	return &metrics{
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_image_asked_total", Help: "Images asked of a source, by what came of it.",
		}, []string{"source", "result"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_image_lost_total", Help: "Images that events of a source name and that are not fetched any more, by reason.",
		}, []string{"source", "why"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gatecast_image_waiting", Help: "Images of a source that are still to be fetched, 1000 of them and a few at most.",
		}, []string{"source"}),
	}
}

// forget drops what was counted of a source that is gone.
func (m *metrics) forget(source string) {
	of := prometheus.Labels{"source": source}
	m.asked.DeletePartialMatch(of)
	m.lost.DeletePartialMatch(of)
	m.waiting.DeletePartialMatch(of)
}

// Metrics returns what there is to register.
func (f *Fetcher) Metrics() []prometheus.Collector {
	return []prometheus.Collector{f.metrics.asked, f.metrics.lost, f.metrics.waiting}
}
