package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
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
}

func (p *parts) buildUpstreams(zone *time.Location) (u upstreams, err error) {
	cfg := p.cfg.Sources
	u.quarantine, err = quarantine.Open(quarantine.Options{
		Dir: filepath.Join(p.dataDir, "quarantine"), MaxItems: cfg.QuarantineItems, MaxBytes: int64(cfg.QuarantineSize), Log: p.log,
	})
	if err != nil {
		return u, fmt.Errorf("open the quarantine: %w", err)
	}
	roots, err := egress.Roots(cfg.CAFile)
	if err != nil {
		return u, fmt.Errorf("read sources.ca_file: %w", err)
	}
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	decode := ingestOptions(p.cfg, zone, p.log).Decode
	// Each of the two tells the other something. Neither does before they run.
	var follower *pull.Follower
	u.reconciler, err = reconcile.New(
		reconcile.Parts{Sources: p.registry, Journal: p.journal, Hub: p.hub, Quarantine: u.quarantine},
		reconcile.Options{
			Dir: filepath.Join(p.dataDir, "sources"), Decode: decode, Log: p.log,
			TLS: trust, Size: cfg.PageSize, PerSecond: cfg.AsksPerSecond, Timeout: cfg.AskTimeout, Margin: cfg.Margin, DeepEvery: cfg.DeepEvery,
			Suspect: func(name, why string) { follower.Suspect(name, why) },
		},
	)
	if err != nil {
		return u, fmt.Errorf("prepare to ask the sources: %w", err)
	}
	follower = pull.New(
		pull.Parts{Sources: p.registry, Journal: p.journal, Quarantine: u.quarantine},
		pull.Options{
			Decode: decode, StoreTimeout: p.cfg.Ingest.StoreTimeout, OnConnect: u.reconciler.Connected, Log: p.log, TLS: trust,
			DialTimeout: cfg.DialTimeout, DeadAfter: cfg.DeadAfter, LoginsPerMinute: cfg.LoginsPerMinute, MaxPause: cfg.RetryMax,
		},
	)
	u.follower, u.receiver = follower, push.NewReceiver(p.ingest, p.registry, u.quarantine)
	return u, nil
}

// run takes in from the sources until ctx ends.
func (u *upstreams) run(ctx context.Context) error {
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
	st.Name, st.Statement = name, p.sources.reconciler.Statement(name)
	return st
}

// Reconcile asks a source what it has.
func (s sourceStates) Reconcile(ctx context.Context, name string) (gatecast.Statement, error) {
	return s.parts.sources.reconciler.Reconcile(ctx, name)
}

// kept is the quarantine, and the way back out of it.
type kept struct {
	*quarantine.Store
	receiver   *push.Receiver
	reconciler *reconcile.Reconciler
}

// Inject understands something as if it came from its source now, and stores it.
func (k kept) Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	if _, row := reconcile.RowKind(&q); row {
		return k.reconciler.Inject(ctx, q)
	}
	return k.receiver.Inject(ctx, q)
}

func (p *parts) upstreamsAPI() api.Upstreams {
	return api.Upstreams{Sources: p.registry, States: sourceStates{p}, Quarantine: kept{p.sources.quarantine, p.sources.receiver, p.sources.reconciler}}
}
