package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

const devicesPath = "/api/v1/devices"

func devicePath(sn string) string { return devicesPath + "/" + url.PathEscape(sn) }

// deviceCommand is everything about the devices that events come from.
func deviceCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "device",
		Usage: "Look at the devices that events come from: which are quiet, and which are dead",
		Commands: []*cli.Command{
			deviceList(t),
			{
				Name: "show", Usage: "Show one device and its rhythm", ArgsUsage: "SN", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return showOneDevice(ctx, t, c) },
			},
			{
				Name: "forget", Usage: "Forget a device that was taken away; it comes back when it is heard of", ArgsUsage: "SN", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return forgetDevice(ctx, t, c) },
			},
		},
	}
}

// freshView is how recent what is known of something is.
type freshView struct {
	State string     `json:"state"`
	Since *time.Time `json:"since"`
	Why   string     `json:"why"`
}

// pairs is it as names and values.
func (f *freshView) pairs(name string) []string {
	if f.State == "" {
		return nil // a server before this one
	}
	state := clean(f.State)
	if f.Since != nil {
		state += " since " + timeText(*f.Since)
	}
	if f.Why != "" {
		return []string{name, state, "", clean(f.Why)}
	}
	return []string{name, state}
}

// deviceView is a device as the API shows it. Rhythm is only in the answer about
// one.
type deviceView struct {
	SN        string     `json:"sn"`
	Name      string     `json:"name"`
	Place     string     `json:"place"`
	Source    string     `json:"source"`
	First     *time.Time `json:"first_seen"`
	Seen      *time.Time `json:"last_seen"`
	Behind    float64    `json:"clock_behind_seconds"`
	Records   uint64     `json:"records"`
	Alarms    uint64     `json:"alarms"`
	Freshness freshView  `json:"freshness"`
	Silence   struct {
		Missed float64    `json:"missed"`
		Limit  float64    `json:"limit"`
		Usual  *float64   `json:"usual_seconds"`
		Learnt *time.Time `json:"learnt"`
	} `json:"silence"`
	Rhythm [][]float64 `json:"rhythm"`
}

func deviceList(t terminal) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the devices and what their silence means",
		Description: `live      heard of a moment ago
quiet     silent, as is usual for it at this hour
stale     silent, though by its own rhythm it should have been heard of
dead      stale for a day, or its server says that it is offline
unknown   silent, and so is everything else from its source`,
		Flags: remoteFlags(
			&cli.StringFlag{Name: "state", Usage: "only devices that are live, quiet, stale, dead or unknown"},
			&cli.StringFlag{Name: "source", Usage: "only devices of this source"},
			&cli.StringFlag{Name: "find", Usage: "only devices with this `TEXT` in their LDID, name or place"},
			&cli.IntFlag{Name: "limit", Value: 1000, Usage: "list at most so many, 1 to 10000"},
			&cli.StringFlag{Name: "after", Usage: "list those behind this `SN`"},
		),
		Action: func(ctx context.Context, c *cli.Command) error { return listDevices(ctx, t, c) },
	}
}

func listDevices(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 0, 0); err != nil {
		return err
	}
	if n := c.Int("limit"); n < 1 || n > 10_000 {
		return usage(c, "--limit %d is not between 1 and 10000", n)
	}
	if state := c.String("state"); state != "" && !slices.Contains(gatecast.FreshStates(), gatecast.Fresh(state)) {
		return usage(c, "--state %q is not live, quiet, stale, dead or unknown", state)
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
	for flag, name := range map[string]string{"state": "state", "source": "source", "find": "q", "after": "after"} {
		if text := c.String(flag); text != "" {
			query.Set(name, text)
		}
	}
	var page devicePage
	body, err := a.call(ctx, http.MethodGet, devicesPath+"?"+query.Encode(), nil, &page)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	return page.print(t)
}

func showOneDevice(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	var d deviceView
	body, err := a.call(ctx, http.MethodGet, devicePath(c.Args().First()), nil, &d)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	return d.print(t)
}

func forgetDevice(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	sn := c.Args().First()
	if _, err := a.call(ctx, http.MethodDelete, devicePath(sn), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "sn", sn)
}
