package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// figures are what the tests read of a report of gatecast bench.
type figures struct {
	Command string `json:"command"`
	Machine struct {
		CPUs int    `json:"cpus"`
		Go   string `json:"go"`
	} `json:"machine"`
	Figures []struct {
		Scenario string  `json:"scenario"`
		Target   string  `json:"target"`
		What     string  `json:"what"`
		Value    float64 `json:"value"`
		Verdict  string  `json:"verdict"`
	} `json:"figures"`
}

func runBench(t *testing.T, args ...string) figures {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience) // it is many waits
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"bench"}, args...)...)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("gatecast bench %s: %v\n%s", strings.Join(args, " "), err, progress.String())
	}
	if progress.Len() == 0 {
		t.Error("it never said what it was doing")
	}
	var r figures
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("the report is no JSON: %v\n%s", err, out.String())
	}
	return r
}

// TestBenchMeasuresEveryTarget runs all measurements in small: whether the
// figures reach their targets depends on the machine, that they are taken does
// not. Every one of them fails if a client has missed an event.
func TestBenchMeasuresEveryTarget(t *testing.T) {
	r := runBench(t, "all", "--json", "--clients", "20", "--burst", "20", "--events", "20000", "--for", "200ms", "--subscriptions", "20", "--data", t.TempDir())
	targets := make(map[string]int)
	for _, f := range r.Figures {
		if f.Target != "" {
			targets[f.Target]++
			if f.Verdict != "" {
				t.Errorf("%s: %s has the verdict %q, though the target is defined for other sizes", f.Target, f.What, f.Verdict)
			}
		}
		if f.Value < 0 || f.Value == 0 && f.Target != "" && f.Target != "P3" {
			t.Errorf("%s: %s is %v", f.Scenario, f.What, f.Value)
		}
	}
	for target, n := range map[string]int{"P1": 1, "P2": 1, "P3": 1, "P4": 2, "P5": 3, "P6": 2, "P7": 4, "P8": 1, "P9": 1} {
		if targets[target] != n {
			t.Errorf("%s was measured %d times, want %d", target, targets[target], n)
		}
	}
	if strings.Contains(r.Command, "token") || !strings.Contains(r.Command, "--clients 20") {
		t.Errorf("the report calls the command %q", r.Command)
	}
	if r.Machine.CPUs == 0 || !strings.HasPrefix(r.Machine.Go, "go") {
		t.Errorf("the machine is described as %+v", r.Machine)
	}
}

// TestBenchMeasuresAServerThatRuns leaves no app and no subscription behind on it, and says so where
// it can only measure what it starts itself.
func TestBenchMeasuresAServerThatRuns(t *testing.T) {
	s := start(t, t.TempDir(), "--hooks.allow=127.0.0.0/8")
	mine := s.createApp(t)
	var seen []string
	for scenario, args := range map[string][]string{
		"latency": {"--for", "500ms"}, "fanout": {"--clients", "20", "--burst", "1500", "--for", "500ms"},
		"ingest": {"--for", "500ms"}, "storm": {"--clients", "20"}, "hooks": {"--subscriptions", "20", "--burst", "50", "--for", "500ms"},
	} {
		r := runBench(t, append([]string{scenario, "--json", "--server", s.base, "--token", s.token}, args...)...)
		if strings.Contains(r.Command, s.token) {
			t.Errorf("the report holds the token: %q", r.Command)
		}
		for _, f := range r.Figures {
			seen = append(seen, f.Target)
		}
	}
	for _, target := range []string{"P1", "P4", "P5", "P7", "P8"} {
		if !slices.Contains(seen, target) {
			t.Errorf("%s was not measured: %q", target, seen)
		}
	}
	status, body, err := s.get(within(t), "/api/v1/apps")
	if err != nil || status != 200 || strings.Count(body, `"app_key"`) != 1 || !strings.Contains(body, mine.Key) {
		t.Errorf("after the measurements the server has the apps %s (%d, %v)", body, status, err)
	}
	if status, body, err := s.get(within(t), "/api/v1/subscriptions"); err != nil || status != 200 || strings.Contains(body, `"id"`) {
		t.Errorf("after the measurements the server has the subscriptions %s (%d, %v)", body, status, err)
	}
}
