package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// notReady is the error of a server that runs but cannot work.
func notReady(reasons []string) error {
	e := gatecast.Errorf(gatecast.Unavailable, "the server is not ready: %s", strings.Join(reasons, "; "))
	e.Remedy = "look at the server's log"
	return e
}

// status is the answer of GET /api/v1/status.
type status struct {
	Version     string   `json:"version"`
	Epoch       string   `json:"epoch"`
	First       uint64   `json:"first"`
	Last        uint64   `json:"last"`
	Events      uint64   `json:"events"`
	Bytes       uint64   `json:"bytes"`
	Ready       bool     `json:"ready"`
	Reasons     []string `json:"reasons"`
	Warnings    []string `json:"warnings"`
	Connections int      `json:"connections"`
	Uptime      float64  `json:"uptime_seconds"`
}

func statusCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "Show how a server is",
		Description: "Exits with 5 if the server runs but is not ready, so that a script need not read the output.",
		Flags:       remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var s status
			body, err := a.call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(t.out, body)
			} else {
				err = s.print(t, a.base)
			}
			if err == nil && !s.Ready {
				err = notReady(s.Reasons)
			}
			return err
		},
	}
}

func (s *status) print(t terminal, base string) error {
	ready := "yes"
	if !s.Ready {
		ready = "no: " + strings.Join(s.Reasons, "; ")
	}
	held := "none"
	if s.Events > 0 {
		held = fmt.Sprintf("%d, from %d to %d, %s", s.Events, s.First, s.Last, bytesText(s.Bytes))
	}
	return properties(
		t.out,
		"server", base,
		"version", s.Version,
		"ready", ready,
		"warnings", cmp.Or(strings.Join(s.Warnings, "; "), "none"),
		"up for", time.Duration(s.Uptime*float64(time.Second)).Round(time.Second).String(),
		"connections", fmt.Sprint(s.Connections),
		"events held", held,
		"epoch", s.Epoch,
	)
}

// bytesText is a size for people: "512 B", "1.4 MiB".
func bytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}
