package app

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// health answers whether the server lives and whether it is ready. They are
// two questions: a server with a full disk lives, and a restart would not
// help it.
type health struct {
	state    atomic.Int32 // starting, running, ending
	checks   []check      // what readiness depends on
	warnings []check      // what somebody should look at, but need not stop anything
}

const (
	starting int32 = iota
	running
	ending
)

// check is one thing to ask about.
type check struct {
	name string
	ask  func() error
}

func (h *health) ready()    { h.state.Store(running) }
func (h *health) stopping() { h.state.Store(ending) }

// reasons returns why the server is not ready; none means that it is.
func (h *health) reasons() []string {
	why := []string{}
	switch h.state.Load() {
	case starting:
		why = append(why, "server: starting")
	case ending:
		why = append(why, "server: stopping")
	}
	return append(why, ask(h.checks)...)
}

// warned returns what is wrong without keeping the server from being ready.
func (h *health) warned() []string { return ask(h.warnings) }

func ask(checks []check) []string {
	answers := []string{}
	for _, c := range checks {
		if err := c.ask(); err != nil {
			answers = append(answers, c.name+": "+err.Error())
		}
	}
	return answers
}

// live answers GET /healthz: 200 as long as the process can answer at all.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, map[string]any{"status": "alive"})
}

// serveReady answers GET /readyz: 200, or 503 with every reason; warnings in
// either case.
func (h *health) serveReady(w http.ResponseWriter, _ *http.Request) {
	why := h.reasons()
	status, word := http.StatusOK, "ready"
	if len(why) > 0 {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	writeHealth(w, status, map[string]any{"status": word, "reasons": why, "warnings": h.warned()})
}

func writeHealth(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the only failure is a caller that has gone
}
