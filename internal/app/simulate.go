package app

import (
	"context"

	"github.com/gatecast/gatecast/senselink"
)

// simulate feeds the simulator's events in by the door that everybody uses.
func (p *parts) simulate(ctx context.Context) error {
	return p.simulator.Run(ctx, func(ctx context.Context, body []byte) error {
		_, err := p.ingest.Ingest(ctx, "sim", body, senselink.JSON)
		return err
	})
}
