package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/source/mqtt"
)

// publishers is the door for devices that publish over MQTT. Without a listener
// it is shut, and what came in by it before can still be looked at.
type publishers struct {
	server   *mqtt.Server
	listener net.Listener // nil: MQTT is off
}

// listenMQTT opens the port for MQTT; nil if it is off.
func listenMQTT(cfg config.Config) (net.Listener, error) {
	if cfg.MQTT.Listen == "" {
		return nil, nil
	}
	plain, err := net.Listen("tcp", cfg.MQTT.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (mqtt.listen): %w", cfg.MQTT.Listen, err)
	}
	if cfg.MQTT.TLS == "off" {
		return plain, nil
	}
	files := cfg.TLS
	if cfg.MQTT.Cert != "" {
		files.Cert, files.Key = cfg.MQTT.Cert, cfg.MQTT.Key
	}
	secure, err := withTLS(plain, files, "mqtt")
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("open the door for mqtt: %w", err)
	}
	return secure, nil
}

func (p *parts) buildPublishers(zone *time.Location) publishers {
	c := p.cfg.MQTT
	decode := p.ingestOptions(zone).Decode
	decode.Photos = p.pictures.store.Lenient()
	server := mqtt.New(
		mqtt.Parts{Journal: p.journal, Users: p.registry, Quarantine: p.sources.quarantine},
		mqtt.Options{
			Decode: decode,
			Limits: mqtt.Limits{
				Conns: c.MaxConnections, Packet: int(c.MaxPacket), Inflight: c.MaxInFlight, Memory: int64(c.Memory), Idle: c.MaxIdle,
				Login: c.LoginTimeout, Read: p.cfg.Ingest.ReadTimeout, LoginRate: c.LoginRate, RefusalRate: c.RefusalRate,
			},
			StoreTimeout: p.cfg.Ingest.StoreTimeout, Log: p.log,
		},
	)
	return publishers{server: server}
}

// run takes in from devices until ctx ends.
func (p *publishers) run(ctx context.Context) error {
	if p.listener == nil {
		return nil
	}
	return p.server.Serve(ctx, p.listener)
}

// owns reports whether something in the quarantine came over MQTT.
func (p *publishers) owns(q gatecast.Quarantined) bool { return mqtt.CameFrom(q.Source) }

// Metrics returns what there is to register: nothing of a door that is shut.
func (p *publishers) Metrics() []prometheus.Collector {
	if p.listener == nil {
		return nil
	}
	return p.server.Metrics()
}
