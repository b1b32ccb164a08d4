package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

const quarantinePath = "/api/v1/quarantine"

func quarantinedPath(id string, more ...string) string {
	path := quarantinePath + "/" + url.PathEscape(id)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// quarantineCommand is everything about what came in and could not be
// understood.
func quarantineCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "quarantine",
		Usage: "Look at what came in and could not be understood",
		Commands: []*cli.Command{
			quarantineList(t),
			quarantineShow(t),
			quarantineInject(t),
			{
				Name: "drop", Usage: "Forget a message for good", ArgsUsage: "ID", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return dropQuarantined(ctx, t, c) },
			},
		},
	}
}

// quarantinedView is a message that could not be understood. Body and Bytes are
// only in the answer about one.
type quarantinedView struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Source    string    `json:"source"`
	Reason    string    `json:"reason"`
	Size      uint64    `json:"size"`
	Truncated bool      `json:"truncated"`
	Count     int       `json:"count"`
	Body      string    `json:"body"`
	Bytes     []byte    `json:"bytes"`
}

func quarantineList(t terminal) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the messages, newest first",
		Flags: remoteFlags(
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "list at most so many, 1 to 1000"},
			&cli.StringFlag{Name: "before", Usage: "list those that came before the one with this `ID`"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			if n := c.Int("limit"); n < 1 || n > 1000 {
				return usage(c, "--limit %d is not between 1 and 1000", n)
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
			if id := c.String("before"); id != "" {
				query.Set("before", id)
			}
			var page quarantinePage
			body, err := a.call(ctx, http.MethodGet, quarantinePath+"?"+query.Encode(), nil, &page)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return page.print(t)
		},
	}
}

type quarantinePage struct {
	Quarantined []quarantinedView `json:"quarantined"`
	Next        string            `json:"next"`
}

func (p *quarantinePage) print(t terminal) error {
	if len(p.Quarantined) == 0 {
		fmt.Fprintln(t.err, "Everything was understood.")
		return nil
	}
	rows := [][]string{{"ID", "CAME", "TIMES", "SOURCE", "SIZE", "REASON"}}
	for _, v := range p.Quarantined {
		rows = append(rows, []string{clean(v.ID), timeText(v.At), fmt.Sprint(v.Count), clean(v.Source), bytesText(v.Size), clean(v.Reason)})
	}
	if err := table(t.out, rows); err != nil {
		return err
	}
	if p.Next != "" {
		fmt.Fprintf(t.err, "There are more; go on with --before %s\n", clean(p.Next))
	}
	return nil
}

func quarantineShow(t terminal) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show a message as it came", ArgsUsage: "ID",
		Flags: remoteFlags(&cli.BoolFlag{Name: "body", Usage: "print the message alone, byte for byte, to correct it and inject that"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var q quarantinedView
			body, err := a.call(ctx, http.MethodGet, quarantinedPath(c.Args().First()), nil, &q)
			switch {
			case err != nil:
				return err
			case c.Bool("json"):
				return printJSON(t.out, body)
			case c.Bool("body"):
				if len(q.Bytes) == 0 {
					q.Bytes = []byte(q.Body)
				}
				_, err = t.out.Write(q.Bytes)
				return err
			}
			return q.print(t)
		},
	}
}

func (q *quarantinedView) print(t terminal) error {
	size := bytesText(q.Size)
	if q.Truncated {
		size += ", of which the beginning was kept"
	}
	return properties(
		t.out,
		"id", clean(q.ID),
		"source", clean(q.Source),
		"came", timeText(q.At),
		"times", fmt.Sprint(q.Count),
		"reason", clean(q.Reason),
		"size", size,
		"message", clean(q.Body),
	)
}

func quarantineInject(t terminal) *cli.Command {
	return &cli.Command{
		Name: "inject", Usage: "Try once more to understand a message, and store it", ArgsUsage: "ID",
		Description: `What is understood is stored as an event of its source, and forgotten here. To correct
a message, write it to a file (gatecast quarantine show ID --body), and give that.`,
		Flags: remoteFlags(&cli.StringFlag{Name: "file", Usage: "what the message should have been: a `FILE` with JSON, or - for standard input"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			body := map[string]any{}
			if c.IsSet("file") {
				if body["message"], err = correctedMessage(t, c); err != nil {
					return err
				}
			}
			var r gatecast.Receipt // its names are the answer's but for the case
			answer, err := a.call(ctx, http.MethodPost, quarantinedPath(c.Args().First(), "inject"), body, &r)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, answer)
			}
			_, err = fmt.Fprintf(t.out, "accepted %d, duplicates %d\n", r.Accepted, r.Duplicates)
			return err
		},
	}
}

// correctedMessage reads --file.
func correctedMessage(t terminal, c *cli.Command) (json.RawMessage, error) {
	where := c.String("file")
	if where != "-" {
		where = "@" + where
	}
	text, err := elsewhere(t, c, "file", where)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(text)) {
		return nil, usage(c, "--file %q does not hold JSON", c.String("file"))
	}
	return json.RawMessage(text), nil
}

func dropQuarantined(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	if _, err := a.call(ctx, http.MethodDelete, quarantinedPath(id), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "id", id)
}
