package push

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// metrics is what this door counts. All labels come from closed sets.
type metrics struct {
	events     *prometheus.CounterVec
	duplicates prometheus.Counter
	rejected   *prometheus.CounterVec
	shed       *prometheus.CounterVec
	unknown    *prometheus.CounterVec
	duration   prometheus.Histogram
	inflight   prometheus.Gauge
}

func newMetrics() *metrics {
	return &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_ingest_events_total",
			Help: "Events taken in and answered for, duplicates included.",
		}, []string{"source", "kind"}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatecast_ingest_duplicates_total",
			Help: "Events dropped because the journal already held their ID.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_ingest_rejected_total",
			Help: "Requests refused as a whole, by error code; \"canceled\" if a simulator was stopped first.",
		}, []string{"code"}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_ingest_shed_total",
			Help: "Requests answered 503, by how far they had come: \"door\" before their body was read, \"body\" for lack of memory or time to read it, \"journal\" when their events were to be stored.",
		}, []string{"at"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_ingest_unknown_values_total",
			Help: "Values outside the protocol's tables, accepted all the same, by field.",
		}, []string{"field"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gatecast_ingest_request_duration_seconds",
			Help:    "Time from the headers of a request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatecast_ingest_inflight_bytes",
			Help: "Bytes reserved for the bodies of requests at work.",
		}),
	}
}

// stored counts events that are on disk.
func (m *metrics) stored(source string, events []gatecast.Event) {
	for _, kind := range gatecast.Kinds() {
		n := 0
		for i := range events {
			if events[i].Kind == kind {
				n++
			}
		}
		if n > 0 {
			m.events.WithLabelValues(source, kind.String()).Add(float64(n))
		}
	}
}

// done counts the end of one body.
func (m *metrics) done(ctx context.Context, r gatecast.Receipt, err error) {
	switch {
	case err == nil:
		m.duplicates.Add(float64(r.Duplicates))
	case wentAway(ctx, err):
		m.rejected.WithLabelValues("canceled").Inc()
	default:
		m.rejected.WithLabelValues(gatecast.CodeOf(err).String()).Inc()
	}
}

// turnedAway counts a request that is answered 503, and no other.
func (m *metrics) turnedAway(err error, at string) {
	if err != nil && gatecast.CodeOf(err) == gatecast.Unavailable {
		m.shed.WithLabelValues(at).Inc()
	}
}

// Metrics returns what there is to register.
func (h *Handler) Metrics() []prometheus.Collector {
	m := h.metrics
	return []prometheus.Collector{m.events, m.duplicates, m.rejected, m.shed, m.unknown, m.duration, m.inflight}
}
