package hooks

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// metrics never has a subscription's ID for a label: there are too many of them.
type metrics struct {
	attempts *prometheus.CounterVec // by outcome
	took     prometheus.Histogram
	events   prometheus.Counter
	flying   prometheus.Gauge
	aside    prometheus.Counter
	lost     prometheus.Counter
	unsaid   prometheus.Counter
	changes  *prometheus.CounterVec // by status
	states   *stateCollector
}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_hooks_attempts_total", Help: "Requests to subscribers' URLs, by what came of them.",
		}, []string{"outcome"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatecast_hooks_answer_seconds", Help: "Time until a subscriber answered, or until the request failed.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
		events: counter("gatecast_hooks_delivered_events_total", "Events that subscribers have taken."),
		flying: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatecast_hooks_requests_in_flight", Help: "Requests under way or waiting for a permit."}),
		aside:  counter("gatecast_hooks_dead_letters_total", "Events that were set aside after their receiver refused them again and again."),
		lost:   counter("gatecast_hooks_lost_positions_total", "Positions of the journal that were removed before a subscription could be sent them."),
		unsaid: counter("gatecast_hooks_notices_dropped_total", "Notices that were dropped because the journal took none."),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_hooks_status_changes_total", Help: "Subscriptions that came to a status.",
		}, []string{"status"}),
		states: &stateCollector{server: s},
	}
	for _, o := range []gatecast.Outcome{gatecast.Delivered, gatecast.Refused, gatecast.Unreachable, gatecast.Gone} {
		m.attempts.WithLabelValues(string(o))
	}
	return m
}

func (m *metrics) attempt(x *gatecast.Exchange) {
	m.attempts.WithLabelValues(string(x.Outcome)).Inc()
	m.took.Observe(x.Took.Seconds())
	if x.Outcome == gatecast.Delivered {
		m.events.Add(float64(x.Events))
	}
}

// Metrics returns the server's collectors.
func (s *Server) Metrics() []prometheus.Collector {
	m := s.metrics
	return []prometheus.Collector{m.attempts, m.took, m.events, m.flying, m.aside, m.lost, m.unsaid, m.changes, m.states}
}

// stateCollector counts the subscriptions of this node when it is asked.
type stateCollector struct{ server *Server }

func (c *stateCollector) descriptions() (byStatus, lagEvents, lagSeconds *prometheus.Desc) {
	return prometheus.NewDesc("gatecast_hooks_subscriptions", "Subscriptions that this node delivers, by status.", []string{"status"}, nil),
		prometheus.NewDesc("gatecast_hooks_max_lag_events", "How many positions the subscription is behind that is furthest behind; paused ones do not count.", nil, nil),
		prometheus.NewDesc("gatecast_hooks_max_lag_seconds", "Age of the oldest event that a subscription has not been delivered; paused ones do not count.", nil, nil)
}

// Describe is part of prometheus.Collector.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	a, b, d := c.descriptions()
	to <- a
	to <- b
	to <- d
}

// Collect is part of prometheus.Collector.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	counts := map[gatecast.SubscriptionStatus]int{
		gatecast.SubscriptionActive: 0, gatecast.SubscriptionRetrying: 0, gatecast.SubscriptionDegraded: 0, gatecast.SubscriptionPaused: 0,
	}
	var events, seconds float64
	for _, id := range c.server.ids() {
		st := c.server.State(id)
		counts[st.Status]++
		if st.Status != gatecast.SubscriptionPaused {
			events, seconds = max(events, float64(st.LagEvents)), max(seconds, st.Lag.Seconds())
		}
	}
	byStatus, lagEvents, lagSeconds := c.descriptions()
	for status, n := range counts {
		to <- prometheus.MustNewConstMetric(byStatus, prometheus.GaugeValue, float64(n), string(status))
	}
	to <- prometheus.MustNewConstMetric(lagEvents, prometheus.GaugeValue, events)
	to <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, seconds)
}

func (s *Server) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.workers))
	for id := range s.workers {
		ids = append(ids, id)
	}
	return ids
}
