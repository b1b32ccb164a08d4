package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/view/doctor"
)

func (p *parts) doctor() *doctor.Doctor {
	return doctor.New(doctor.Parts{
		Sources: p.registry, States: sourceStates{p}, Subscriptions: p.registry, Deliveries: p.calls.server,
		Quarantine: p.sources.quarantine, Journal: p.hub, Health: complaints{p.health},
	}, doctor.Options{Config: p.cfg, DataDir: p.dataDir, Version: p.version})
}

// complaints is what the server says of itself.
type complaints struct{ health *health }

// Reasons returns why the server is not ready.
func (c complaints) Reasons() []string { return c.health.reasons() }

// Warnings returns what is wrong besides.
func (c complaints) Warnings() []string { return c.health.warned() }

// Examine looks at what a server with these settings will find when it starts on
// this machine, or why it does not.
func Examine(ctx context.Context, cfg config.Config, version string) gatecast.Diagnosis {
	dir, err := filepath.Abs(cfg.Server.Data)
	if err != nil { // the working directory is gone: what is found will say so
		dir = cfg.Server.Data
	}
	return doctor.Offline(ctx, doctor.Options{Config: cfg, DataDir: dir, Version: version, Now: time.Now})
}
