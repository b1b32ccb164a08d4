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

// deadView is an event that was set aside, without what it says.
type deadView struct {
	Seq      uint64        `json:"seq"`
	Message  string        `json:"message_id"`
	Kind     gatecast.Kind `json:"kind"`
	Device   string        `json:"device"`
	First    time.Time     `json:"first"`
	Tries    int           `json:"tries"`
	SetAside time.Time     `json:"set_aside"`
	Status   int           `json:"status"`
	Error    string        `json:"error"`
}

// deadPage is one answer of the list of dead letters.
type deadPage struct {
	DeadLetters []deadView `json:"dead_letters"`
	Next        uint64     `json:"next"`
}

func deadPath(id, seq string, more ...string) string {
	return subPath(id, append([]string{"dead-letters", seq}, more...)...)
}

// deadLetters asks for a page of those after a position.
func deadLetters(ctx context.Context, a *api, id string, after uint64, limit int) (deadPage, []byte, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}, "after": {strconv.FormatUint(after, 10)}}
	var page deadPage
	body, err := a.call(ctx, http.MethodGet, subPath(id, "dead-letters")+"?"+query.Encode(), nil, &page)
	return page, body, err
}

func subDead(t terminal) *cli.Command {
	return &cli.Command{
		Name: "dead", Usage: "List the events that were set aside, or show one with request and answer", ArgsUsage: "ID [SEQ]",
		Description: "A dead letter is an event that its receiver refused again and again, though it takes others.",
		Flags: remoteFlags(
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "list at most so many, 1 to 1000"},
			&cli.Uint64Flag{Name: "after", Usage: "list those after the event with this `SEQ`", HideDefault: true},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 2); err != nil {
				return err
			}
			if n := c.Int("limit"); n < 1 || n > 1000 {
				return usage(c, "--limit %d is not between 1 and 1000", n)
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			if c.Args().Len() == 2 {
				return showDead(ctx, t, c, a)
			}
			page, body, err := deadLetters(ctx, a, c.Args().First(), c.Uint64("after"), c.Int("limit"))
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

func (p *deadPage) print(t terminal) error {
	if len(p.DeadLetters) == 0 {
		fmt.Fprintln(t.err, "There are no dead letters.")
		return nil
	}
	rows := [][]string{{"SEQ", "KIND", "DEVICE", "TRIES", "SET ASIDE", "STATUS", "ERROR"}}
	for _, v := range p.DeadLetters {
		rows = append(rows, []string{
			fmt.Sprint(v.Seq), v.Kind.String(), clean(v.Device), fmt.Sprint(v.Tries), timeText(v.SetAside), fmt.Sprint(v.Status), clean(v.Error),
		})
	}
	if err := table(t.out, rows); err != nil {
		return err
	}
	if p.Next != 0 {
		fmt.Fprintf(t.err, "There are more; go on with --after %d\n", p.Next)
	}
	return nil
}

// showDead shows the event, what was sent last, and what was answered.
func showDead(ctx context.Context, t terminal, c *cli.Command, a *api) error {
	var d struct {
		deadView
		Last  exchangeView `json:"last"`
		Event struct {
			Data json.RawMessage `json:"data"`
		} `json:"event"`
	}
	body, err := a.call(ctx, http.MethodGet, deadPath(c.Args().First(), c.Args().Get(1)), nil, &d)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	if err := properties(
		t.out,
		"seq", fmt.Sprint(d.Seq),
		"message id", clean(d.Message),
		"kind", d.Kind.String(),
		"device", clean(d.Device),
		"first tried", timeText(d.First),
		"set aside", timeText(d.SetAside),
		"tries", fmt.Sprint(d.Tries),
		"data", clean(string(d.Event.Data)),
	); err != nil {
		return err
	}
	fmt.Fprintln(t.out)
	return d.Last.print(t.out)
}
