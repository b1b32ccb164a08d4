package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/urfave/cli/v3"
)

const elsewhereHelp = `A secret on a command line is seen by other users of the machine: --header,
--basic and --bearer also take @FILE, and - for standard input.`

func subCreate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Have events posted to a URL, and show the secret they are signed with", ArgsUsage: "URL",
		Description: `What no flag names gets the server's default: records and alarms from now on, one
request for each, in the order of each device.
` + elsewhereHelp,
		Flags: remoteFlags(append(
			subSettings(),
			&cli.StringFlag{Name: "app", Usage: "`KEY` of the app whose events it is sent; default is everything"},
			&cli.StringFlag{Name: "start", Usage: "begin at `PLACE`: latest (default), earliest, the seq of a position, or a time by RFC 3339"},
			&cli.StringFlag{Name: "secret", Usage: "sign with this `SECRET` (whsec_...), which the receiver has already; also @FILE or -", HideDefault: true},
		)...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			body, err := newSub(t, c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var sub subView
			answer, err := a.call(ctx, http.MethodPost, subsPath, body, &sub)
			if err != nil {
				return atSubFlag(c, err, "URL")
			}
			return showNewSub(t, c, answer, sub)
		},
	}
}

// newSub is the request for a new subscription.
func newSub(t terminal, c *cli.Command) (map[string]any, error) {
	body, err := subBody(t, c)
	if err != nil {
		return nil, err
	}
	body["url"] = c.Args().First()
	for flag, field := range map[string]string{"app": "app_key", "start": "start", "secret": "secret"} {
		if !c.IsSet(flag) {
			continue
		}
		value := c.String(flag)
		if flag == "secret" {
			value, err = elsewhere(t, c, flag, value)
			if err != nil {
				return nil, err
			}
		}
		if value == "" {
			return nil, usage(c, "--%s is empty", flag)
		}
		body[field] = value
	}
	return body, nil
}

// showNewSub shows what the receiver must be told, and what to do next.
func showNewSub(t terminal, c *cli.Command, answer []byte, sub subView) error {
	if c.Bool("json") {
		return printJSON(t.out, answer)
	}
	pairs := []string{"id", sub.ID, "url", clean(sub.URL)}
	if len(sub.Secrets) > 0 {
		pairs = append(pairs, "secret", clean(sub.Secrets[0].Secret))
	}
	if sub.PublicKey != "" {
		pairs = append(pairs, "public key", clean(sub.PublicKey))
	}
	if err := properties(t.out, pairs...); err != nil {
		return err
	}
	fmt.Fprintf(t.err, "The receiver verifies with the secret; to see it again: gatecast sub secret %s\nNow try it: gatecast sub test %[1]s\n", sub.ID)
	return nil
}

func subUpdate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "Change a subscription", ArgsUsage: "ID",
		Description: `What no flag names stays as it is. A flag that may be repeated replaces the whole
list; "NAME: ***" keeps the value that a header has.
` + elsewhereHelp,
		Flags: remoteFlags(append(subSettings(), &cli.StringFlag{Name: "url", Usage: "its new URL"})...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			patch, err := subBody(t, c)
			if err != nil {
				return err
			}
			if len(patch) == 0 {
				return usage(c, "nothing to change: give --url, --rate, --kind or another flag")
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var sub subView
			body, err := a.call(ctx, http.MethodPatch, subPath(c.Args().First()), patch, &sub)
			if err != nil {
				return atSubFlag(c, err, "--url")
			}
			return showSub(t, c, body, sub)
		},
	}
}

func subSecret(t terminal) *cli.Command {
	return &cli.Command{
		Name: "secret", Usage: "Show what the receiver of a subscription verifies with", ArgsUsage: "ID", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var answer struct {
				ID        string `json:"id"`
				Secret    string `json:"secret"`
				PublicKey string `json:"public_key"`
			}
			body, err := a.call(ctx, http.MethodGet, subPath(c.Args().First(), "secret"), nil, &answer)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return properties(t.out, "id", answer.ID, "secret", clean(answer.Secret), "public key", cmp.Or(clean(answer.PublicKey), "none"))
		},
	}
}

func subRotate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "Give a subscription a new secret; the old one signs too for a while", ArgsUsage: "ID",
		Flags: remoteFlags(&cli.StringFlag{Name: "overlap", Value: "24h", Usage: "how long the old secret signs too"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var sub subView
			body, err := a.call(ctx, http.MethodPost, subPath(c.Args().First(), "rotate"), map[string]string{"overlap": c.String("overlap")}, &sub)
			if err != nil {
				return atFlag(err, map[string]string{"overlap": "--overlap"})
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return properties(t.out, append([]string{"id", sub.ID}, sub.keyPairs()...)...)
		},
	}
}
