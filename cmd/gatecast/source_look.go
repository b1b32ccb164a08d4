package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// lookEvery is how often a look that takes long is asked after.
const lookEvery = time.Second

// statementView is what is known of a source's completeness.
type statementView struct {
	Through  *time.Time `json:"complete_through"`
	Looked   *time.Time `json:"looked"`
	Error    string     `json:"error"`
	Withheld string     `json:"withheld"`
	Filled   uint64     `json:"filled"`
	Lost     uint64     `json:"lost"`
	SetAside uint64     `json:"set_aside"`
	NotOurs  uint64     `json:"not_ours"`
}

// since reports whether the latest look began at a time or later.
func (s *statementView) since(asked time.Time) bool {
	return s.Looked != nil && !s.Looked.Before(asked)
}

func sourceReconcile(t terminal) *cli.Command {
	return &cli.Command{
		Name: "reconcile", Usage: "Ask a source what it has, and fill in what is missing here", ArgsUsage: "NAME",
		Description: "This happens by itself, see --rest-every; here it happens at once, and is waited for.",
		Flags:       remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			st, err := look(ctx, t, a, c.Args().First())
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printValue(t.out, st)
			}
			return properties(t.out, st.pairs()...)
		},
	}
}

// look has a source asked, and waits for the end of that.
func look(ctx context.Context, t terminal, a *api, name string) (statementView, error) {
	var answer struct {
		statementView
		Asked time.Time `json:"asked"`
	}
	if _, err := a.call(ctx, http.MethodPost, sourcePath(name, "reconcile"), nil, &answer); err != nil {
		return statementView{}, err
	}
	st := answer.statementView
	if !st.since(answer.Asked) {
		fmt.Fprintln(t.err, "It has much to tell. An interrupt ends the waiting, not the asking.")
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !st.since(answer.Asked) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return st, ctx.Err()
		}
		var src sourceView
		if _, err := a.call(ctx, http.MethodGet, sourcePath(name), nil, &src); err != nil {
			return st, err
		}
		st = src.State.Statement
	}
	if st.Error == "" {
		return st, nil
	}
	e := gatecast.Errorf(gatecast.Unavailable, "the look failed: %s", clean(st.Error))
	e.Remedy = "see how it stands: gatecast source show " + name
	return st, e
}
