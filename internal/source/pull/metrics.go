package pull

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

// metrics is what is counted of each source. Their names are labels: sources are
// made by operators, and few.
type metrics struct {
	events     *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	foreign    *prometheus.CounterVec
	unnumbered *prometheus.CounterVec
	rubbish    *prometheus.CounterVec
	codes      *prometheus.CounterVec
	unstored   *prometheus.CounterVec
	logins     *prometheus.CounterVec
	unknown    *prometheus.CounterVec
	states     *stateCollector
}

func newMetrics(f *Follower) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_pull_" + name, Help: help}, labels)
	}
	return &metrics{
		events:     counter("events_total", "Events that a server pushed and that are on disk.", "source", "kind"),
		duplicates: counter("duplicates_total", "Events that a server pushed and that the journal had already.", "source"),
		foreign:    counter("foreign_total", "Events of other companies, which were not taken.", "source"),
		unnumbered: counter("unnumbered_total", "Events that came without a number: a look at the server cannot recognize them.", "source"),
		rubbish:    counter("rubbish_total", "Messages that could not be understood and went to the quarantine.", "source"),
		codes:      counter("unknown_codes_total", "Messages with a code that is not known here.", "source"),
		unstored:   counter("unstored_total", "Events that were received and could not be stored before the end.", "source"),
		logins:     counter("logins_total", "Attempts to connect, by what came of them.", "source", "result"),
		unknown:    counter("unknown_values_total", "Values outside the protocol's tables, accepted all the same, by field.", "field"),
		states:     &stateCollector{follower: f},
	}
}

func (m *metrics) bySource() []*prometheus.CounterVec {
	return []*prometheus.CounterVec{m.events, m.duplicates, m.foreign, m.unnumbered, m.rubbish, m.codes, m.unstored, m.logins}
}

func (m *metrics) login(source, result string) { m.logins.WithLabelValues(source, result).Inc() }

// stored counts events that are on disk. Which of them the journal had is not
// told, so duplicates count as events too.
func (m *metrics) stored(source string, events []gatecast.Event, r gatecast.Receipt) {
	for i := range events {
		m.events.WithLabelValues(source, events[i].Kind.String()).Inc()
	}
	m.duplicates.WithLabelValues(source).Add(float64(r.Duplicates))
}

// forget drops what was counted of a source that is gone.
func (m *metrics) forget(source string) {
	for _, v := range m.bySource() {
		v.DeletePartialMatch(prometheus.Labels{"source": source})
	}
}

// Metrics returns what there is to register.
func (f *Follower) Metrics() []prometheus.Collector {
	all := []prometheus.Collector{f.metrics.unknown, f.metrics.states}
	for _, v := range f.metrics.bySource() {
		all = append(all, v)
	}
	return all
}

// stateCollector tells how the sources stand when it is asked.
type stateCollector struct{ follower *Follower }

func (c *stateCollector) descriptions() (live, waiting, sign *prometheus.Desc) {
	labels := []string{"source"}
	return prometheus.NewDesc("gatecast_pull_live", "1 if the source is connected, and nothing is held against it.", labels, nil),
		prometheus.NewDesc("gatecast_pull_waiting_events", "Events of the source that wait for the journal.", labels, nil),
		prometheus.NewDesc("gatecast_pull_last_sign_seconds", "Time since anything came from the source.", labels, nil)
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
	now := time.Now()
	live, waiting, sign := c.descriptions()
	for _, w := range c.follower.all() {
		st := w.state(now)
		up := 0.0
		if st.Status == gatecast.SourceLive {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(live, prometheus.GaugeValue, up, w.name)
		to <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(w.inbox.waiting()), w.name)
		if !st.LastSign.IsZero() {
			to <- prometheus.MustNewConstMetric(sign, prometheus.GaugeValue, now.Sub(st.LastSign).Seconds(), w.name)
		}
	}
}
