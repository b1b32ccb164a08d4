package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"
)

// connectionView is a connection as the API shows it.
type connectionView struct {
	App          string    `json:"app_key"`
	AppName      string    `json:"app_name"`
	Client       string    `json:"client"`
	Remote       string    `json:"remote"`
	Connected    time.Time `json:"connected"`
	Mode         string    `json:"mode"`
	Confirmation string    `json:"confirmation"`
	Position     uint64    `json:"position"`
	LagEvents    uint64    `json:"lag_events"`
	LagSeconds   float64   `json:"lag_seconds"`
	Events       uint64    `json:"events"`
	Bytes        uint64    `json:"bytes"`
}

// connectionList is the answer of GET /api/v1/connections.
type connectionList struct {
	Total       int              `json:"total"`
	Live        int              `json:"live"`
	CatchingUp  int              `json:"catching_up"`
	Stalled     int              `json:"stalled"`
	Unconfirmed int              `json:"unconfirmed"`
	Connections []connectionView `json:"connections"`
}

func connectionsCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "connections",
		Usage: "List who is connected and how far behind",
		Description: `The last line counts all of them, also those beyond --limit. CONFIRMS says how a
client confirms what it has received; "none" is one that never does, so that what
was sent to it is taken for received.`,
		Flags: remoteFlags(
			&cli.StringFlag{Name: "app", Usage: "only those of the app with this `KEY`"},
			&cli.IntFlag{Name: "limit", Value: 1000, Usage: "list at most so many, 1 to 10000"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			if n := c.Int("limit"); n < 1 || n > 10_000 {
				return usage(c, "--limit %d is not between 1 and 10000", n)
			}
			if c.IsSet("app") && c.String("app") == "" {
				return usage(c, "--app is empty; it needs an app's key")
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
			if key := c.String("app"); key != "" {
				query.Set("app_key", key)
			}
			var list connectionList
			body, err := a.call(ctx, http.MethodGet, "/api/v1/connections?"+query.Encode(), nil, &list)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return list.print(t.out)
		},
	}
}

func (l *connectionList) print(w io.Writer) error {
	rows := [][]string{{
		"APP", "CLIENT", "ADDRESS", "CONNECTED", "MODE", "CONFIRMS", "POSITION", "LAG", "LAG TIME", "EVENTS", "BYTES",
	}}
	for _, v := range l.Connections {
		rows = append(rows, []string{
			clean(cmp.Or(v.AppName, v.App, "-")), clean(cmp.Or(v.Client, "-")), clean(v.Remote), timeText(v.Connected),
			v.Mode, v.Confirmation, fmt.Sprint(v.Position), fmt.Sprint(v.LagEvents),
			spanText(time.Duration(v.LagSeconds * float64(time.Second))), fmt.Sprint(v.Events), bytesText(v.Bytes),
		})
	}
	if len(l.Connections) > 0 {
		if err := table(w, rows); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, l.sums())
	return err
}

// sums is the last line: "3 connections: 2 live, 1 catching up, 0 stalled; 1
// never confirming".
func (l *connectionList) sums() string {
	noun := "connections"
	if l.Total == 1 {
		noun = "connection"
	}
	text := fmt.Sprintf("%d %s: %d live, %d catching up, %d stalled; %d never confirming",
		l.Total, noun, l.Live, l.CatchingUp, l.Stalled, l.Unconfirmed)
	if n := len(l.Connections); n < l.Total {
		text += fmt.Sprintf(" (only %d are listed; see --limit)", n)
	}
	return text
}
