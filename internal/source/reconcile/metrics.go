package reconcile

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what is counted of each source. Their names are labels: sources are
// made by operators, and few.
type metrics struct {
	looks    *prometheus.CounterVec
	filled   *prometheus.CounterVec
	lost     *prometheus.CounterVec
	nameless *prometheus.CounterVec
	through  *throughCollector
}

func newMetrics(r *Reconciler) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_reconcile_" + name, Help: help}, labels)
	}
	return &metrics{
		looks:    counter("looks_total", "Times a source was asked what it has, by what came of it.", "source", "result"),
		filled:   counter("filled_total", "Events that a source had not pushed and that were fetched.", "source"),
		lost:     counter("lost_total", "Events that a source had and lost before they could be fetched.", "source"),
		nameless: counter("set_aside_total", "Rows that could not be understood and went to the quarantine.", "source"),
		through:  &throughCollector{rec: r},
	}
}

func (m *metrics) bySource() []*prometheus.CounterVec {
	return []*prometheus.CounterVec{m.looks, m.filled, m.lost, m.nameless}
}

func (m *metrics) looked(source string, err error, withheld bool) {
	result := "ok"
	switch {
	case err != nil:
		result = "failed"
	case withheld:
		result = "withheld"
	}
	m.looks.WithLabelValues(source, result).Inc()
}

// forget drops what was counted of a source that is gone.
func (m *metrics) forget(source string) {
	for _, v := range m.bySource() {
		v.DeletePartialMatch(prometheus.Labels{"source": source})
	}
}

// Metrics returns what there is to register.
func (r *Reconciler) Metrics() []prometheus.Collector {
	all := []prometheus.Collector{r.metrics.through}
	for _, v := range r.metrics.bySource() {
		all = append(all, v)
	}
	return all
}

// throughCollector tells what the statements say when it is asked. A source of
// which nothing can be said has no age.
type throughCollector struct{ rec *Reconciler }

func (c *throughCollector) age() *prometheus.Desc {
	return prometheus.NewDesc("gatecast_reconcile_through_age_seconds",
		"Time since the moment up to which everything of a source is in the journal.", []string{"source"}, nil)
}

func (c *throughCollector) notOurs() *prometheus.Desc {
	return prometheus.NewDesc("gatecast_reconcile_not_ours_numbers",
		"Numbers between those of a source's events under which it lists nothing.", []string{"source"}, nil)
}

// Describe is part of prometheus.Collector.
func (c *throughCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.age()
	to <- c.notOurs()
}

// Collect is part of prometheus.Collector.
func (c *throughCollector) Collect(to chan<- prometheus.Metric) {
	for _, w := range c.rec.all() {
		st := w.statement()
		if !st.Through.IsZero() {
			to <- prometheus.MustNewConstMetric(c.age(), prometheus.GaugeValue, time.Since(st.Through).Seconds(), w.name)
		}
		to <- prometheus.MustNewConstMetric(c.notOurs(), prometheus.GaugeValue, float64(st.NotOurs), w.name)
	}
}
