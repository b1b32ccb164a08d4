package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/gatecast/gatecast/internal/view/api"
)

// routes is the one table of what is answered where.
func (p *parts) routes() http.Handler {
	guard := auth.Guard{Tokens: p.registry, Fail: problem.Write}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", p.health.live)
	mux.HandleFunc("GET /readyz", p.health.serveReady)
	mux.Handle("GET /metrics", p.metricsPage(guard))
	mux.Handle("POST /api/v1/events", guard.Require(auth.Ingest, p.ingest))
	api.Register(mux, api.Options{
		Apps:        p.registry,
		Tokens:      p.registry,
		Status:      p,
		Connections: p,
		Cursors:     p.cursors,
		Hooks:       p.hooksAPI(),
		Upstreams:   p.upstreamsAPI(),
		Devices:     p.watch.devices,
		Doctor:      p.doctor(),
		Guard:       guard,
		Version:     p.version,
		Log:         p.log,
	})
	mux.Handle("GET /api/v1/events/stream", p.stream)
	mux.Handle("POST /ingest/senselink/{token}", p.sources.receiver)
	mux.Handle("GET /v1/image/{type}/{id}", p.pictures.door.Images(p.pictures.store))
	mux.Handle("GET /websocket/record/{app_key}/{timestamp}/{sign}", p.push)
	return mux
}

// List returns the connections of every door.
func (p *parts) List() []gatecast.Connection { return append(p.push.List(), p.stream.List()...) }

// Status tells the API how the server is.
func (p *parts) Status(ctx context.Context) (api.State, error) {
	extent, err := p.journal.Extent(ctx)
	if err != nil {
		return api.State{}, err
	}
	why := p.health.reasons()
	return api.State{
		Version:     p.version,
		Extent:      extent,
		Ready:       len(why) == 0,
		Reasons:     why,
		Warnings:    p.health.warned(),
		Connections: p.push.Connections() + p.stream.Connections(),
		Uptime:      time.Since(p.began),
	}, nil
}

func (p *parts) metricsPage(guard auth.Guard) http.Handler {
	page := promhttp.HandlerFor(p.collectors(), promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelError)})
	if p.cfg.Metrics.Public {
		return page
	}
	return guard.Require(auth.Read, page)
}

// answerTime is how long a caller may take to receive its answer.
const answerTime = 30 * time.Second

// server returns the HTTP server with its limits on slow and large requests.
// source/push sets a deadline of its own for the body it reads; the one here is
// for bodies that nobody wants, as after a refusal: net/http reads them to the
// end. A WebSocket has neither, being no longer a request.
func (p *parts) server() *http.Server {
	return &http.Server{
		Handler:           p.routes(),
		ReadHeaderTimeout: p.cfg.Server.ReadHeaderTimeout,
		ReadTimeout:       p.cfg.Server.ReadHeaderTimeout + p.cfg.Ingest.ReadTimeout,
		WriteTimeout:      p.cfg.Ingest.ReadTimeout + p.cfg.Ingest.StoreTimeout + answerTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    int(p.cfg.Server.MaxHeader),
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
}
