package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/urfave/cli/v3"
)

const sourcesPath = "/api/v1/sources"

func sourcePath(name string, more ...string) string {
	path := sourcesPath + "/" + url.PathEscape(name)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// sourceCommand is everything about sources: SenseLink servers that events are
// taken from.
func sourceCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "source",
		Usage: "Manage sources: SenseLink servers that events are taken from",
		Commands: []*cli.Command{
			sourceAdd(t),
			sourceList(t),
			oneSource(t, "show", "Show one source, its settings and how it stands", func(ctx context.Context, a *api, name string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodGet, sourcePath(name), nil, out)
			}),
			sourceUpdate(t),
			sourcePause(t),
			oneSource(t, "resume", "Go on with a paused source", func(ctx context.Context, a *api, name string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodPost, sourcePath(name, "resume"), nil, out)
			}),
			sourceReconcile(t),
			sourceURL(t),
			sourceSubscribe(t),
			sourceRotate(t),
			{
				Name: "delete", Usage: "Take nothing from a source any more, and forget its settings; its events stay", ArgsUsage: "NAME", Flags: remoteFlags(lossFlag()),
				Action: func(ctx context.Context, c *cli.Command) error { return deleteSource(ctx, t, c) },
			},
		},
	}
}

// sourceView is a source as the API shows it.
type sourceView struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	URL    string `json:"url"`
	AppKey string `json:"app_key"`
	REST   struct {
		URL      string `json:"url"`
		Style    string `json:"style"`
		Every    string `json:"every"`
		Lookback string `json:"lookback"`
		Zone     string `json:"zone"`
	} `json:"rest"`
	Company     int64       `json:"company"`
	Description string      `json:"description"`
	Created     time.Time   `json:"created"`
	Path        string      `json:"path"`
	Former      *time.Time  `json:"former_path_until"`
	State       sourceState `json:"state"`
	Freshness   freshView   `json:"freshness"`
}

// sourceState is how a source stands.
type sourceState struct {
	Status    string        `json:"status"`
	Since     *time.Time    `json:"since"`
	Reason    string        `json:"reason"`
	LastEvent *time.Time    `json:"last_event"`
	LastSign  *time.Time    `json:"last_sign"`
	Events    uint64        `json:"events"`
	Rubbish   uint64        `json:"rubbish"`
	Statement statementView `json:"statement"`
	Post      *postView     `json:"post"`
}

// oneSource is a command that does one thing to one source and shows the answer.
func oneSource(t terminal, name, text string, do func(ctx context.Context, a *api, name string, out any) ([]byte, error)) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text, ArgsUsage: "NAME", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var src sourceView
			body, err := do(ctx, a, c.Args().First(), &src)
			if err != nil {
				return err
			}
			return showSource(t, c, body, src)
		},
	}
}

func sourcePause(t terminal) *cli.Command {
	return &cli.Command{
		Name: "pause", Usage: "Take nothing from a source until it is resumed", ArgsUsage: "NAME",
		Description: `After resume, what it pushed meanwhile is asked for, if the source has --rest. A server
that posts is answered 503 while its source is paused, and may never post again.`,
		Flags: remoteFlags(&cli.StringFlag{Name: "reason", Usage: "why, for whoever looks at it"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var src sourceView
			body, err := a.call(ctx, http.MethodPost, sourcePath(c.Args().First(), "pause"), map[string]string{"reason": c.String("reason")}, &src)
			if err != nil {
				return atFlag(err, map[string]string{"reason": "--reason"})
			}
			return showSource(t, c, body, src)
		},
	}
}

// sourceURL shows what to set at a server that posts its events.
func sourceURL(t terminal) *cli.Command {
	return &cli.Command{
		Name: "url", Usage: "Show the URL that a source of the kind subscription posts to", ArgsUsage: "NAME",
		Description: "Whoever knows the URL can send in events.",
		Flags:       remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var answer struct {
				Path string `json:"path"`
			}
			body, err := a.call(ctx, http.MethodGet, sourcePath(c.Args().First(), "token"), nil, &answer)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			_, err = fmt.Fprintln(t.out, clean(a.base+answer.Path))
			return err
		},
	}
}

func deleteSource(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	if err := confirmLoss(t, c, "Delete the source "+clean(name)+", its secret and its URL?"); err != nil {
		return err
	}
	if _, err := a.call(ctx, http.MethodDelete, sourcePath(name), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "name", name)
}
