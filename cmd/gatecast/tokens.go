package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

const tokensPath = "/api/v1/tokens"

// tokenCommand is everything about the tokens of the HTTP API.
func tokenCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "Manage the tokens of senders and administrators",
		Commands: []*cli.Command{
			{
				Name: "create", Usage: "Make a token; it is shown this once", ArgsUsage: "NAME",
				Flags: remoteFlags(&cli.StringSliceFlag{
					Name: "scope", Value: []string{"ingest"}, Usage: "what it allows: ingest, read, admin; may be repeated",
				}),
				Action: func(ctx context.Context, c *cli.Command) error { return createToken(ctx, t, c) },
			},
			{
				Name: "list", Usage: "List all tokens", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return listTokens(ctx, t, c) },
			},
			{
				Name: "delete", Usage: "Delete a token: it stops working at once", ArgsUsage: "ID", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return deleteToken(ctx, t, c) },
			},
		},
	}
}

// tokenView is a token as the API shows it. Token is only in the answer to
// create.
type tokenView struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Token   string    `json:"token"`
}

func createToken(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 1, 1); err != nil {
		return err
	}
	scopes := c.StringSlice("scope")
	for _, s := range scopes {
		if !slices.Contains([]string{"ingest", "read", "admin"}, s) {
			return usage(c, "--scope %q is none of ingest, read and admin", s)
		}
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	var token tokenView
	body, err := a.call(ctx, http.MethodPost, tokensPath, map[string]any{"name": c.Args().First(), "scopes": scopes}, &token)
	if err != nil {
		return atFlag(err, map[string]string{"name": "NAME", "scopes": "--scope"})
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	if err := properties(t.out, "id", token.ID, "name", token.Name,
		"scopes", strings.Join(token.Scopes, ","), "token", token.Token); err != nil {
		return err
	}
	fmt.Fprintln(t.err, "Keep the token now: the server has only its hash.")
	return nil
}

func listTokens(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 0, 0); err != nil {
		return err
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	var answer struct {
		Tokens []tokenView `json:"tokens"`
	}
	body, err := a.call(ctx, http.MethodGet, tokensPath, nil, &answer)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	rows := [][]string{{"ID", "SCOPES", "CREATED", "NAME"}}
	for _, k := range answer.Tokens {
		rows = append(rows, []string{k.ID, strings.Join(k.Scopes, ","), timeText(k.Created), clean(k.Name)})
	}
	return table(t.out, rows)
}

func deleteToken(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 1, 1); err != nil {
		return err
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	if _, err := a.call(ctx, http.MethodDelete, tokensPath+"/"+url.PathEscape(id), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "id", id)
}
