package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// appSpec is the request for a new app.
type appSpec struct {
	Name     string          `json:"name"`
	MaxConns int             `json:"max_connections,omitempty"`
	Window   string          `json:"timestamp_window,omitempty"`
	Kinds    []gatecast.Kind `json:"kinds,omitempty"`
	Key      string          `json:"app_key,omitempty"`
	Secret   string          `json:"app_secret,omitempty"`
}

func appCreate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Make an app and show its key and secret", ArgsUsage: "NAME",
		Description: `To take an app over from a SenseLink server, so that its clients need no change,
give the key and the secret it has there.`,
		Flags: remoteFlags(
			&cli.IntFlag{Name: "max-connections", Usage: "connections at once; 0 for no limit of its own"},
			&cli.StringFlag{Name: "window", Usage: `how far a timestamp may be from the server's clock: "30m", or "off" for any`},
			&cli.StringSliceFlag{Name: "kind", Usage: "what it receives: record, alarm; may be repeated; default is both"},
			&cli.StringFlag{Name: "key", Usage: "take over this app key (with --secret)"},
			&cli.StringFlag{Name: "secret", Usage: "take over this app secret (with --key)"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			kinds, err := kindCodes(c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var app appView
			body, err := a.call(ctx, http.MethodPost, appsPath, appSpec{
				Name: c.Args().First(), MaxConns: c.Int("max-connections"), Window: c.String("window"),
				Kinds: kinds, Key: c.String("key"), Secret: c.String("secret"),
			}, &app)
			if err != nil {
				return err
			}
			return showApp(t, c, body, app)
		},
	}
}

func appRotate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "Give an app a new secret; the old one stays valid for a while", ArgsUsage: "KEY",
		Flags: remoteFlags(
			&cli.StringFlag{Name: "overlap", Value: "24h", Usage: "how long the old secret stays valid"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := appRequest(c)
			if err != nil {
				return err
			}
			var app appView
			body, err := a.call(ctx, http.MethodPost, appPath(c.Args().First(), "rotate"),
				map[string]string{"overlap": c.String("overlap")}, &app)
			if err != nil {
				return err
			}
			return showApp(t, c, body, app)
		},
	}
}

func appDelete(t terminal) *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "Delete an app for good and close its connections", ArgsUsage: "KEY",
		Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := appRequest(c)
			if err != nil {
				return err
			}
			key := c.Args().First()
			if _, err := a.call(ctx, http.MethodDelete, appPath(key), nil, nil); err != nil {
				return err
			}
			return deleted(t, c, "app_key", key)
		},
	}
}

// deleted confirms that something is gone.
func deleted(t terminal, c *cli.Command, what, id string) error {
	if c.Bool("json") {
		return printValue(t.out, map[string]string{what: id, "deleted": "yes"})
	}
	_, err := fmt.Fprintln(t.out, "deleted", id)
	return err
}
