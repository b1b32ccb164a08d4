package app

import (
	"context"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast/internal/bucket"
)

// openTurn opens what the nodes of a cluster share about the sources: whose turn
// it is to follow them, and what is known of each.
func (p *parts) openTurn(ctx context.Context) (*bucket.Lease, *bucket.Notes, error) {
	b, err := bucket.Open(ctx, p.journal.JetStream(), bucket.Options{
		Name: "gatecast_sources", About: "gatecast: which node follows the sources, and what is known of each", Replicas: p.cfg.Journal.Replicas,
	})
	if err != nil {
		return nil, nil, err
	}
	turn := bucket.NewLease(b, bucket.LeaseOptions{Work: "follows the sources", Node: p.nodeName(), Log: p.log})
	return turn, bucket.NewNotes(b, "note."), nil
}

// nodeName names this node for people: what it is called and where it listens.
func (p *parts) nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		return p.cfg.Server.Listen
	}
	_, port, err := net.SplitHostPort(p.cfg.Server.Listen)
	if err != nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// here reports whether this node follows the sources.
func (u *upstreams) here() bool { return u.turn == nil || u.turn.Held() }

// Leads reports whether this node raises the alarms of absent devices: the one
// that knows how their sources stand.
func (u *upstreams) Leads() bool { return u.here() }

// where says who does, on a node that does not.
func (u *upstreams) where() string {
	if name := u.turn.Holder(); name != "" {
		return "followed by another node (" + name + ")"
	}
	return "followed by no node at the moment"
}

// Metrics tells on which node of a cluster the sources are followed.
func (u *upstreams) Metrics() []prometheus.Collector {
	return []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatecast_sources_following", Help: "1 on the node that follows the sources, else 0.",
	}, func() float64 {
		if u.here() {
			return 1
		}
		return 0
	})}
}

// healthy returns nil, or why nobody can tell which node follows the sources.
func (u *upstreams) healthy() error {
	if u.turn == nil || u.turn.Healthy() == nil {
		return nil
	}
	return bucket.Unavailable(u.turn.Healthy())
}
