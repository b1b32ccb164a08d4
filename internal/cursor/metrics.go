package cursor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters counts what the store does.
type meters struct {
	cursors   prometheus.Collector
	commits   prometheus.Counter
	failures  prometheus.Counter
	forgotten prometheus.Counter
	seconds   prometheus.Histogram
}

func newMeters(t *table) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_cursor_" + name, Help: help})
	}
	return &meters{
		cursors: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_cursor_cursors",
			Help: "Cursors there are.",
		}, func() float64 { return float64(t.size()) }),
		commits:   counter("commits_total", "Commits: rounds in which every drawer that had changed was written."),
		failures:  counter("commit_failures_total", "Commits that failed and were tried again."),
		forgotten: counter("forgotten_total", "Cursors forgotten because there were too many, those idle longest."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gatecast_cursor_commit_seconds",
			Help:    "Time of one commit, fsyncs included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
}

func (m *meters) committed(d time.Duration) {
	m.commits.Inc()
	m.seconds.Observe(d.Seconds())
}

func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.cursors, m.commits, m.failures, m.forgotten, m.seconds}
}
