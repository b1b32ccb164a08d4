package push

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// receiverMetrics is what is counted of each source that posts. Their names are
// labels: sources are made by operators, and few.
type receiverMetrics struct {
	events     *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	foreign    *prometheus.CounterVec
	unnumbered *prometheus.CounterVec
	rubbish    *prometheus.CounterVec
	refused    *prometheus.CounterVec
	unknown    *prometheus.CounterVec
	strangers  prometheus.Counter
	duration   prometheus.Histogram
}

func newReceiverMetrics() *receiverMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_receiver_" + name, Help: help}, labels)
	}
	return &receiverMetrics{
		events:     counter("events_total", "Events that a server posted and that are on disk, duplicates included.", "source", "kind"),
		duplicates: counter("duplicates_total", "Events that a server posted and that the journal had already.", "source"),
		foreign:    counter("foreign_total", "Events of other companies, which were not taken.", "source"),
		unnumbered: counter("unnumbered_total", "Events that came without a number: a look at the server cannot recognize them.", "source"),
		rubbish:    counter("rubbish_total", "Posts that could not be understood and went to the quarantine.", "source"),
		refused:    counter("refused_total", "Posts not answered with 200, by error code. The vendor's server stops after one.", "source", "code"),
		unknown:    counter("unknown_values_total", "Values outside the protocol's tables, accepted all the same, by field.", "field"),
		strangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatecast_receiver_unknown_tokens_total", Help: "Posts to an address that is no source's.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatecast_receiver_duration_seconds", Help: "Time from the headers of a post to its answer. The vendor's server waits for 5 s.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
}

// stored counts events that are on disk.
func (m *receiverMetrics) stored(source string, events []gatecast.Event, r gatecast.Receipt) {
	for i := range events {
		m.events.WithLabelValues(source, events[i].Kind.String()).Inc()
	}
	m.duplicates.WithLabelValues(source).Add(float64(r.Duplicates))
}

// Metrics returns what there is to register.
func (rc *Receiver) Metrics() []prometheus.Collector {
	m := rc.metrics
	return []prometheus.Collector{
		m.events, m.duplicates, m.foreign, m.unnumbered, m.rubbish, m.refused, m.unknown, m.strangers, m.duration,
	}
}
