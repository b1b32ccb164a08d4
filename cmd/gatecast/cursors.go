package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

// cursorView is a cursor as the API shows it. What is nil is not known.
type cursorView struct {
	Client    string     `json:"client"`
	Address   string     `json:"address"`
	Seq       uint64     `json:"seq"`
	LagEvents *uint64    `json:"lag_events"`
	Confirmed *time.Time `json:"confirmed"`
	Complete  *time.Time `json:"complete_since"`
	Lost      uint64     `json:"lost"`
}

// cursorsOf asks for the cursors of an app.
func cursorsOf(ctx context.Context, a *api, key string) ([]cursorView, []byte, error) {
	var answer struct {
		Cursors []cursorView `json:"cursors"`
	}
	body, err := a.call(ctx, http.MethodGet, appPath(key, "cursors"), nil, &answer)
	return answer.Cursors, body, err
}

func showOneApp(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := appRequest(c)
	if err != nil {
		return err
	}
	var app appView
	body, err := a.call(ctx, http.MethodGet, appPath(c.Args().First()), nil, &app)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	cursors, _, err := cursorsOf(ctx, a, app.Key)
	if err != nil {
		return err
	}
	return properties(t.out, append(appPairs(app), cursorPairs(cursors, time.Now())...)...)
}

func showCursors(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := appRequest(c)
	if err != nil {
		return err
	}
	cursors, body, err := cursorsOf(ctx, a, c.Args().First())
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	if len(cursors) == 0 {
		fmt.Fprintln(t.err, "There are no cursors yet: no client of this app has been connected.")
		return nil
	}
	return properties(t.out, cursorPairs(cursors, time.Now())...)
}

// cursorPairs is cursors as names and values, one line each.
func cursorPairs(cursors []cursorView, now time.Time) []string {
	var pairs []string
	for _, v := range cursors {
		whose := "cursor of the app"
		switch {
		case v.Client != "":
			whose = "cursor of " + clean(v.Client)
		case v.Address != "":
			whose = "cursor of " + clean(v.Address)
		}
		pairs = append(pairs, whose, v.text(now))
	}
	return pairs
}

// text is "complete since ..., 10 behind, confirmed 3 s ago, lost 120".
func (v cursorView) text(now time.Time) string {
	var parts []string
	if v.Complete != nil {
		parts = append(parts, "complete since "+timeText(*v.Complete))
	}
	if v.LagEvents != nil {
		parts = append(parts, fmt.Sprintf("%d behind", *v.LagEvents))
	} else {
		parts = append(parts, fmt.Sprintf("at %d of another journal", v.Seq))
	}
	if v.Confirmed != nil {
		parts = append(parts, "confirmed "+spanText(now.Sub(*v.Confirmed))+" ago")
	} else {
		parts = append(parts, "never confirmed")
	}
	return strings.Join(append(parts, fmt.Sprintf("lost %d", v.Lost)), ", ")
}

// spanText is a duration for people, in the one unit that tells enough: "3 s",
// "15 min", "2 h", "4 d". Clocks that differ do not make it negative.
func spanText(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}
