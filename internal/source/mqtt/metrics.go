package mqtt

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// metrics is what this door counts. All labels come from closed sets.
type metrics struct {
	events     *prometheus.CounterVec
	duplicates prometheus.Counter
	rubbish    *prometheus.CounterVec
	lost       prometheus.Counter
	refused    *prometheus.CounterVec
	ended      *prometheus.CounterVec
	unknown    *prometheus.CounterVec
	duration   prometheus.Histogram
	batch      prometheus.Histogram
}

func newMetrics() *metrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "gatecast_mqtt_" + name, Help: help}
	}
	return &metrics{
		events:     prometheus.NewCounterVec(opts("events_total", "Events that devices published and that are on disk, duplicates included."), []string{"kind"}),
		duplicates: prometheus.NewCounter(opts("duplicates_total", "Events that devices published and that the journal had already.")),
		rubbish:    prometheus.NewCounterVec(opts("rubbish_total", "Messages that went to the quarantine, and were acknowledged: \"topic\" of none that there is, \"size\" larger than a message may be, \"payload\" not understood."), []string{"why"}),
		lost:       prometheus.NewCounter(opts("lost_total", "Events of quality 0 that could not be stored. Nobody sends them again.")),
		refused:    prometheus.NewCounterVec(opts("refused_total", "What was refused to clients: \"login\", \"version\" of the protocol, \"identifier\", \"full\" for want of a place, \"journal\" while it takes nothing, \"device\" that is not the user's."), []string{"why"}),
		ended:      prometheus.NewCounterVec(opts("connections_ended_total", "Connections that have ended, by reason."), []string{"why"}),
		unknown:    prometheus.NewCounterVec(opts("unknown_values_total", "Values outside the protocol's tables, accepted all the same, by field."), []string{"field"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatecast_mqtt_store_duration_seconds", Help: "Time from a client's messages to their acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatecast_mqtt_batch_events", Help: "Events of one client that were stored together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
}

// stored counts events that are on disk.
func (m *metrics) stored(events []gatecast.Event, r gatecast.Receipt) {
	for i := range events {
		m.events.WithLabelValues(events[i].Kind.String()).Inc()
	}
	m.duplicates.Add(float64(r.Duplicates))
	m.batch.Observe(float64(len(events)))
}

// Metrics returns what there is to register.
func (s *Server) Metrics() []prometheus.Collector {
	m := s.metrics
	memory := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatecast_mqtt_inflight_bytes", Help: "Bytes of the messages at work.",
	}, func() float64 { return float64(s.budget.spent()) })
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatecast_mqtt_connections", Help: "Clients that are signed in.",
	}, func() float64 { return float64(s.Connections()) })
	return []prometheus.Collector{m.events, m.duplicates, m.rubbish, m.lost, m.refused, m.ended, m.unknown, m.duration, m.batch, memory, connections}
}
