package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/urfave/cli/v3"
)

const sourceSecretHelp = `A secret on a command line is seen by other users of the machine: --app-secret also
takes @FILE, and - for standard input.`

// sourceSettings are the flags for what can be changed of a source later. None
// has a default: the server has them.
func sourceSettings() []cli.Flag {
	const asking = "ASKING WHAT IT HAS"
	return []cli.Flag{
		&cli.StringFlag{Name: "kind", Usage: "how events come: websocket (default; gatecast connects) or subscription (the server posts)"},
		&cli.StringFlag{Name: "url", Usage: "of a websocket: where the server pushes, such as ws://senselink.example:9000"},
		&cli.StringFlag{Name: "app-key", Usage: "`KEY` of an app of the server's"},
		&cli.StringFlag{Name: "app-secret", Usage: "`SECRET` of that app; also @FILE or -", HideDefault: true},
		&cli.Int64Flag{Name: "company", Usage: "take only events of this companyId; 0 for all", HideDefault: true},
		&cli.StringFlag{Name: "description", Usage: "for people"},
		&cli.StringFlag{Name: "rest", Usage: "`URL` to ask, such as http://senselink.example:9000, or none", Category: asking},
		&cli.StringFlag{Name: "rest-style", Usage: "v5 or v4", Category: asking},
		&cli.StringFlag{Name: "rest-every", Usage: "how often, such as 5m", Category: asking},
		&cli.StringFlag{Name: "rest-lookback", Usage: "how far back the first time, such as 24h", Category: asking},
		&cli.StringFlag{Name: "rest-zone", Usage: "zone of the server's times, such as Asia/Tokyo", Category: asking},
	}
}

// sourceFields are the fields of the API that flags fill as they are; restFields
// those of its member rest.
func sourceFields() map[string]string {
	return map[string]string{
		"kind": "kind", "url": "url", "app-key": "app_key", "app-secret": "app_secret", "company": "company", "description": "description",
	}
}

func restFields() map[string]string {
	return map[string]string{
		"rest": "url", "rest-style": "style", "rest-every": "every", "rest-lookback": "lookback", "rest-zone": "zone",
	}
}

// sourceBody is the request that says what the flags name, and nothing else.
func sourceBody(t terminal, c *cli.Command) (map[string]any, error) {
	body, rest := map[string]any{}, map[string]any{}
	for flag, field := range sourceFields() {
		if c.IsSet(flag) {
			body[field] = c.Value(flag)
		}
	}
	for flag, field := range restFields() {
		if c.IsSet(flag) {
			rest[field] = c.String(flag)
		}
	}
	switch {
	case rest["url"] == "none" && len(rest) > 1:
		return nil, usage(c, "--rest none is never to ask, but another flag says how")
	case rest["url"] == "none":
		body["rest"] = nil
	case len(rest) > 0:
		body["rest"] = rest
	}
	if !c.IsSet("app-secret") {
		return body, nil
	}
	secret, err := elsewhere(t, c, "app-secret", c.String("app-secret"))
	body["app_secret"] = secret
	return body, err
}

// atSourceFlag turns a refusal that names a field of a source into one that
// names the flag it came from.
func atSourceFlag(err error) error {
	flags := map[string]string{"name": "NAME"}
	for flag, field := range sourceFields() {
		flags[field] = "--" + flag
	}
	for flag, field := range restFields() {
		flags["rest/"+field] = "--" + flag
	}
	return atFlag(err, flags)
}

func sourceAdd(t terminal) *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "Take events from a SenseLink server", ArgsUsage: "NAME",
		Description: `The name becomes part of the IDs of its events and never changes. A server whose events
come over its WebSocket needs --url, --app-key and --app-secret. With --kind subscription
the server posts its events: set the URL that is printed as that of its event
subscription. With --rest the server is asked what it has, and what did not come is
filled in; without, nobody can say whether anything is missing.
` + sourceSecretHelp,
		Flags: remoteFlags(sourceSettings()...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			body, err := sourceBody(t, c)
			if err != nil {
				return err
			}
			body["name"] = c.Args().First()
			a, err := remote(c)
			if err != nil {
				return err
			}
			var src sourceView
			answer, err := a.call(ctx, http.MethodPost, sourcesPath, body, &src)
			if err != nil {
				return atSourceFlag(err)
			}
			return showNewSource(t, c, a.base, answer, src)
		},
	}
}

// showNewSource shows what must be set at the server, and what to do next.
func showNewSource(t terminal, c *cli.Command, base string, answer []byte, src sourceView) error {
	if c.Bool("json") {
		return printJSON(t.out, answer)
	}
	pairs := []string{"name", clean(src.Name), "kind", clean(src.Kind)}
	if src.Path != "" {
		pairs = append(pairs, "post to", clean(base+src.Path))
	}
	if err := properties(t.out, pairs...); err != nil {
		return err
	}
	if src.Path != "" {
		fmt.Fprintf(t.err, "Set this URL as that of the server's event subscription; to see it again: gatecast source url %s\n", src.Name)
		if u, err := url.Parse(base); err == nil && onThisMachine(u.Hostname()) {
			fmt.Fprintf(t.err, "The server must reach it: put a name of this machine in the place of %s\n", u.Hostname())
		}
	}
	if src.REST.URL == "" {
		fmt.Fprintf(t.err, "Nobody can say whether anything is missing until you give it --rest: gatecast source update %s --rest URL\n", src.Name)
	}
	fmt.Fprintf(t.err, "See how it stands: gatecast source show %s\n", src.Name)
	return nil
}

func sourceRotate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "Give a source that posts a new URL; the old one is good for a while", ArgsUsage: "NAME",
		Description: `Set the URL that is printed as that of the server's event subscription while the old one is
still good: a server of the vendor's that was refused once posts nothing more.`,
		Flags: remoteFlags(&cli.StringFlag{Name: "overlap", Value: "24h", Usage: "how long the old URL is good too"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var src sourceView
			body, err := a.call(ctx, http.MethodPost, sourcePath(c.Args().First(), "rotate"), map[string]string{"overlap": c.String("overlap")}, &src)
			if err != nil {
				return atFlag(err, map[string]string{"overlap": "--overlap"})
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			pairs := []string{"name", clean(src.Name), "post to", clean(a.base + src.Path)}
			if src.Former != nil {
				pairs = append(pairs, "old URL", "good until "+timeText(*src.Former))
			}
			return properties(t.out, pairs...)
		},
	}
}

// onThisMachine reports whether a host is one that no other machine reaches.
func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sourceUpdate(t terminal) *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "Change a source", ArgsUsage: "NAME",
		Description: `What no flag names stays as it is. --rest none ends the asking. A source that changes to
--kind subscription gets a URL to post to; see: gatecast source url NAME
` + sourceSecretHelp,
		Flags: remoteFlags(sourceSettings()...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			patch, err := sourceBody(t, c)
			if err != nil {
				return err
			}
			if len(patch) == 0 {
				return usage(c, "nothing to change: give --url, --app-secret, --rest or another flag")
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var src sourceView
			body, err := a.call(ctx, http.MethodPatch, sourcePath(c.Args().First()), patch, &src)
			if err != nil {
				return atSourceFlag(err)
			}
			return showSource(t, c, body, src)
		},
	}
}
