package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/egress"
	"github.com/gatecast/gatecast/internal/quarantine"
	"github.com/gatecast/gatecast/internal/source/pull"
	"github.com/gatecast/gatecast/internal/source/push"
	"github.com/gatecast/gatecast/internal/source/reconcile"
	"github.com/gatecast/gatecast/internal/view/api"
)

// upstreams is everything that takes events from other servers.
type upstreams struct {
	quarantine *quarantine.Store
	follower   *pull.Follower
	receiver   *push.Receiver
	reconciler *reconcile.Reconciler
	turn       *bucket.Lease // of the node that follows; nil: this process is the only one
}

func (p *parts) buildUpstreams(ctx context.Context, zone *time.Location) (u upstreams, err error) {
	cfg := p.cfg.Sources
	u.quarantine, err = quarantine.Open(quarantine.Options{
		Dir: filepath.Join(p.dataDir, "quarantine"), MaxItems: cfg.QuarantineItems, MaxBytes: int64(cfg.QuarantineSize), Log: p.log,
	})
	if err != nil {
		return u, fmt.Errorf("open the quarantine: %w", err)
	}
	trust, err := p.trust()
	if err != nil {
		return u, err
	}
	var notes reconcile.Notes // in files
	if p.cfg.Journal.URL != "" {
		if u.turn, notes, err = p.openTurn(ctx); err != nil {
			return u, fmt.Errorf("open what the nodes share about the sources: %w", err)
		}
	}
	decode := p.ingestOptions(zone).Decode
	decode.Photos = p.pictures.store.Lenient()
	// Who asks and who takes in tell each other something. They do not before
	// they run.
	var follower *pull.Follower
	var receiver *push.Receiver
	u.reconciler, err = reconcile.New(
		reconcile.Parts{Sources: p.registry, Journal: p.journal, Hub: p.hub, Quarantine: u.quarantine},
		reconcile.Options{
			Dir: filepath.Join(p.dataDir, "sources"), Notes: notes, Decode: decode, Log: p.log,
			TLS: trust, Size: cfg.PageSize, PerSecond: cfg.AsksPerSecond, Timeout: cfg.AskTimeout, Margin: cfg.Margin, DeepEvery: cfg.DeepEvery,
			Suspect: func(name, why string) { follower.Suspect(name, why); receiver.Suspect(name, why) },
		},
	)
	if err != nil {
		return u, fmt.Errorf("prepare to ask the sources: %w", err)
	}
	follower = pull.New(
		pull.Parts{Sources: p.registry, Journal: p.journal, Quarantine: u.quarantine},
		pull.Options{
			Decode: decode, StoreTimeout: p.cfg.Ingest.StoreTimeout, OnConnect: u.reconciler.Connected, Log: p.log, TLS: trust,
			MaxMessage: int(p.cfg.Ingest.MaxBody), DialTimeout: cfg.DialTimeout, DeadAfter: cfg.DeadAfter, LoginsPerMinute: cfg.LoginsPerMinute, MaxPause: cfg.RetryMax,
		},
	)
	receiver = push.NewReceiver(p.ingest, p.registry, u.quarantine, push.ReceiverOptions{OnConnect: u.reconciler.Connected})
	u.follower, u.receiver = follower, receiver
	return u, nil
}

// trust is whose certificates servers that are sources may have.
func (p *parts) trust() (*tls.Config, error) {
	roots, err := egress.Roots(p.cfg.Sources.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read sources.ca_file: %w", err)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// suspect says that a source may have events that it does not bring, in
// whichever way it brings them.
func (u *upstreams) suspect(name, why string) {
	u.follower.Suspect(name, why)
	u.receiver.Suspect(name, why)
}

// run takes in from the sources until ctx ends, in a cluster whenever this node
// is the one that does.
func (u *upstreams) run(ctx context.Context) error {
	if u.turn == nil {
		return u.follow(ctx)
	}
	u.turn.Keep(ctx, func(held context.Context) { _ = u.follow(held) }) // ends with held alone
	return ctx.Err()
}

func (u *upstreams) follow(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { _ = u.reconciler.Run(ctx) }) // ends with ctx alone
	return u.follower.Run(ctx)
}

// sourceStates puts together what each part knows of a source.
type sourceStates struct{ parts *parts }

// State returns how a source stands.
func (s sourceStates) State(name string) gatecast.SourceState {
	p := s.parts
	st := p.sources.follower.State(name)
	if src, there := p.registry.Source(name); there && src.Settings.Kind == gatecast.SourceSubscription {
		st = p.sources.receiver.State(name)
	}
	if st.Status == "" && !p.sources.here() {
		st.Status, st.Reason = gatecast.SourceElsewhere, p.sources.where()
	}
	st.Name, st.Statement = name, p.sources.reconciler.Statement(name)
	return st
}

// Names returns the sources there are.
func (s sourceStates) Names() []string {
	var names []string
	for _, src := range s.parts.registry.Sources() {
		names = append(names, src.Name)
	}
	return names
}

// Reconcile asks a source what it has.
func (s sourceStates) Reconcile(ctx context.Context, name string) (gatecast.Statement, error) {
	p := s.parts
	if src, there := p.registry.Source(name); there && src.Settings.REST.URL != "" && src.Paused == "" && !p.sources.here() {
		e := gatecast.Errorf(gatecast.Unavailable, "source %q is looked at by another node: it is %s", name, p.sources.where())
		e.Remedy = "ask that node"
		return gatecast.Statement{}, e
	}
	return p.sources.reconciler.Reconcile(ctx, name)
}

// kept is the quarantine, and the way back out of it.
type kept struct {
	*quarantine.Store
	receiver   *push.Receiver
	reconciler *reconcile.Reconciler
	mqtt       *publishers
}

// Inject understands something as if it came from its source now, and stores it.
func (k kept) Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	if k.mqtt.owns(q) {
		return k.mqtt.server.Inject(ctx, q)
	}
	if _, row := reconcile.RowKind(&q); row {
		return k.reconciler.Inject(ctx, q)
	}
	return k.receiver.Inject(ctx, q)
}

func (p *parts) upstreamsAPI() api.Upstreams {
	return api.Upstreams{
		Sources: p.registry, States: sourceStates{p},
		Quarantine: kept{p.sources.quarantine, p.sources.receiver, p.sources.reconciler, &p.mqtt},
		MQTT:       p.registry, Online: p.mqtt.server.Online,
	}
}
