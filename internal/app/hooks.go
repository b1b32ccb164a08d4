package app

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/deliverylog"
	"github.com/gatecast/gatecast/internal/egress"
	"github.com/gatecast/gatecast/internal/ledger"
	"github.com/gatecast/gatecast/internal/transport/hooks"
	"github.com/gatecast/gatecast/internal/view/api"
)

// callers is everything that events are posted to URLs with.
type callers struct {
	client *egress.Client
	log    *deliverylog.Log
	ledger *ledger.Store
	server *hooks.Server
}

func (p *parts) buildCallers(ctx context.Context) (c callers, err error) {
	cfg := p.cfg.Hooks
	var allow []netip.Prefix
	for _, text := range cfg.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("read hooks.allow: %w", err)
		}
		allow = append(allow, prefix)
	}
	c.client, err = egress.New(egress.Options{Allow: allow, CAFile: cfg.CAFile, IdlePerHost: cfg.MaxPerEndpoint, Version: p.version, Log: p.log})
	if err != nil {
		return c, fmt.Errorf("prepare requests to subscribers: %w", err)
	}
	c.log, err = deliverylog.Open(deliverylog.Options{Dir: filepath.Join(p.dataDir, "deliveries"), MaxBytes: int64(cfg.LogSize), Log: p.log})
	if err != nil {
		return c, fmt.Errorf("open the delivery log: %w", err)
	}
	c.ledger, err = ledger.Open(ctx, p.journal.JetStream(), ledger.Options{
		Replicas: p.cfg.Journal.Replicas, Interval: cfg.CommitInterval, Epoch: p.epoch, Last: p.newest,
		MaxDead: cfg.MaxDeadLetters, Lease: p.cfg.Journal.URL != "", Node: p.nodeName(), Log: p.log,
	})
	if err != nil {
		return c, fmt.Errorf("open the ledger: %w", err)
	}
	known := func(id string) bool { _, there := p.registry.Subscription(id); return there }
	c.ledger.Retain(known)
	c.log.Retain(known)
	c.server = hooks.New(hooks.Parts{
		Settings: p.registry, Ring: p.hub, History: p.hub, Ledger: c.ledger, Log: c.log, Poster: c.client,
	}, hooks.Options{
		Epoch: p.epoch, MaxInFlight: cfg.MaxInFlight, MaxPerHost: cfg.MaxPerEndpoint, RetryMin: cfg.RetryMin, RetryMax: cfg.RetryMax,
		RefusedTries: cfg.RefusedTries, MaxPending: cfg.MaxPending, Readers: cfg.Readers, Notify: p.notify, Log: p.log,
	})
	return c, nil
}

// notify stores what gatecast itself has to tell as an event like any other.
func (p *parts) notify(ctx context.Context, e gatecast.Event) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Ingest.StoreTimeout)
	defer cancel()
	_, err := p.journal.Append(ctx, []gatecast.Event{e})
	return err
}

// remember runs what keeps the state of the deliveries, until ctx ends.
func (c *callers) remember(ctx context.Context) error {
	var files sync.WaitGroup
	defer files.Wait()
	files.Go(func() { _ = c.log.Run(ctx) }) // what it cannot write it tells by itself
	return c.ledger.Run(ctx)
}

// attempts is the delivery log as the API wants it.
type attempts struct{ log *deliverylog.Log }

// Attempts returns a page of a subscription's attempts, the newest first.
func (a attempts) Attempts(ctx context.Context, id string, outcome gatecast.Outcome, before string, limit int) ([]gatecast.Attempt, string, error) {
	page, err := a.log.Read(ctx, id, deliverylog.Query{Outcome: outcome, Before: before, Limit: limit})
	return page.Attempts, page.Next, err
}

func (p *parts) hooksAPI() api.Hooks {
	return api.Hooks{
		Subscriptions: p.registry, Deliveries: p.calls.server, DeadLetters: p.calls.ledger, Log: attempts{p.calls.log}, Positions: p.hub,
	}
}
