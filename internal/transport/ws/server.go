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
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
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
	// Floor is the position after which the ring holds everything.
	Floor() gatecast.Seq
	Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool)
	Listen() (moved <-chan struct{}, stop func())
}

// History reads events that have left the ring.
type History interface {
	resume.History
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
}

// Cursors remembers how far each consumer has got. Only Begin waits for the
// disk; the others are on disk a moment later.
type Cursors interface {
	Cursor(c gatecast.Consumer) (gatecast.Cursor, bool)
	// Begin returns the cursor of a consumer, or makes one at a position.
	Begin(ctx context.Context, c gatecast.Consumer, at gatecast.Seq) (cur gatecast.Cursor, existed bool, err error)
	// Confirm moves the cursor forward because the consumer said so, Pass because
	// it was sent the events and never says anything.
	Confirm(c gatecast.Consumer, seq gatecast.Seq)
	Pass(c gatecast.Consumer, seq gatecast.Seq)
	// Lose records that the consumer is not sent what lies in a gap, and since
	// when nothing is missing.
	Lose(c gatecast.Consumer, gap gatecast.GapNotice, complete time.Time)
	// Commit asks for what has changed to be on disk soon.
	Commit()
}

// Options tunes a Server. The zero value suits one site.
type Options struct {
	Heartbeat     time.Duration    // between heartbeats (code 10000 and Ping); default 30 s
	Jitter        float64          // share of Heartbeat by which it varies, 0 to 0.5; default 0
	DeadAfter     time.Duration    // silence after which a peer is cut; default 90 s
	MaxConns      int              // over all apps; one more is answered 503; default 20000
	MaxPerApp     int              // for apps without their own; one more gets 20002; default 1000
	MaxRefused    int              // clients being told 20002 at once; one more is answered 503; default 1000
	HandshakeRate float64          // upgrades per second, more get 503 with Retry-After; a quarter of it beside, for clients that are refused; 0: no limit
	Origins       []string         // values of Origin to accept; empty: any
	Shards        int              // goroutines that push; default one per CPU
	Replayers     int              // connections that read the journal at once, others queue; default 4
	ReplayRate    int64            // bytes of events per second that they read together; 0: no limit
	Confirm                        // of what was sent
	Epoch         string           // of the journal
	Conn          wsconn.Options   // of each connection, among them how long it may stall
	Now           func() time.Time // default time.Now
	Log           *slog.Logger     // default: discard
}

// Confirm tunes confirmed delivery. The zero value suits one site.
type Confirm struct {
	ConfirmInterval time.Duration // between two questions to a busy connection; default 1 s
	ConfirmTimeout  time.Duration // without an answer, after which a connection counts as silent; default 30 s
	Farewell        time.Duration // that a connection has on a stop to confirm the last events; default 2 s
	MaxInFlight     int           // events that a client with ack=manual may owe; default 1000
}

func (o Options) withDefaults() Options {
	o.Confirm.ConfirmInterval = cmp.Or(o.Confirm.ConfirmInterval, time.Second)
	o.Confirm.ConfirmTimeout = cmp.Or(o.Confirm.ConfirmTimeout, 30*time.Second)
	o.Confirm.Farewell = cmp.Or(o.Confirm.Farewell, 2*time.Second)
	o.Confirm.MaxInFlight = cmp.Or(o.Confirm.MaxInFlight, 1000)
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
	history   History
	cursors   Cursors
	roster    *roster // who is connected
	turned    *roster // who is being refused, all under one key
	shards    []*shard
	replays   *replayer
	metrics   *metrics
	pace      pace
	told      rate.Sometimes  // of refused clients
	connected []*wsconn.Frame // the one of 20000
	next      atomic.Uint32   // shard of the next connection
	door      door            // shut: no new connections; inside: handshakes and sockets' readers
}

// New makes a Server. It pushes once [Server.Run] runs.
func New(apps Apps, ring Ring, history History, cursors Cursors, o Options) *Server {
	o = o.withDefaults()
	s := &Server{opts: o, apps: apps, ring: ring, history: newEdges(history), cursors: cursors, metrics: newMetrics(), told: rate.Sometimes{Interval: time.Second}}
	s.roster, s.turned = newRoster(o.MaxConns), newRoster(o.MaxRefused)
	s.connected = []*wsconn.Frame{wsconn.NewText([]byte(senselink.Connected))}
	s.pace = newPace(o.HandshakeRate)
	s.replays = newReplayer(ring, s.history, cursors, o, s.metrics)
	made := newFrames(o.Epoch, s.metrics)
	for range o.Shards {
		s.shards = append(s.shards, s.newShard(made))
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
