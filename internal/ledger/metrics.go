package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters counts what the store does.
type meters struct {
	dead     prometheus.Collector
	leading  prometheus.Collector
	commits  prometheus.Counter
	failures prometheus.Counter
	dropped  prometheus.Counter
	seconds  prometheus.Histogram
}

func newMeters(s *Store) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_ledger_" + name, Help: help})
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatecast_ledger_" + name, Help: help}, value)
	}
	return &meters{
		dead: gauge("dead_letters", "Dead letters kept, of all subscriptions.", func() float64 { return float64(s.index.size()) }),
		leading: gauge("leading", "1 if this node is the one that delivers to subscriptions, else 0.", func() float64 {
			if s.lease.leads() {
				return 1
			}
			return 0
		}),
		commits:  counter("commits_total", "Commits: rounds in which all progress that had changed was written."),
		failures: counter("commit_failures_total", "Commits that failed and were tried again."),
		dropped:  counter("dead_letters_dropped_total", "Dead letters dropped because a subscription had too many, the oldest first."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gatecast_ledger_commit_seconds",
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
	return []prometheus.Collector{m.dead, m.leading, m.commits, m.failures, m.dropped, m.seconds}
}
