package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// rule is something that settings must be together.
type rule struct {
	ok      bool
	keys    string // the settings it is about, the one to change first
	message string
	remedy  string
}

// validate finds settings that are right by themselves and wrong together. A
// setting that has a problem already is left out: its value here is the
// default, and complaints about that would mislead.
func validate(c *Config, o Origins, wrong []Problem) []Problem {
	var problems []Problem
	for _, r := range rules(c) {
		keys := strings.Fields(r.keys)
		told := slices.ContainsFunc(wrong, func(p Problem) bool { return slices.Contains(keys, p.Key) })
		if r.ok || told {
			continue
		}
		problems = append(problems, Problem{
			Where: cmp.Or(o[keys[0]], "default"), Key: keys[0], Message: r.message, Found: r.message, Remedy: r.remedy,
		})
	}
	return problems
}

func rules(c *Config) []rule {
	text := fmt.Sprintf
	slowest := float64(c.WebSocket.Heartbeat) * (1 + c.WebSocket.HeartbeatJitter)
	return append(mqttRules(c), []rule{
		{
			c.TLS.Cert == "" || c.TLS.Key != "", "tls.cert tls.key",
			"a certificate needs its key", "set tls.key to the file of its private key",
		},
		{
			c.TLS.Key == "" || c.TLS.Cert != "", "tls.key tls.cert",
			"a key needs its certificate", "set tls.cert to the file of its certificate",
		},
		{
			c.Server.DrainSpread < c.Server.ShutdownTimeout, "server.drain_spread server.shutdown_timeout",
			text("%v is not shorter than shutdown_timeout (%v)", c.Server.DrainSpread, c.Server.ShutdownTimeout),
			"make it shorter, or shutdown_timeout longer",
		},
		{
			c.Journal.Replicas == 1 || c.Journal.URL != "", "journal.replicas journal.url",
			text("%d copies need a NATS cluster, and the journal is the one built in", c.Journal.Replicas),
			"set journal.url to the cluster, or replicas to 1",
		},
		{
			c.Journal.MaxBytes == 0 || c.Journal.MaxBytes >= 16*MiB, "journal.max_bytes",
			text("%v is less than 16MiB", c.Journal.MaxBytes), "make it larger, or 0 for no limit",
		},
		{
			c.Journal.MaxAge == 0 || c.Journal.MaxAge >= c.Journal.DedupWindow, "journal.dedup_window journal.max_age",
			text("%v is longer than max_age (%v): IDs would outlive their events", c.Journal.DedupWindow, c.Journal.MaxAge),
			"make it shorter, or max_age longer",
		},
		{
			c.Hooks.RetryMin <= c.Hooks.RetryMax, "hooks.retry_min hooks.retry_max",
			text("%v is longer than retry_max (%v)", c.Hooks.RetryMin, c.Hooks.RetryMax), "make it shorter, or retry_max longer",
		},
		{
			c.Ingest.MaxEvent <= c.Ingest.MaxBody, "ingest.max_event ingest.max_body",
			text("%v is more than max_body (%v)", c.Ingest.MaxEvent, c.Ingest.MaxBody), "make it smaller, or max_body larger",
		},
		{
			c.Ingest.MaxWait < c.Ingest.StoreTimeout, "ingest.max_wait ingest.store_timeout",
			text("%v is not shorter than store_timeout (%v): senders would be given up before they are refused", c.Ingest.MaxWait, c.Ingest.StoreTimeout),
			"make it shorter, or store_timeout longer",
		},
		{
			c.Ingest.MaxBody <= c.Ingest.MaxInflight, "ingest.max_inflight ingest.max_body",
			text("%v is less than one body may have (max_body, %v)", c.Ingest.MaxInflight, c.Ingest.MaxBody), "make it at least max_body",
		},
		{
			c.Photos.MaxSize <= c.Photos.MaxBytes, "photos.max_bytes photos.max_size",
			text("%v is less than one photo may have (max_size, %v)", c.Photos.MaxBytes, c.Photos.MaxSize), "make it larger, or max_size smaller",
		},
		{
			float64(c.WebSocket.DeadAfter) > slowest, "websocket.dead_after websocket.heartbeat websocket.heartbeat_jitter",
			text("%v is not longer than heartbeat (%v) with its jitter: healthy clients would be cut off", c.WebSocket.DeadAfter, c.WebSocket.Heartbeat),
			"make it about three times heartbeat",
		},
		{
			c.WebSocket.MaxConnectionsPerApp <= c.WebSocket.MaxConnections, "websocket.max_connections_per_app websocket.max_connections",
			text("%d is more than max_connections (%d)", c.WebSocket.MaxConnectionsPerApp, c.WebSocket.MaxConnections),
			"make it smaller, or max_connections larger",
		},
	}...)
}

func mqttRules(c *Config) []rule {
	return []rule{
		{
			c.MQTT.Cert == "" || c.MQTT.Key != "", "mqtt.cert mqtt.key",
			"a certificate needs its key", "set mqtt.key to the file of its private key",
		},
		{
			c.MQTT.Key == "" || c.MQTT.Cert != "", "mqtt.key mqtt.cert",
			"a key needs its certificate", "set mqtt.cert to the file of its certificate",
		},
		{
			c.MQTT.Listen == "" || c.MQTT.TLS == "off" || c.MQTT.Cert != "" || c.TLS.Cert != "", "mqtt.tls mqtt.listen mqtt.cert tls.cert",
			"TLS needs a certificate, and there is none", "set mqtt.cert and mqtt.key, or tls.cert and tls.key, or mqtt.tls to off",
		},
		{
			c.MQTT.MaxPacket <= c.MQTT.Memory, "mqtt.memory mqtt.max_packet",
			fmt.Sprintf("%v is less than one message may have (max_packet, %v)", c.MQTT.Memory, c.MQTT.MaxPacket), "make it at least max_packet",
		},
	}
}

// Warnings lists settings that are allowed and that an operator should know
// about; the server logs them when it starts.
func (c *Config) Warnings() []string {
	var list []string
	if c.Journal.Sync == "interval" {
		list = append(list, "journal.sync is interval: a power cut loses the newest accepted events")
	}
	if c.TLS.Cert == "" && seenByOthers(c.Server.Listen) {
		list = append(list, "tls is off: names and tokens cross the network in the clear unless a proxy in front has TLS")
	}
	if c.MQTT.TLS == "off" && seenByOthers(c.MQTT.Listen) {
		list = append(list, "mqtt.tls is off: names and passwords cross the network in the clear unless something in front has TLS")
	}
	return list
}

// seenByOthers reports whether other machines reach an address to listen on.
func seenByOthers(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false // it is not listened on
	}
	ip, err := netip.ParseAddr(host)
	return host != "localhost" && (err != nil || !ip.IsLoopback())
}
