// Package pull follows SenseLink servers of the old generation: it connects to
// their WebSocket push as any of their clients does, and takes what they push.
//
// It owns the connections: when one is made, what is read from it, and when it
// counts as dead. It never stores an event itself (see Journal), and never asks
// a server for what it has missed: these servers push to who is connected, and
// source/reconcile sees to the rest. Start at [Follower.Run], then read
// worker.go for the life of a source and visit.go for that of a connection.
package pull

import (
	"cmp"
	"context"
	"crypto/tls"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Sources knows the servers there are.
type Sources interface {
	Source(name string) (*gatecast.Source, bool)
	Sources() []*gatecast.Source
	// SourceChanges yields the name of each source that was made, changed,
	// paused, resumed or deleted after the call, until ctx ends.
	SourceChanges(ctx context.Context) iter.Seq[string]
}

// Journal stores events.
type Journal interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk. Its errors are gatecast errors.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
	// Accepting returns nil, or why Append would answer Unavailable at this
	// moment. It costs nothing.
	Accepting() error
}

// Quarantine keeps what could not be understood. It does not fail, and does not
// keep the slice.
type Quarantine interface {
	Put(source, reason string, body []byte)
}

// Parts is what a Follower works with.
type Parts struct {
	Sources    Sources
	Journal    Journal
	Quarantine Quarantine
}

// Options tunes a Follower. The zero value suits.
type Options struct {
	Decode senselink.Options // limits, numbering, and the zone of sources that name none

	DialTimeout     time.Duration // for a connection with its handshake; default 20 s
	DeadAfter       time.Duration // a server that was silent for so long is dialled anew, and a third of it lies between two Pings; default 90 s
	LoginsPerMinute int           // handshakes with one server in any minute; default 6
	MaxPause        time.Duration // between two attempts to connect after many failures; default 30 s
	MaxMessage      int           // bytes of a message; larger ones are passed over; default 1 MiB
	StoreTimeout    time.Duration // how long the journal may take before it is asked again; default 10 s

	TLS  *tls.Config // for wss; default: the system's certificate authorities
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// OnConnect is called each time a server has let us in, before any of its
	// events is taken. What happened while there was no connection is then to be
	// fetched by other ways. It must not block. Default: nothing.
	OnConnect func(name string)

	Rand func() float64 // from [0,1), safe for concurrent use; default math/rand/v2
	Log  *slog.Logger   // default: discard
}

func (o Options) withDefaults() Options {
	if o.Decode.IDs == nil {
		o.Decode.IDs = new(senselink.Counter)
	}
	o.DialTimeout = cmp.Or(o.DialTimeout, 20*time.Second)
	o.DeadAfter = cmp.Or(o.DeadAfter, 90*time.Second)
	o.LoginsPerMinute = cmp.Or(o.LoginsPerMinute, 6)
	o.MaxPause = cmp.Or(o.MaxPause, 30*time.Second)
	o.MaxMessage = cmp.Or(o.MaxMessage, 1<<20)
	o.StoreTimeout = cmp.Or(o.StoreTimeout, 10*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.OnConnect == nil {
		o.OnConnect = func(string) {}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Follower follows every source of the kind [gatecast.SourceWebSocket].
type Follower struct {
	Parts
	opts    Options
	metrics *metrics

	// mu guards workers. It is held only for map work.
	mu      sync.Mutex
	workers map[string]*worker
}

// New makes a Follower. It connects to nothing before [Follower.Run].
func New(p Parts, o Options) *Follower {
	f := &Follower{Parts: p, opts: o.withDefaults(), workers: make(map[string]*worker)}
	f.metrics = newMetrics(f)
	f.opts.Decode.Unknown = func(field string) { f.metrics.unknown.WithLabelValues(field).Inc() }
	return f
}
