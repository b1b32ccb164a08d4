package ws

import (
	"errors"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	opened    prometheus.Counter
	encoded   prometheus.Counter
	pushed    prometheus.Counter
	replays   prometheus.Counter
	lost      prometheus.Counter
	confirmed prometheus.Counter
	gaps      *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	closes    *prometheus.CounterVec
	cuts      *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatecast_websocket_" + name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatecast_websocket_" + name, Help: help}, []string{label})
	}
	return &metrics{
		opened:    counter("connections_total", "Connections accepted."),
		encoded:   counter("frames_encoded_total", "Frames made for live events."),
		pushed:    counter("deliveries_total", "Events handed to sockets."),
		replays:   counter("replay_turns_total", "Turns of connections at the journal."),
		lost:      counter("lost_positions_total", "Positions that consumers were not sent because of retention or their window."),
		confirmed: counter("confirmations_total", "Pings answered with their payload."),
		gaps:      vector("gaps_total", "Times that a consumer could not go on where it was, by reason.", "reason"),
		refusals:  vector("refused_total", "Connections refused, by reason.", "reason"),
		closes:    vector("closed_total", "Connections ended, by close code; 0 without one.", "code"),
		cuts:      vector("cut_total", "Connections cut by the server, by reason.", "reason"),
	}
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

func (m *metrics) cut(reason string) { m.cuts.WithLabelValues(reason).Inc() }

// gap counts a loss. Positions of two journals cannot be subtracted.
func (m *metrics) gap(g gatecast.GapNotice) {
	m.gaps.WithLabelValues(string(g.Reason)).Inc()
	if g.Reason == gatecast.GapRetention || g.Reason == gatecast.GapWindow {
		m.lost.Add(float64(g.To - min(g.From, g.To)))
	}
}

// delivered counts events taken by a socket.
func (m *metrics) delivered(n int) {
	if n > 0 {
		m.pushed.Add(float64(n))
	}
}

func (m *metrics) closed(err error) {
	var ce *wsconn.CloseError
	code := 0
	if errors.As(err, &ce) {
		code = int(ce.Code)
		if code >= 3000 { // a client's own codes: one label for all, they are chosen by strangers
			code = 3000
		}
	}
	m.closes.WithLabelValues(strconv.Itoa(code)).Inc()
}

// Metrics returns the server's collectors.
func (s *Server) Metrics() []prometheus.Collector {
	m := s.metrics
	return []prometheus.Collector{
		m.opened, m.encoded, m.pushed, m.replays, m.lost, m.confirmed, m.gaps, m.refusals, m.closes, m.cuts,
		modes{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatecast_websocket_connections",
			Help: "Connections that are open.",
		}, func() float64 { return float64(s.Connections()) }),
	}
}
