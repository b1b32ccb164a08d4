package device

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
)

type metrics struct {
	changes *prometheus.CounterVec
	evicted prometheus.Counter
	devices *gauges
}

func newMetrics(t *Tracker) *metrics {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatecast_device_changes_total", Help: "Times that a device came into a state.",
		}, []string{"state"}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatecast_devices_evicted_total", Help: "Devices forgotten because there were more than devices.max.",
		}),
		devices: &gauges{t, prometheus.NewDesc("gatecast_devices", "Devices, by state.", []string{"state"}, nil)},
	}
	for _, state := range gatecast.FreshStates() {
		m.changes.WithLabelValues(string(state))
	}
	return m
}

// Metrics returns the tracker's collectors.
func (t *Tracker) Metrics() []prometheus.Collector {
	return []prometheus.Collector{t.metrics.changes, t.metrics.evicted, t.metrics.devices}
}

// gauges counts the devices when somebody asks.
type gauges struct {
	tracker *Tracker
	desc    *prometheus.Desc
}

// Describe is part of prometheus.Collector.
func (g *gauges) Describe(c chan<- *prometheus.Desc) { c <- g.desc }

// Collect is part of prometheus.Collector.
func (g *gauges) Collect(c chan<- prometheus.Metric) {
	counts := g.tracker.count()
	for _, state := range gatecast.FreshStates() {
		c <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}

func (t *Tracker) count() map[gatecast.Fresh]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := map[gatecast.Fresh]int{}
	for _, d := range t.known.devices {
		if !d.Gone {
			counts[d.State.State]++
		}
	}
	return counts
}
