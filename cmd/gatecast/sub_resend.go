package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

func subResend(t terminal) *cli.Command {
	return &cli.Command{
		Name: "resend", Usage: "Send a dead letter once more", ArgsUsage: "ID [SEQ]",
		Description: `What is delivered is a dead letter no more. With --all each of them is sent, one
after the other, until the endpoint itself fails. Exits with 1 if anything was not
delivered.`,
		Flags: remoteFlags(&cli.BoolFlag{Name: "all", Usage: "all dead letters of the subscription"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := oneOrAll(c); err != nil {
				return err
			}
			a, err := remoteDelivery(c)
			if err != nil {
				return err
			}
			r := resender{t: t, api: a, id: c.Args().First(), json: c.Bool("json")}
			if !c.Bool("all") {
				return r.one(ctx, c.Args().Get(1))
			}
			return r.all(ctx)
		},
	}
}

// oneOrAll checks that a command about dead letters got a SEQ or --all.
func oneOrAll(c *cli.Command) error {
	if err := arguments(c, 1, 2); err != nil {
		return err
	}
	switch one := c.Args().Len() == 2; {
	case one && c.Bool("all"):
		return usage(c, "--all is every dead letter, but there is also the seq %q", c.Args().Get(1))
	case !one && !c.Bool("all"):
		return usage(c, "%s needs the SEQ of a dead letter, or --all", c.FullName())
	}
	return nil
}

// resender sends dead letters once more, and says what came of it.
type resender struct {
	t    terminal
	api  *api
	id   string
	json bool
}

func (r *resender) one(ctx context.Context, seq string) error {
	var x exchangeView
	body, err := r.api.call(ctx, http.MethodPost, deadPath(r.id, seq, "resend"), nil, &x)
	if err != nil {
		return err
	}
	if r.json {
		return cmp.Or(printJSON(r.t.out, body), x.failure())
	}
	return cmp.Or(x.print(r.t.out), x.failure())
}

// all goes on after an event that is refused again: those behind it may pass.
func (r *resender) all(ctx context.Context) error {
	sent, kept := 0, 0
	answers := []json.RawMessage{}
	err := eachDead(ctx, r.api, r.id, func(v deadView) error {
		var x exchangeView
		body, err := r.api.call(ctx, http.MethodPost, deadPath(r.id, strconv.FormatUint(v.Seq, 10), "resend"), nil, &x)
		if err != nil {
			return err
		}
		answers = append(answers, body)
		if x.failure() == nil {
			sent++
		} else {
			kept++
		}
		if !r.json {
			fmt.Fprintln(r.t.out, strings.TrimSpace(fmt.Sprintf("%d  %s  %s", v.Seq, clean(x.Outcome), clean(x.Error))))
		}
		if x.Outcome != string(gatecast.Delivered) && x.Outcome != string(gatecast.Refused) {
			return x.failure()
		}
		return nil
	})
	if r.json {
		err = cmp.Or(printValue(r.t.out, map[string]any{"resent": answers}), err)
	} else if err == nil {
		fmt.Fprintf(r.t.err, "%d delivered, %d still refused\n", sent, kept)
	}
	if err == nil && kept > 0 {
		e := gatecast.Errorf(gatecast.Invalid, "not delivered: %d of %d", kept, sent+kept)
		e.Remedy = "see why: gatecast sub dead " + r.id + " SEQ"
		return e
	}
	return err
}

// eachDead calls do for every dead letter there is now, in order. One that is
// gone by then is no error.
func eachDead(ctx context.Context, a *api, id string, do func(deadView) error) error {
	after := uint64(0)
	for {
		page, _, err := deadLetters(ctx, a, id, after, 1000)
		if err != nil {
			return err
		}
		for _, v := range page.DeadLetters {
			var e *gatecast.Error
			if err := do(v); err != nil && (!errors.As(err, &e) || e.Code != gatecast.NotFound) {
				return err
			}
		}
		if page.Next == 0 {
			return nil
		}
		after = page.Next
	}
}

func subDiscard(t terminal) *cli.Command {
	return &cli.Command{
		Name: "discard", Usage: "Forget a dead letter", ArgsUsage: "ID [SEQ]",
		Flags: remoteFlags(
			&cli.BoolFlag{Name: "all", Usage: "all dead letters of the subscription"},
			yesFlag(),
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := oneOrAll(c); err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			id := c.Args().First()
			discard := func(seq string) error {
				_, err := a.call(ctx, http.MethodDelete, deadPath(id, seq), nil, nil)
				return err
			}
			if !c.Bool("all") {
				seq := c.Args().Get(1)
				if err := discard(seq); err != nil {
					return err
				}
				return deleted(t, c, "seq", seq)
			}
			if err := confirm(t, c, "Forget all dead letters of "+clean(id)+" for good?"); err != nil {
				return err
			}
			n := 0
			if err := eachDead(ctx, a, id, func(v deadView) error { n++; return discard(strconv.FormatUint(v.Seq, 10)) }); err != nil {
				return err
			}
			return deleted(t, c, "dead_letters", strconv.Itoa(n))
		},
	}
}
