package ws

import (
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus"
)

// stalledAfter is how long a socket may take nothing before the list calls it
// stalled.
const stalledAfter = 3 * time.Second

// List returns the connections as they stand, in no order.
func (s *Server) List() []gatecast.Connection {
	now, head := s.opts.Now(), s.ring.Head()
	conns := s.roster.all()
	list := make([]gatecast.Connection, 0, len(conns))
	buf := make([]*gatecast.Event, 0, 1)
	for _, c := range conns {
		list = append(list, s.describe(c, head, now, buf))
	}
	return list
}

func (s *Server) describe(c *conn, head gatecast.Seq, now time.Time, buf []*gatecast.Event) gatecast.Connection {
	pos := c.position()
	d := gatecast.Connection{
		App: c.who.app, Client: c.who.asked.Client, Remote: c.who.remote, Transport: "websocket", Connected: c.who.connected,
		Mode: c.mode(), Confirmation: c.confirmation(),
		Start: gatecast.Seq(c.trail.start.Load()), Position: pos, Confirmed: gatecast.Seq(c.receipt.confirmed.Load()),
		Events: c.trail.events.Load(), Bytes: c.sock.Stats().BytesOut,
	}
	if pos < head {
		d.LagEvents = uint64(head - pos)
		d.Lag = s.lag(pos, now, buf)
	}
	return d
}

// lag returns how old the first event after a position is: at least as old as
// the oldest in memory, if it is no longer there itself.
func (s *Server) lag(pos gatecast.Seq, now time.Time, buf []*gatecast.Event) time.Duration {
	if events, ok := s.ring.Window(max(pos, s.ring.Floor()), buf[:0]); ok && len(events) > 0 {
		return now.Sub(events[0].Stored)
	}
	return 0
}

func (c *conn) mode() gatecast.Mode {
	if since := c.sock.StalledSince(); !since.IsZero() && time.Since(since) >= stalledAfter {
		return gatecast.ModeStalled
	}
	if c.state() == level {
		return gatecast.ModeLive
	}
	return gatecast.ModeCatchingUp
}

func (c *conn) confirmation() gatecast.Confirmation {
	r := &c.receipt
	switch {
	case r.acks != nil:
		return gatecast.ConfirmAck
	case r.silent.Load():
		return gatecast.ConfirmNone
	case r.answered.Load():
		return gatecast.ConfirmPong
	}
	return gatecast.ConfirmPending
}

// modes counts connections by what they are doing, when somebody asks.
type modes struct{ server *Server }

func (modes) descriptions() (mode, unconfirmed, lag *prometheus.Desc) {
	mode = prometheus.NewDesc("gatecast_websocket_mode_connections", "Connections by what they are doing.", []string{"mode"}, nil)
	unconfirmed = prometheus.NewDesc("gatecast_websocket_unconfirmed_connections", "Connections that never confirm what they are sent.", nil, nil)
	lag = prometheus.NewDesc("gatecast_websocket_lag_events", "Positions by which the connection that is furthest behind is behind.", nil, nil)
	return mode, unconfirmed, lag
}

// Describe is part of prometheus.Collector, as is Collect.
func (m modes) Describe(ch chan<- *prometheus.Desc) {
	mode, unconfirmed, lag := m.descriptions()
	ch <- mode
	ch <- unconfirmed
	ch <- lag
}

// Collect counts anew each time: a scrape is rarer than any change.
func (m modes) Collect(ch chan<- prometheus.Metric) {
	mode, unconfirmed, lag := m.descriptions()
	count := map[gatecast.Mode]int{gatecast.ModeLive: 0, gatecast.ModeCatchingUp: 0, gatecast.ModeStalled: 0}
	var silent, behind uint64
	for _, c := range m.server.List() {
		count[c.Mode]++
		behind = max(behind, c.LagEvents)
		if c.Confirmation == gatecast.ConfirmNone {
			silent++
		}
	}
	for name, n := range count {
		ch <- prometheus.MustNewConstMetric(mode, prometheus.GaugeValue, float64(n), string(name))
	}
	ch <- prometheus.MustNewConstMetric(unconfirmed, prometheus.GaugeValue, float64(silent))
	ch <- prometheus.MustNewConstMetric(lag, prometheus.GaugeValue, float64(behind))
}
