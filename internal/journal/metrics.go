package journal

import (
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// meters counts what the journal does.
type meters struct {
	appended   prometheus.Counter
	duplicates prometheus.Counter
	commits    prometheus.Counter
	latency    prometheus.Histogram
	commitTime prometheus.Histogram
	commitSize prometheus.Histogram
	gauges     []prometheus.Collector
}

func newMeters() *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_journal_" + name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatecast_journal_" + name, Help: help, Buckets: buckets})
	}
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 16)
	return &meters{
		appended:   counter("appended_total", "Events stored."),
		duplicates: counter("duplicates_total", "Events dropped because their ID was stored already."),
		commits:    counter("commits_total", "Commits to disk, each of one or more events."),
		latency:    histogram("append_seconds", "Time from Append to its answer, on disk.", seconds),
		commitTime: histogram("commit_seconds", "Time of one commit, fsync included.", seconds),
		commitSize: histogram("commit_events", "Events in one commit.", prometheus.ExponentialBuckets(1, 2, 11)),
	}
}

// watch adds the gauges that look at the journal when they are read.
func (m *meters) watch(j *Journal) {
	gauge := func(name, help string, f func() float64) {
		m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatecast_journal_" + name, Help: help}, f))
	}
	gauge("last_seq", "Newest event on disk.", func() float64 {
		last, _ := j.tail.end()
		return float64(last)
	})
	gauge("holes", "Stretches of lost events that nobody has accepted yet.", func() float64 {
		n, _ := j.holes.open()
		return float64(n)
	})
	gauge("free_disk_bytes", "Free space where the journal lies; -1 if not known.", func() float64 {
		return float64(j.health.free())
	})
	gauge("wait_seconds", "How long a new call must expect to wait for its turn.", func() float64 {
		return j.queue.expect(time.Now()).Seconds()
	})
	gauge("healthy", "1 if events can be stored and read.", func() float64 {
		if j.Ready() != nil {
			return 0
		}
		return 1
	})
}

func (m *meters) commit(events int, d time.Duration) {
	m.commits.Inc()
	m.commitSize.Observe(float64(events))
	m.commitTime.Observe(d.Seconds())
}

func (m *meters) stored(r gatecast.Receipt) {
	m.appended.Add(float64(r.Accepted))
	m.duplicates.Add(float64(r.Duplicates))
}

func (m *meters) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.appended, m.duplicates, m.commits, m.latency, m.commitTime, m.commitSize}, m.gauges...)
}
