package app

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/internal/config"
)

// until asks again and again; a test that waits for too long is ended from
// outside.
func (r *trial) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-r.t.Context().Done():
			r.t.Fatalf("never happened: %s", what)
		}
	}
}

func (r *trial) metrics() string {
	_, page := r.do("GET", "/metrics", "", "")
	return page
}

func TestACanaryComesBackThroughARealConnection(t *testing.T) {
	certs := t.TempDir()
	cert, key := filepath.Join(certs, "c.pem"), filepath.Join(certs, "k.pem")
	writePair(t, cert, key, 1)
	for name, change := range map[string]func(*config.Config){
		"plain": func(*config.Config) {},
		"TLS":   func(c *config.Config) { c.TLS.Cert, c.TLS.Key = cert, key },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{}, func(c *config.Config) {
				c.Canary.Interval = 100 * time.Millisecond
				change(c)
			})
			r.until("a canary comes back", func() bool {
				page := r.metrics()
				return strings.Contains(page, "gatecast_canary_trip_seconds_count") && !strings.Contains(page, "gatecast_canary_trip_seconds_count 0\n")
			})
		})
	}
}

func TestALostCanaryIsAReasonNotToBeReady(t *testing.T) {
	r := start(t, Options{}, func(c *config.Config) {
		c.Canary.Interval = 100 * time.Millisecond
		c.Journal.LowDisk = 1 << 62 // nothing is taken in
	})
	r.until("the canary is missed", func() bool {
		status, body := r.do("GET", "/readyz", "", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "canary: none came back for") && strings.Contains(body, "the journal did not take it")
	})
}

func TestADeviceIsListedOnceItWasHeardOf(t *testing.T) {
	r := start(t, Options{}, func(*config.Config) {})
	if status, body := r.do("POST", "/api/v1/events", r.info.AdminToken, event); status != http.StatusOK {
		t.Fatalf("posting an event: %d %s", status, body)
	}
	r.until("it is listed", func() bool {
		_, body := r.do("GET", "/api/v1/devices", r.info.AdminToken, "")
		return strings.Contains(body, `"sn":"SPS-1"`) && strings.Contains(body, `"state":"quiet"`) && strings.Contains(body, `"level":true`)
	})
	if status, body := r.do("DELETE", "/api/v1/devices/SPS-1", r.info.AdminToken, ""); status != http.StatusNoContent {
		t.Fatalf("forget: %d %s", status, body)
	}
	if _, body := r.do("GET", "/api/v1/devices", r.info.AdminToken, ""); !strings.Contains(body, `"devices":[]`) {
		t.Errorf("forgotten, and still there: %s", body)
	}
}
