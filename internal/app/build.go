package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/registry"
	"github.com/gatecast/gatecast/internal/source/push"
	"github.com/gatecast/gatecast/internal/source/sim"
	"github.com/gatecast/gatecast/internal/transport/sse"
	"github.com/gatecast/gatecast/internal/transport/ws"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// parts is the server, taken apart: lower floors first.
type parts struct {
	cfg        config.Config
	log        *slog.Logger
	version    string
	dataDir    string
	adminToken string

	journal   *journal.Journal
	registry  *registry.Registry
	cursors   *cursor.Store
	hub       *hub.Hub
	ingest    *push.Handler
	simulator *sim.Sim
	push      *ws.Server
	stream    *sse.Server
	calls     callers
	sources   upstreams
	pictures  pictures
	mqtt      publishers
	watch     watch
	health    *health
	numbers   *senselink.Counter // of events that have none
	epoch     string             // of the journal
	began     time.Time
}

// build makes the parts bottom-up. On an error it closes what it has made.
func build(ctx context.Context, cfg config.Config, o Options) (_ *parts, err error) {
	p := &parts{cfg: cfg, log: o.Log, version: o.Version, began: time.Now(), health: &health{}, numbers: new(senselink.Counter)}
	defer func() {
		if err != nil {
			p.close(cfg.Server.ShutdownTimeout)
		}
	}()
	if p.dataDir, err = makeDataDir(cfg.Server.Data); err != nil {
		return nil, err
	}
	if p.journal, err = journal.Open(ctx, journalOptions(cfg, p.dataDir, o.Log)); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	p.registry, err = registry.Open(ctx, p.journal.JetStream(), registry.Options{
		KeyFile:          keyFile(cfg, p.dataDir),
		Replicas:         cfg.Journal.Replicas,
		MaxSubscriptions: cfg.Hooks.MaxSubscriptions,
		MaxSources:       cfg.Sources.MaxSources,
		Log:              o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	if p.adminToken, err = p.ensureAdminToken(ctx); err != nil {
		return nil, fmt.Errorf("make the admin token: %w", err)
	}
	extent, err := p.journal.Extent(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the journal's newest event: %w", err)
	}
	p.epoch = extent.Epoch
	if p.cursors, err = p.openCursors(ctx); err != nil {
		return nil, fmt.Errorf("open the cursors: %w", err)
	}
	if p.hub, err = hub.New(ctx, p.journal, hub.Options{Ring: cfg.Hub.Ring, RingBytes: int(cfg.Hub.RingBytes), Log: o.Log}); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(cfg.Ingest.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("find the zone of times without one (ingest.time_zone): %w", err)
	}
	if p.pictures, err = p.buildPictures(); err != nil {
		return nil, err
	}
	ingest := p.ingestOptions(zone)
	ingest.Decode.Photos, ingest.SourcePhotos = p.pictures.store, p.pictures.store.Lenient()
	p.ingest = push.New(p.journal, ingest)
	p.push = ws.New(p.registry, p.hub, p.hub, p.cursors, pushOptions(cfg, p.epoch, o.Log))
	tokens := streamTokens{TokenStore: p.registry}
	p.watch.token, tokens.own = auth.NewToken()
	p.stream = sse.New(p.registry, auth.Guard{Tokens: tokens}, p.hub, p.hub, streamOptions(cfg, o.Log))
	if p.calls, err = p.buildCallers(ctx); err != nil {
		return nil, err
	}
	if p.sources, err = p.buildUpstreams(ctx, zone); err != nil {
		return nil, err
	}
	p.mqtt = p.buildPublishers(zone)
	p.watch = p.buildWatch(zone)
	if o.Simulate != nil {
		p.simulator = sim.New(*o.Simulate)
	}
	p.health.checks = []check{
		{"journal", p.journal.Ready},
		{"registry", p.registry.Healthy},
		{"hub", p.hub.Healthy},
	}
	// Events that are lost do not come back by taking the server out of
	// service: a hole is a warning.
	// So do events that may be sent twice: cursors that cannot be stored are one.
	p.health.warnings = []check{{"journal", p.holes}, {"cursors", p.cursors.Healthy}, {"subscriptions", p.calls.ledger.Healthy}, {"delivery log", p.calls.log.Healthy}, {"sources", p.sources.healthy}}
	return p, nil
}

// openCursors reads how far each consumer has got. Cursors of apps that were
// deleted while no server ran are forgotten.
func (p *parts) openCursors(ctx context.Context) (*cursor.Store, error) {
	s, err := cursor.Open(ctx, p.journal.JetStream(), cursor.Options{
		Replicas:  p.cfg.Journal.Replicas,
		Interval:  p.cfg.Resume.CommitInterval,
		MaxPerApp: p.cfg.Resume.MaxCursors,
		Epoch:     p.epoch,
		Last:      p.newest,
		Log:       p.log,
	})
	if err != nil {
		return nil, err
	}
	s.Retain(func(key string) bool { _, there := p.registry.App(key); return there })
	return s, nil
}

// newest returns the Seq of the journal's newest event.
func (p *parts) newest(ctx context.Context) (gatecast.Seq, error) {
	extent, err := p.journal.Extent(ctx)
	return extent.Last, err
}

// holes returns what the journal has lost, unless it has a reason of its own
// not to be ready.
func (p *parts) holes() error {
	if p.journal.Ready() != nil {
		return nil
	}
	return p.journal.Healthy()
}

// ensureAdminToken returns the token in the data directory, made at the first
// start: the way in for the first administrator and for the CLI.
func (p *parts) ensureAdminToken(ctx context.Context) (string, error) {
	file := filepath.Join(p.dataDir, "admin.token")
	if _, err := p.registry.EnsureAdminToken(ctx, file); err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// close ends what build made, top-down. What is still at work has the limit
// to finish.
func (p *parts) close(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if p.calls.client != nil {
		p.calls.client.Close()
	}
	if p.registry != nil {
		p.registry.Close()
	}
	if p.journal != nil {
		if err := p.journal.Close(ctx); err != nil {
			p.log.Error("closing the journal failed", "err", err)
		}
	}
}

// makeDataDir makes the data directory and returns its absolute path, which
// the journal needs: a process may change its working directory.
func makeDataDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the data directory (server.data): %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", fmt.Errorf("make the data directory (server.data): %w", err)
	}
	return abs, nil
}

func keyFile(cfg config.Config, dataDir string) string {
	if cfg.Registry.KeyFile != "" {
		return cfg.Registry.KeyFile
	}
	return filepath.Join(dataDir, "secret.key")
}

// boundless is what "0" means for the journal's size: more than any disk
// holds. JetStream wants a number, so that it can tell what it promises.
const boundless = 1 << 50

func journalOptions(cfg config.Config, dataDir string, log *slog.Logger) journal.Options {
	o := journal.Options{
		URL:      cfg.Journal.URL,
		Replicas: cfg.Journal.Replicas,
		MaxAge:   orForEver(cfg.Journal.MaxAge),
		MaxBytes: cmp.Or(int64(cfg.Journal.MaxBytes), boundless),
		Dedup:    journal.Dedup{Window: cfg.Journal.DedupWindow, Max: cfg.Journal.DedupMax},
		Commit:   journal.Commit{Event: int(cfg.Ingest.MaxEvent), Wait: cfg.Ingest.MaxWait},
		Check:    journal.Check{LowDisk: int64(cfg.Journal.LowDisk)},
		Log:      log,
	}
	switch {
	case o.URL == "":
		o.Dir = filepath.Join(dataDir, "journal")
	case cfg.Journal.MaxBytes == 0:
		o.MaxBytes = -1 // a cluster refuses to promise what its disks do not hold
	}
	if cfg.Journal.Sync == "interval" {
		o.Sync = journal.SyncInterval
	}
	return o
}

// orForEver turns the setting's "0s keeps them" into the journal's words.
func orForEver(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// ingestOptions is what all doors agree on. They share what numbers events that
// have none: clients know a record by its number.
func (p *parts) ingestOptions(zone *time.Location) push.Options {
	cfg := p.cfg
	return push.Options{
		Decode: senselink.Options{
			MaxBody:  int64(cfg.Ingest.MaxBody),
			MaxEvent: int(cfg.Ingest.MaxEvent),
			MaxBatch: cfg.Ingest.MaxBatch,
			MaxDepth: cfg.Ingest.MaxDepth,
			Zone:     zone,
			IDs:      p.numbers,
		},
		ReadTimeout:  cfg.Ingest.ReadTimeout,
		StoreTimeout: cfg.Ingest.StoreTimeout,
		MaxInflight:  int64(cfg.Ingest.MaxInflight),
		Log:          p.log,
	}
}

func pushOptions(cfg config.Config, epoch string, log *slog.Logger) ws.Options {
	c := cfg.WebSocket
	return ws.Options{
		Epoch:      epoch,
		Replayers:  cfg.Resume.Readers,
		ReplayRate: int64(cfg.Resume.ReadRate),
		Confirm: ws.Confirm{
			ConfirmInterval: cfg.Resume.ConfirmInterval,
			ConfirmTimeout:  cfg.Resume.ConfirmTimeout,
			Farewell:        cfg.Resume.Farewell,
			MaxInFlight:     cfg.Resume.MaxInFlight,
		},
		Heartbeat:     c.Heartbeat,
		Jitter:        c.HeartbeatJitter,
		DeadAfter:     c.DeadAfter,
		MaxConns:      c.MaxConnections,
		MaxPerApp:     c.MaxConnectionsPerApp,
		MaxRefused:    c.MaxRefused,
		HandshakeRate: float64(c.HandshakesPerSecond),
		Origins:       c.AllowedOrigins,
		Conn: wsconn.Options{
			MaxMessage:   int64(c.MaxMessage),
			MaxInbound:   int64(c.MaxInbound),
			Deflate:      c.Deflate,
			CloseTimeout: c.CloseTimeout,
			WriteStall:   c.StallTimeout,
			Log:          log,
		},
		Log: log,
	}
}

func streamOptions(cfg config.Config, log *slog.Logger) sse.Options {
	return sse.Options{
		MaxConns:  cfg.SSE.MaxConnections,
		Heartbeat: cfg.SSE.Heartbeat,
		Stall:     cfg.SSE.StallTimeout,
		Readers:   cfg.Resume.Readers,
		ReadRate:  int64(cfg.Resume.ReadRate),
		Log:       log,
	}
}

// collectors returns what /metrics shows.
func (p *parts) collectors() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, part := range []interface{ Metrics() []prometheus.Collector }{
		p.journal,
		p.registry,
		p.cursors,
		p.hub,
		p.ingest,
		p.push,
		p.stream,
		p.calls.log,
		p.calls.ledger,
		p.calls.server,
		&p.pictures,
		&p.sources,
		p.sources.quarantine,
		p.sources.follower,
		p.sources.receiver,
		p.sources.reconciler,
		&p.mqtt,
	} {
		reg.MustRegister(part.Metrics()...)
	}
	reg.MustRegister(p.watch.metrics()...)
	return reg
}
