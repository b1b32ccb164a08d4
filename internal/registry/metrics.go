package registry

import "github.com/prometheus/client_golang/prometheus"

// Metrics returns the registry's collectors, for the caller to register.
func (r *Registry) Metrics() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("gatecast_registry_apps", "Apps there are.", func() float64 { return float64(r.cache.load().apps.len()) }),
		gauge("gatecast_registry_subscriptions", "Subscriptions there are.", func() float64 { return float64(r.cache.load().subs.len()) }),
		gauge("gatecast_registry_sources", "Sources there are.", func() float64 { return float64(len(r.cache.load().sources)) }),
		gauge("gatecast_registry_mqtt_users", "Users for MQTT there are.", func() float64 { return float64(r.cache.load().mqttUsers.len()) }),
		gauge("gatecast_registry_tokens", "API tokens there are.", func() float64 { return float64(len(r.cache.load().tokens)) }),
		gauge("gatecast_registry_healthy", "1 while changes from other nodes arrive, else 0.", func() float64 {
			if r.Healthy() != nil {
				return 0
			}
			return 1
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gatecast_registry_resyncs_total",
			Help: "How often the watch on the registry was lost and begun anew.",
		}, func() float64 { return float64(r.resync.Load()) }),
	}
}
