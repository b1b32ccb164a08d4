package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/source/absence"
	"github.com/gatecast/gatecast/internal/source/canary"
	"github.com/gatecast/gatecast/internal/view/device"
)

// watch is everything that tells quiet from dead.
type watch struct {
	devices *device.Tracker
	raiser  *absence.Raiser
	canary  *canary.Canary // nil if none is sent
	token   string         // the canary's, known to the event stream alone
}

func (p *parts) buildWatch(zone *time.Location) (w watch) {
	cfg := p.cfg.Devices
	w.token = p.watch.token
	w.devices = device.New(
		device.Parts{Hub: p.hub, Journal: p.journal, Sources: sourceStates{p}},
		device.Options{
			File: filepath.Join(p.dataDir, "devices.json"), Zone: zone, Max: cfg.Max, Learn: cfg.Learn, QuietAfter: cfg.QuietAfter,
			StaleAfter: cfg.StaleAfter, DeadAfter: cfg.DeadAfter, Missed: cfg.Missed, Suspect: p.sources.suspect, Log: p.log,
		},
	)
	w.raiser = absence.New(
		absence.Parts{Devices: w.devices, Journal: p.journal, Leader: &p.sources},
		absence.Options{Raise: cfg.RaiseOffline, After: cfg.RaiseAfter, StoreTimeout: p.cfg.Ingest.StoreTimeout, Zone: zone, Log: p.log},
	)
	return w
}

// buildCanary makes what goes through the whole way to the server's own event
// stream at an address of this machine. Whoever answers there is this process,
// for it listens there, so its certificate need not be for that address.
func (p *parts) buildCanary(url string) {
	every := p.cfg.Canary.Interval
	if every == 0 {
		return
	}
	door := canary.Stream{URL: url, Token: p.watch.token, HTTP: &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true, // each begins as a client does: by a new connection
	}}}
	c := canary.New(p.journal, door, canary.Options{Every: every, Log: p.log})
	p.watch.canary = c
	p.health.checks = append(p.health.checks, check{"canary", c.Ready})
	p.health.warnings = append(p.health.warnings, check{"canary", c.Busy})
}

func (w *watch) fly(ctx context.Context) error {
	if w.canary == nil {
		return nil
	}
	return w.canary.Run(ctx)
}

func (w *watch) metrics() []prometheus.Collector {
	all := append(w.devices.Metrics(), w.raiser.Metrics()...)
	if w.canary != nil {
		all = append(all, w.canary.Metrics()...)
	}
	return all
}

// streamTokens are the tokens that the event stream knows: everybody's, and one
// that lives and dies with this process.
type streamTokens struct {
	auth.TokenStore
	own [32]byte
}

// PrincipalByTokenHash is part of [auth.TokenStore].
func (t streamTokens) PrincipalByTokenHash(ctx context.Context, hash [32]byte) (auth.Principal, error) {
	if hash == t.own {
		return auth.Principal{ID: "canary", Name: "canary", Scopes: []auth.Scope{auth.Read}}, nil
	}
	return t.TokenStore.PrincipalByTokenHash(ctx, hash)
}
