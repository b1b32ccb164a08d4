package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

const appsPath = "/api/v1/apps"

func appPath(key string, more ...string) string {
	return strings.Join(append([]string{appsPath, url.PathEscape(key)}, more...), "/")
}

// appCommand is everything about the apps that connect by the vendor's
// protocol.
func appCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "app",
		Usage: "Manage the apps that receive events",
		Commands: []*cli.Command{
			appCreate(t),
			{
				Name: "list", Usage: "List all apps", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return listApps(ctx, t, c) },
			},
			{
				Name: "show", Usage: "Show one app and how far its clients have got", ArgsUsage: "KEY", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return showOneApp(ctx, t, c) },
			},
			{
				Name: "cursors", Usage: "Show how far the clients of an app have got", ArgsUsage: "KEY", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return showCursors(ctx, t, c) },
			},
			oneApp(t, "reveal", "Show the secret of an app", func(ctx context.Context, a *api, key string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodGet, appPath(key, "secret"), nil, out)
			}),
			appUpdate(t),
			appRotate(t),
			oneApp(t, "disable", "Refuse an app and close its connections", func(ctx context.Context, a *api, key string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodPost, appPath(key, "disable"), nil, out)
			}),
			oneApp(t, "enable", "Let a disabled app connect again", func(ctx context.Context, a *api, key string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodPost, appPath(key, "enable"), nil, out)
			}),
			appDelete(t),
		},
	}
}

// appView is an app as the API shows it. Secret is only in some answers.
type appView struct {
	Key      string    `json:"app_key"`
	Secret   string    `json:"app_secret"`
	Name     string    `json:"name"`
	Enabled  bool      `json:"enabled"`
	MaxConns int       `json:"max_connections"`
	Window   string    `json:"timestamp_window"`
	Kinds    []int     `json:"kinds"`
	CatchUp  string    `json:"catch_up"`
	First    string    `json:"first_connection"`
	Cursors  string    `json:"cursors"`
	Created  time.Time `json:"created"`
	Secrets  []struct {
		Created time.Time  `json:"created"`
		Expires *time.Time `json:"expires"`
	} `json:"secrets"`
	Freshness *freshView `json:"freshness"`
}

// oneApp is a command that does one thing to one app and shows the answer.
func oneApp(t terminal, name, text string, do func(ctx context.Context, a *api, key string, out any) ([]byte, error)) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text, ArgsUsage: "KEY", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := appRequest(c)
			if err != nil {
				return err
			}
			var app appView
			body, err := do(ctx, a, c.Args().First(), &app)
			if err != nil {
				return err
			}
			return showApp(t, c, body, app)
		},
	}
}

// appRequest checks the arguments of a command about one app.
func appRequest(c *cli.Command) (*api, error) {
	if err := arguments(c, 1, 1); err != nil {
		return nil, err
	}
	return remote(c)
}

func showApp(t terminal, c *cli.Command, body []byte, app appView) error {
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	return properties(t.out, appPairs(app)...)
}

// appPairs is an app as names and values.
func appPairs(app appView) []string {
	pairs := []string{"app key", app.Key}
	if app.Secret != "" {
		pairs = append(pairs, "app secret", app.Secret)
	}
	if app.Name == "" { // the answer to reveal has no more
		return pairs
	}
	pairs = append(
		pairs,
		"name", clean(app.Name),
		"enabled", yesNo(app.Enabled),
		"connections at most", limitText(app.MaxConns),
		"timestamp window", app.Window,
		"receives", kindsText(app.Kinds),
		"catch-up", app.CatchUp,
		"first connection", app.First,
		"cursors", "by "+app.Cursors,
		"created", timeText(app.Created),
	)
	if app.Freshness != nil {
		pairs = append(pairs, app.Freshness.pairs("state")...)
	}
	for _, s := range app.Secrets {
		until := "no end"
		if s.Expires != nil && !s.Expires.IsZero() {
			until = "until " + timeText(*s.Expires)
		}
		pairs = append(pairs, "secret of "+timeText(s.Created), until)
	}
	return pairs
}

func listApps(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 0, 0); err != nil {
		return err
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	var answer struct {
		Apps []appView `json:"apps"`
	}
	body, err := a.call(ctx, http.MethodGet, appsPath, nil, &answer)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	if len(answer.Apps) == 0 {
		fmt.Fprintln(t.err, "There are no apps yet. Make one: gatecast app create NAME")
		return nil
	}
	rows := [][]string{{"KEY", "ENABLED", "STATE", "CONNECTIONS", "WINDOW", "RECEIVES", "CREATED", "NAME"}}
	for _, app := range answer.Apps {
		state := "-"
		if app.Freshness != nil {
			state = clean(app.Freshness.State)
		}
		rows = append(rows, []string{
			app.Key, yesNo(app.Enabled), state, limitText(app.MaxConns), app.Window,
			kindsText(app.Kinds), timeText(app.Created), clean(app.Name),
		})
	}
	return table(t.out, rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func limitText(n int) string {
	if n == 0 {
		return "the server's"
	}
	return strconv.Itoa(n)
}

func kindsText(kinds []int) string {
	if len(kinds) == 0 {
		return "all"
	}
	var names []string
	for _, k := range kinds {
		names = append(names, gatecast.Kind(k).String())
	}
	return strings.Join(names, ",")
}

func timeText(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05") }

// kindCodes reads --kind flags.
func kindCodes(c *cli.Command) ([]gatecast.Kind, error) {
	var kinds []gatecast.Kind
	for _, name := range c.StringSlice("kind") {
		k, ok := kindNamed(name)
		if !ok {
			return nil, usage(c, "--kind %q is neither record nor alarm", name)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

func kindNamed(name string) (gatecast.Kind, bool) {
	for _, k := range gatecast.Kinds() {
		if name == k.String() || name == strconv.Itoa(int(k)) {
			return k, true
		}
	}
	return 0, false
}
