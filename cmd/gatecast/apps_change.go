package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// appSpec is the request for a new app.
type appSpec struct {
	Name     string          `json:"name"`
	MaxConns int             `json:"max_connections,omitempty"`
	Window   string          `json:"timestamp_window,omitempty"`
	Kinds    []gatecast.Kind `json:"kinds,omitempty"`
	CatchUp  string          `json:"catch_up,omitempty"`
	First    string          `json:"first_connection,omitempty"`
	Cursors  string          `json:"cursors,omitempty"`
	Key      string          `json:"app_key,omitempty"`
	Secret   string          `json:"app_secret,omitempty"`
}

func appCreate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Make an app and show its key and secret", ArgsUsage: "NAME",
		Description: `To take an app over from a SenseLink server, so that its clients need no change,
give the key and the secret it has there.`,
		Flags: remoteFlags(append(
			appSettings(),
			&cli.StringFlag{Name: "key", Usage: "take over this app key (with --secret)"},
			&cli.StringFlag{Name: "secret", Usage: "take over this app secret (with --key)"},
		)...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			kinds, err := appKinds(c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var app appView
			body, err := a.call(ctx, http.MethodPost, appsPath, appSpec{
				Name: c.Args().First(), MaxConns: c.Int("max-connections"), Window: c.String("window"), Kinds: kinds,
				CatchUp: c.String("catch-up"), First: c.String("first"), Cursors: c.String("cursors"),
				Key: c.String("key"), Secret: c.String("secret"),
			}, &app)
			if err != nil {
				return inFlags(err, "NAME")
			}
			return showApp(t, c, body, app)
		},
	}
}

// appSettings are the flags for what can be changed of an app later.
func appSettings() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "max-connections", Usage: "connections at once; 0 for no limit of its own", HideDefault: true},
		&cli.StringFlag{Name: "window", Usage: `how far a timestamp may be from the server's clock: "30m", or "off" for any`},
		&cli.StringSliceFlag{Name: "kind", Usage: "what it receives: record, alarm, or all; may be repeated"},
		&cli.StringFlag{Name: "catch-up", Usage: `how old the events may be that a client gets that was away: "24h", "all", or "off" for none`},
		&cli.StringFlag{Name: "first", Usage: `where a client begins that was never here: "latest", or "earliest" for what catch-up allows`},
		&cli.StringFlag{Name: "cursors", Usage: `whose position is remembered: that of the "app", or of each IP "address"`},
	}
}

// settingFields are the fields of the API that the flags of appSettings fill.
func settingFields() map[string]string {
	return map[string]string{
		"max-connections": "max_connections",
		"window":          "timestamp_window",
		"kind":            "kinds",
		"catch-up":        "catch_up",
		"first":           "first_connection",
		"cursors":         "cursors",
	}
}

// appKinds reads --kind of an app; "all" is none in particular.
func appKinds(c *cli.Command) ([]gatecast.Kind, error) {
	if slices.Equal(c.StringSlice("kind"), []string{"all"}) {
		return []gatecast.Kind{}, nil
	}
	return kindCodes(c)
}

func appUpdate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "Change an app", ArgsUsage: "KEY",
		Description: "What no flag names stays as it is.",
		Flags:       remoteFlags(append(appSettings(), &cli.StringFlag{Name: "name", Usage: "its new name"})...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			patch, err := appPatch(c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var app appView
			body, err := a.call(ctx, http.MethodPatch, appPath(c.Args().First()), patch, &app)
			if err != nil {
				return inFlags(err, "--name")
			}
			return showApp(t, c, body, app)
		},
	}
}

// appPatch is the request that changes what the flags name, and nothing else.
func appPatch(c *cli.Command) (map[string]any, error) {
	patch := map[string]any{}
	for flag, field := range settingFields() {
		if c.IsSet(flag) {
			patch[field] = c.Value(flag)
		}
	}
	if c.IsSet("kind") {
		kinds, err := appKinds(c)
		if err != nil {
			return nil, err
		}
		patch["kinds"] = kinds
	}
	if c.IsSet("name") {
		patch["name"] = c.String("name")
	}
	if len(patch) == 0 {
		return nil, usage(c, "nothing to change: give --name, --window, --catch-up or another flag")
	}
	return patch, nil
}

// inFlags turns a refusal that names a field of an app into one that names the
// flag it came from; name is where the app's name came from.
func inFlags(err error, name string) error {
	flags := map[string]string{"name": name, "app_key": "--key", "app_secret": "--secret"}
	for flag, field := range settingFields() {
		flags[field] = "--" + flag
	}
	return atFlag(err, flags)
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
				return atFlag(err, map[string]string{"overlap": "--overlap"})
			}
			return showApp(t, c, body, app)
		},
	}
}

func appDelete(t terminal) *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "Delete an app for good and close its connections", ArgsUsage: "KEY",
		Flags: remoteFlags(lossFlag()),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := appRequest(c)
			if err != nil {
				return err
			}
			key := c.Args().First()
			if err := confirmLoss(t, c, "Delete the app "+clean(key)+", its secret and how far its consumers are?"); err != nil {
				return err
			}
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
