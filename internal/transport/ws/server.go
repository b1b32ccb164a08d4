// Package ws pushes events to SenseLink clients over WebSocket, exactly as the
// vendor's server does.
//
// It owns who is connected, how far each has been served, and when a frame is
// made. It never decides what an event is (see senselink), never touches a
// socket itself (see wsconn) and never stores anything. Start at
// [Server.ServeHTTP] for a connection's birth and at shard.run for its life.
package ws

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
	"golang.org/x/time/rate"
)

// Apps knows who may connect.
type Apps interface {
	// App returns the app with a key. It answers from memory.
	App(key string) (*gatecast.App, bool)
	// Changes yields the key of each app that was changed or deleted, until ctx
	// ends.
	Changes(ctx context.Context) iter.Seq[string]
}

// Ring is the newest stretch of events, in memory.
type Ring interface {
	Head() gatecast.Seq
	Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool)
	Listen() (moved <-chan struct{}, stop func())
}

// History reads events that have left the ring.
type History interface {
	// Oldest returns the position before which everything is gone.
	Oldest(ctx context.Context) (gatecast.Seq, error)
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
}

// Options tunes a Server. The zero value suits one site.
type Options struct {
	Heartbeat     time.Duration    // between heartbeats (code 10000 and Ping); default 30 s
	Jitter        float64          // share of Heartbeat by which it varies, 0 to 0.5; default 0
	DeadAfter     time.Duration    // silence after which a peer is cut; default 90 s
	MaxConns      int              // over all apps; one more is answered 503; default 20000
	MaxPerApp     int              // for apps without their own; one more gets 20002; default 1000
	MaxRefused    int              // clients being told 20002 at once; one more is answered 503; default 1000
	HandshakeRate float64          // upgrades per second, more get 503 with Retry-After; 0: no limit
	Origins       []string         // values of Origin to accept; empty: any
	Shards        int              // goroutines that push; default one per CPU
	Replayers     int              // connections that read the journal at once, others queue; default 4
	Conn          wsconn.Options   // of each connection, among them how long it may stall
	Now           func() time.Time // default time.Now
	Log           *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.Heartbeat = cmp.Or(o.Heartbeat, 30*time.Second)
	o.DeadAfter = cmp.Or(o.DeadAfter, 90*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 20_000)
	o.MaxPerApp = cmp.Or(o.MaxPerApp, 1_000)
	o.MaxRefused = cmp.Or(o.MaxRefused, 1_000)
	o.Shards = cmp.Or(o.Shards, runtime.GOMAXPROCS(0))
	o.Replayers = cmp.Or(o.Replayers, 4)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Server is the WebSocket door.
type Server struct {
	opts      Options
	apps      Apps
	ring      Ring
	roster    *roster // who is connected
	turned    *roster // who is being refused, all under one key
	shards    []*shard
	replays   *replayer
	metrics   *metrics
	pace      *rate.Limiter
	connected []*wsconn.Frame // the one of 20000
	next      atomic.Uint32   // shard of the next connection
	door      door            // shut: no new connections; inside: handshakes and sockets' readers
}

// restartReason is what stands beside close code 1012.
const restartReason = "service restart"

// New makes a Server. It pushes once [Server.Run] runs.
func New(apps Apps, ring Ring, history History, o Options) *Server {
	o = o.withDefaults()
	s := &Server{opts: o, apps: apps, ring: ring, metrics: newMetrics()}
	s.roster, s.turned = newRoster(o.MaxConns), newRoster(o.MaxRefused)
	s.connected = []*wsconn.Frame{wsconn.NewText([]byte(senselink.Connected))}
	s.pace = rate.NewLimiter(rate.Inf, 0)
	if o.HandshakeRate > 0 {
		s.pace = rate.NewLimiter(rate.Limit(o.HandshakeRate), max(1, int(o.HandshakeRate)))
	}
	s.replays = newReplayer(ring, history, o, s.metrics)
	frames := newFrames(s.metrics)
	for range o.Shards {
		s.shards = append(s.shards, newShard(apps, ring, frames, s.replays, o, s.metrics))
	}
	return s
}

// Run pushes events until ctx ends and every goroutine of the server has
// stopped. Connections that are still open then are aborted; see
// [Server.Drain] for the gentle way.
func (s *Server) Run(ctx context.Context) error {
	var work sync.WaitGroup
	for _, sh := range s.shards {
		work.Go(func() { sh.run(ctx) })
	}
	for range s.opts.Replayers {
		work.Go(func() { s.replays.run(ctx) })
	}
	work.Go(func() { s.heedChanges(ctx) })
	<-ctx.Done()
	s.door.end()
	for _, c := range append(s.roster.all(), s.turned.all()...) {
		c.sock.Abort()
	}
	s.door.wait()
	work.Wait()
	return ctx.Err()
}

// heedChanges holds connections to what their apps may have now.
func (s *Server) heedChanges(ctx context.Context) {
	for key := range s.apps.Changes(ctx) {
		s.heed(key, s.roster.of(key)...)
	}
}

// heed closes connections of an app that may no longer have them, and lets the
// others see the kinds that it may see now.
func (s *Server) heed(key string, conns ...*conn) {
	app, ok := s.apps.App(key)
	for _, c := range conns {
		switch {
		case !ok:
			c.sock.Close(wsconn.StatusPolicy, "app deleted")
		case !app.Enabled:
			c.sock.Close(wsconn.StatusPolicy, "app disabled")
		default:
			c.shard.post(note{conn: c, what: changed})
		}
	}
}

// Drain ends every connection with close code 1012 (service restart), in
// random order over the time spread, so that the clients do not come back all
// at once. A connection that is behind is sent the rest first; the last quarter
// of the time that ctx allows belongs to the closing handshakes, and whoever is
// still behind then is closed all the same. Drain returns when all connections
// are gone or ctx ends.
func (s *Server) Drain(ctx context.Context, spread time.Duration) {
	s.door.close()
	patience, cancel := mostOf(ctx)
	defer cancel()
	s.level(patience)
	conns := s.roster.all()
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	tick := time.NewTimer(0)
	defer tick.Stop()
	for i, c := range conns {
		tick.Reset(spread / time.Duration(len(conns)))
		c.shard.post(note{conn: c, what: leaving})
		if i == len(conns)-1 {
			break
		}
		select {
		case <-tick.C:
		case <-patience.Done():
			spread = 0 // out of time: the rest at once
		}
	}
	select {
	case <-s.roster.empty():
		return
	case <-patience.Done():
	}
	for _, c := range s.roster.all() {
		c.sock.Close(wsconn.StatusRestart, restartReason)
	}
	select {
	case <-s.roster.empty():
	case <-ctx.Done():
	}
}

// mostOf returns a context that ends when three quarters of ctx's time are over.
func mostOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/4))
}

// level waits until each shard has pushed what the ring holds.
func (s *Server) level(ctx context.Context) {
	head := s.ring.Head()
	for _, sh := range s.shards {
		select {
		case <-sh.reached(head):
		case <-ctx.Done():
			return
		}
	}
}

// Connections returns how many clients are connected.
func (s *Server) Connections() int { return s.roster.count() }

// refuseUpgrade answers a request that is not even upgraded. Clients of the
// vendor's server take any HTTP error as a failed connect and try again.
func refuseUpgrade(w http.ResponseWriter, status int, reason string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, reason, status)
}
