package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

func subDeliveries(t terminal) *cli.Command {
	return &cli.Command{
		Name: "deliveries", Usage: "List what was tried, the latest at the end", ArgsUsage: "ID",
		Description: `A line is one request; SEQ is its event, or the first of the events that the number
behind it counts. The server keeps the latest attempts alone.`,
		Flags: remoteFlags(
			&cli.BoolFlag{Name: "failed", Usage: "only what was not delivered"},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "list at most so many, 1 to 10000"},
			&cli.BoolFlag{Name: "follow", Usage: "go on with what is tried from now on, until interrupted"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			if n := c.Int("limit"); n < 1 || n > mostEntries {
				return usage(c, "--limit %d is not between 1 and %d", n, mostEntries)
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			l := deliveryLog{api: a, id: c.Args().First(), failed: c.Bool("failed")}
			if c.Bool("follow") {
				return l.follow(ctx, t, c.Int("limit"), c.Bool("json"))
			}
			entries, _, err := l.read(ctx, c.Int("limit"), nil)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printEntries(t.out, entries)
			}
			return listEntries(t, entries)
		},
	}
}

// entry is an attempt, as it came and as it is understood.
type entry struct {
	raw json.RawMessage
	attemptView
}

// deliveryLog reads the attempts of one subscription.
type deliveryLog struct {
	api    *api
	id     string
	failed bool // leave out what was delivered
}

const (
	deliveriesPage = 1000
	// mostEntries is how many are read and held at once.
	mostEntries = 10_000
	// followEvery is how often a log is asked for what is new.
	followEvery = time.Second
)

// read returns the latest attempts, up to limit, oldest first, and the newest of
// all, which may be one that is left out. It stops at the one that is known
// already.
func (l *deliveryLog) read(ctx context.Context, limit int, known json.RawMessage) (found []entry, newest json.RawMessage, err error) {
	defer func() { slices.Reverse(found) }()
	query := url.Values{"limit": {strconv.Itoa(deliveriesPage)}}
	if known != nil {
		query.Set("limit", "100") // what came since then is not much, as a rule
	}
	for {
		var page struct {
			Deliveries []json.RawMessage `json:"deliveries"`
			Next       string            `json:"next"`
		}
		if _, err := l.api.call(ctx, http.MethodGet, subPath(l.id, "deliveries")+"?"+query.Encode(), nil, &page); err != nil {
			return nil, nil, err
		}
		for _, raw := range page.Deliveries {
			if newest == nil {
				newest = raw
			}
			if len(found) == limit || bytes.Equal(raw, known) {
				return found, newest, nil
			}
			e := entry{raw: raw}
			if err := json.Unmarshal(raw, &e.attemptView); err != nil {
				return nil, nil, notGatecast(l.api.base, err)
			}
			if !l.failed || e.Outcome != string(gatecast.Delivered) {
				found = append(found, e)
			}
		}
		if page.Next == "" || len(page.Deliveries) == 0 || len(found) == limit {
			return found, newest, nil
		}
		query = url.Values{"limit": {strconv.Itoa(deliveriesPage)}, "before": {page.Next}}
	}
}

// follow prints attempts as they come. Of more than the log keeps between two
// looks at it, the oldest are missed.
func (l *deliveryLog) follow(ctx context.Context, t terminal, limit int, raw bool) error {
	write := func(e entry) error { return writeEntry(t.out, e.row()) }
	if raw {
		write = func(e entry) error { return writeCompact(t.out, e.raw) }
	} else if err := writeEntry(t.out, entryHeading()); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var last json.RawMessage
	for {
		entries, newest, err := l.read(ctx, limit, last)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		for _, e := range entries {
			if err := write(e); err != nil {
				return err
			}
		}
		last, limit = newest, mostEntries
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func entryHeading() []string {
	return []string{"TIME", "SEQ", "TRY", "STATUS", "TOOK", "OUTCOME", "ERROR"}
}

func (v *attemptView) row() []string {
	seq, status := fmt.Sprint(v.Seq), "-"
	switch {
	case v.Seq == 0:
		seq = "test" // it is in no journal
	case v.Events > 1:
		seq += fmt.Sprintf(" (%d)", v.Events)
	}
	if v.Status != 0 {
		status = fmt.Sprint(v.Status)
	}
	return []string{timeText(v.Time), seq, fmt.Sprint(v.Try), status, tookText(v.Took), clean(v.Outcome), clean(v.Error)}
}

func listEntries(t terminal, entries []entry) error {
	if len(entries) == 0 {
		fmt.Fprintln(t.err, "There is nothing in the log.")
		return nil
	}
	rows := [][]string{entryHeading()}
	for _, e := range entries {
		rows = append(rows, e.row())
	}
	return table(t.out, rows)
}

// writeEntry writes one line of a table whose other lines are yet to come.
func writeEntry(w io.Writer, row []string) error {
	var b strings.Builder
	for i, width := range []int{21, 12, 5, 8, 10, 11, 0} {
		b.WriteString(pad(row[i], width))
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	return err
}

func writeCompact(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func printEntries(w io.Writer, entries []entry) error {
	all := []json.RawMessage{}
	for _, e := range entries {
		all = append(all, e.raw)
	}
	return printValue(w, map[string]any{"deliveries": all})
}
