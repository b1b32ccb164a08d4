// Package app puts the parts together: it builds them bottom-up, runs them and
// closes them top-down.
//
// It is the only package that knows everybody, and it decides nothing itself:
// what a part does is the part's own affair. Start at [Run].
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/source/sim"
)

// Options is what a server is given besides its settings.
type Options struct {
	Version string       // shown by the API and in the log
	Log     *slog.Logger // default: discard
	// Ready is called once the server answers. It must not block.
	Ready func(Info)
	// Simulate, if set, feeds the server with synthetic traffic.
	Simulate *sim.Options
}

// Info tells where a running server is found.
type Info struct {
	URL        string // "http://127.0.0.1:9000"
	DataDir    string // absolute
	AdminToken string // as it stands in DataDir/admin.token
	MQTT       string // "127.0.0.1:8883"; empty: it is off
}

// Run serves until ctx ends and then stops gently: no new work, everything
// accepted pushed, each socket closed, within the shutdown timeout. It returns
// nil after a stop that was asked for.
func Run(ctx context.Context, cfg config.Config, o Options) error {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	defer listener.Close()
	devices, err := listenMQTT(cfg)
	if err != nil {
		return err
	}
	if devices != nil {
		defer devices.Close()
	}
	p, err := build(ctx, cfg, o)
	if err != nil && ctx.Err() != nil {
		return nil // it was stopped while it waited for something, such as a cluster
	}
	if err != nil {
		return err
	}
	defer p.close(cfg.Server.ShutdownTimeout)
	info := Info{URL: publicURL(cfg, listener.Addr()), DataDir: p.dataDir, AdminToken: p.adminToken}
	if p.mqtt.listener = devices; devices != nil {
		info.MQTT = devices.Addr().String()
	}
	p.buildCanary(info.URL)
	return p.run(ctx, listener, func() {
		if info.MQTT != "" {
			o.Log.Info("devices may publish over mqtt", "address", info.MQTT, "tls", cfg.MQTT.TLS)
		}
		o.Log.Info("gatecast is ready", "url", info.URL, "data", info.DataDir, "version", o.Version)
		if o.Ready != nil {
			o.Ready(info)
		}
	})
}

// listen opens the port first of all: that it is taken is the commonest
// reason why a server cannot start, and nothing needs to be undone yet.
func listen(cfg config.Config) (net.Listener, error) {
	plain, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (server.listen): %w", cfg.Server.Listen, err)
	}
	plain = newLobby(plain)
	if cfg.TLS.Cert == "" {
		return plain, nil
	}
	secure, err := withTLS(plain, cfg.TLS, "http/1.1") // a WebSocket handshake needs it
	if err != nil {
		plain.Close()
		return nil, err
	}
	return secure, nil
}

// publicURL returns an address that a client on this machine can use.
func publicURL(cfg config.Config, addr net.Addr) string {
	scheme := "http"
	if cfg.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// run starts every part and stops them in turn once ctx ends or one fails.
func (p *parts) run(ctx context.Context, listener net.Listener, ready func()) error {
	// Each floor has a context of its own, so that a stop goes from the top
	// down: senders first, then sockets, then what feeds them, and last what
	// remembers how far the sockets got.
	memory, stopMemory := context.WithCancel(context.WithoutCancel(ctx))
	defer stopMemory()
	feed, stopFeed := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFeed()
	sources, stopSources := context.WithCancel(ctx)
	defer stopSources()

	var sending, work, remembering sync.WaitGroup
	defer remembering.Wait()
	defer stopMemory()
	defer work.Wait()
	defer stopFeed()
	failed := make(chan error, 32) // at least one for each that is started below
	begin := func(group *sync.WaitGroup, ctx context.Context, what string, run func(context.Context) error) {
		group.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	start := func(ctx context.Context, what string, run func(context.Context) error) { begin(&work, ctx, what, run) }
	begin(&remembering, memory, "cursors", p.cursors.Run)
	begin(&remembering, memory, "subscriptions' progress", p.calls.remember)
	start(feed, "forgetting", p.forget)
	start(feed, "thrift", func(ctx context.Context) error { thrift(ctx, readMemory, giveBackMemory); return nil })
	start(feed, "photos", p.pictures.store.Run)
	start(feed, "hub", p.hub.Run)
	start(feed, "websocket push", p.push.Run)
	start(feed, "event streams", p.stream.Run)
	start(feed, "subscriptions", p.calls.server.Run)
	start(feed, "devices", p.watch.devices.Run)
	server := p.server()
	start(feed, "http server", func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	begin(&sending, sources, "sources", p.sources.run)
	begin(&sending, sources, "images", p.fetch)
	begin(&sending, sources, "mqtt", p.mqtt.run)
	begin(&sending, sources, "offline alarms", p.watch.raiser.Run)
	begin(&sending, sources, "canary", p.watch.fly)
	if p.simulator != nil {
		begin(&sending, sources, "simulator", p.simulate)
	}
	p.health.ready()
	ready()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	limit, cancel := context.WithTimeout(context.Background(), p.cfg.Server.ShutdownTimeout)
	defer cancel()
	p.health.stopping()
	defer sending.Wait()
	stopSources()
	p.awaitSources(limit, &sending)
	p.stop(limit, server)
	return err
}

// awaitSources waits for what takes events in, for a quarter of the time at
// most: one that does not end must not take the time away from the rest.
func (p *parts) awaitSources(ctx context.Context, sending *sync.WaitGroup) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Server.ShutdownTimeout/4)
	defer cancel()
	ended := make(chan struct{})
	go func() { sending.Wait(); close(ended) }() // run waits for the same before it returns
	select {
	case <-ended:
	case <-ctx.Done():
		p.log.Warn("sources were still at work when their time was over")
	}
}

// stop ends the server gently, within limit: readiness is gone, new work is
// refused, then requests under way finish, then the sockets are pushed level and
// closed. Meanwhile the requests to subscribers end, or are broken off after
// half of the time; what they were about is sent again at the next start.
func (p *parts) stop(limit context.Context, server *http.Server) {
	began := time.Now()
	p.log.Info("stopping", "connections", p.push.Connections()+p.stream.Connections(), "limit", p.cfg.Server.ShutdownTimeout.String())
	var calls sync.WaitGroup
	calls.Go(func() {
		half, cancel := context.WithTimeout(limit, p.cfg.Server.ShutdownTimeout/2)
		defer cancel()
		p.calls.server.Drain(half)
	})
	p.finishRequests(limit, server)
	p.settle(limit)
	p.push.Drain(limit, p.cfg.Server.DrainSpread)
	calls.Wait()
	p.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond).String())
}

// forget forgets how far the consumers of a deleted app got, so that whoever
// gets its key next does not go on in its place; and those of an app that is
// not to catch up, so that it is not sent what it has when that is changed.
func (p *parts) forget(ctx context.Context) error {
	for key := range p.registry.Changes(ctx) {
		if app, there := p.registry.App(key); !there || app.CatchUp.Window == gatecast.LookbackOff {
			p.cursors.Forget(key)
		}
	}
	return ctx.Err()
}

// finishRequests lets requests under way finish in the first half of the time:
// the other half belongs to the sockets. Event streams are requests too, and
// end when they have what was accepted until now: what is accepted by a request
// that is still under way is theirs when they come back.
func (p *parts) finishRequests(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Server.ShutdownTimeout/2)
	defer cancel()
	var streams sync.WaitGroup
	defer streams.Wait()
	streams.Go(func() { p.stream.Drain(ctx) })
	if err := server.Shutdown(ctx); err != nil {
		p.log.Warn("requests were still under way when their time was over", "err", err)
		server.Close()
	}
}

// settle waits until the hub has seen the journal's last event, for a quarter
// of the time at most: a journal that cannot be read must not take the time
// away that the sockets need to close.
func (p *parts) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Server.ShutdownTimeout/4)
	defer cancel()
	extent, err := p.journal.Extent(ctx)
	if err != nil {
		p.log.Warn("could not find the journal's last event", "err", err)
		return
	}
	moved, stop := p.hub.Listen()
	defer stop()
	for p.hub.Head() < extent.Last {
		select {
		case <-moved:
		case <-ctx.Done():
			p.log.Warn("the newest events could not be read, clients close without them", "from", p.hub.Head(), "to", extent.Last)
			return
		}
	}
}
