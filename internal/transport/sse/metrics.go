package sse

import (
	"errors"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// cut is why the server broke off a stream, as metrics count it. It is the
// error of a stream that ends so.
type cut string

const (
	cutStalled cut = "stalled" // its reader took nothing for Options.Stall
	cutApp     cut = "app"     // its app was disabled or deleted
	cutToken   cut = "token"   // its token was deleted or may no longer read
	cutDrain   cut = "drain"   // it was still behind when the time for stopping was over
	cutClosing cut = "closing" // the server ended without draining
)

// Error returns the reason.
func (c cut) Error() string { return "cut by the server: " + string(c) }

type metrics struct {
	opened   prometheus.Counter
	events   prometheus.Counter
	lost     prometheus.Counter
	refusals *prometheus.CounterVec
	cuts     *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_sse_" + name, Help: help})
	}
	vector := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_sse_" + name, Help: help}, []string{"reason"})
	}
	return &metrics{
		opened:   counter("connections_total", "Event streams begun."),
		events:   counter("events_total", "Events written to event streams."),
		lost:     counter("lost_positions_total", "Positions that event streams lost to retention."),
		refusals: vector("refused_total", "Requests for an event stream refused, by reason."),
		cuts:     vector("cut_total", "Event streams broken off by the server, by reason."),
	}
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

// ended counts a stream's end if it was the server's doing.
func (m *metrics) ended(err error) {
	var c cut
	if errors.As(err, &c) {
		m.cuts.WithLabelValues(string(c)).Inc()
	}
}

// gap counts what a reader lost. A position of another journal says nothing
// about how much that is.
func (m *metrics) gap(g *gatecast.GapNotice) {
	if g.Reason == gatecast.GapRetention && g.To > g.From {
		m.lost.Add(float64(g.To - g.From))
	}
}

// Metrics returns the server's collectors.
func (s *Server) Metrics() []prometheus.Collector {
	m := s.metrics
	return []prometheus.Collector{
		m.opened, m.events, m.lost, m.refusals, m.cuts,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_sse_connections",
			Help: "Event streams that are open.",
		}, func() float64 { return float64(s.Connections()) }),
	}
}
