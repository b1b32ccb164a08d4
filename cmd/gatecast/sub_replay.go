package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// replayView is a replay as the API shows it.
type replayView struct {
	ID       string     `json:"id"`
	From     uint64     `json:"from"`
	To       uint64     `json:"to"`
	Position uint64     `json:"position"`
	Sent     uint64     `json:"sent"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Canceled bool       `json:"canceled"`
}

// text is how far it has got: "running, 120 sent, at 500 of 1000 (50 %)".
func (r *replayView) text() string {
	switch {
	case r.Canceled:
		return fmt.Sprintf("canceled at %d of %d, %d events sent", r.Position, r.To, r.Sent)
	case r.Ended != nil:
		return fmt.Sprintf("ended %s, %d events sent", timeText(*r.Ended), r.Sent)
	}
	done := uint64(0)
	if r.To > r.From && r.Position > r.From {
		done = 100 * (r.Position - r.From) / (r.To - r.From)
	}
	return fmt.Sprintf("running, %d events sent, at %d of %d (%d %%)", r.Sent, r.Position, r.To, done)
}

func subReplay(t terminal) *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "Send a window of the past to one subscription once more", ArgsUsage: "ID",
		Description: `The events are counted first, and sent when that is confirmed. They go out beside
what happens meanwhile, at the subscription's catch-up rate, with the same message
IDs as before. --from and --to take a position or a time by RFC 3339; a position is
the one before the first event, so that --from 17 begins with 18.

It waits for the end; an interrupt ends the waiting, not the replay.`,
		Flags: remoteFlags(
			&cli.StringFlag{Name: "from", Usage: "after this `PLACE`: earliest, the seq of a position, or a time"},
			&cli.StringFlag{Name: "to", Usage: "up to this `PLACE`: latest (default), the seq of a position, or a time"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only count"},
			yesFlag(),
			&cli.BoolFlag{Name: "no-wait", Usage: "end when it has begun"},
			&cli.BoolFlag{Name: "cancel", Usage: "end the running replay"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			switch {
			case c.Bool("cancel") && (c.IsSet("from") || c.IsSet("to")):
				return usage(c, "--cancel ends the running replay, whatever its window; --from and --to begin one")
			case !c.Bool("cancel") && c.String("from") == "":
				return usage(c, "--from is missing: it says where to begin")
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			r := replayer{t: t, c: c, api: a, id: c.Args().First()}
			if c.Bool("cancel") {
				return r.cancel(ctx)
			}
			return r.run(ctx)
		},
	}
}

// replayer has a window sent once more, and says how far that is.
type replayer struct {
	t   terminal
	c   *cli.Command
	api *api
	id  string
}

func (r *replayer) path() string { return subPath(r.id, "replay") }

func (r *replayer) cancel(ctx context.Context) error {
	var v replayView
	body, err := r.api.call(ctx, http.MethodDelete, r.path(), nil, &v)
	if err != nil {
		return err
	}
	return r.show(body, v)
}

func (r *replayer) show(body []byte, v replayView) error {
	if r.c.Bool("json") {
		return printJSON(r.t.out, body)
	}
	_, err := fmt.Fprintln(r.t.out, v.text())
	return err
}

// replayCount is what a replay would send.
type replayCount struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Events uint64 `json:"events"`
	Exact  bool   `json:"exact"`
}

func (n *replayCount) text() string {
	about := ""
	if !n.Exact {
		about = "about "
	}
	return fmt.Sprintf("%s%d events after %d up to %d", about, n.Events, n.From, n.To)
}

// run sends what was counted: the window of the second request is in positions,
// whatever has happened since the first.
func (r *replayer) run(ctx context.Context) error {
	window := map[string]any{"from": r.c.String("from"), "dry_run": true}
	if r.c.IsSet("to") {
		window["to"] = r.c.String("to")
	}
	var n replayCount
	body, err := r.api.call(ctx, http.MethodPost, r.path(), window, &n)
	if err != nil {
		return atFlag(err, map[string]string{"from": "--from", "to": "--to"})
	}
	switch {
	case r.c.Bool("json") && (r.c.Bool("dry-run") || n.Events == 0 && n.Exact):
		return printJSON(r.t.out, body)
	case r.c.Bool("dry-run"):
		_, err := fmt.Fprintln(r.t.out, n.text())
		return err
	case n.Events == 0 && n.Exact:
		fmt.Fprintf(r.t.err, "There is nothing to send: %s\n", n.text())
		return nil
	}
	fmt.Fprintf(r.t.err, "To be sent once more: %s\n", n.text())
	if err := confirm(r.t, r.c, "Send them?"); err != nil {
		return err
	}
	var v replayView
	body, err = r.api.call(ctx, http.MethodPost, r.path(), map[string]any{"from": n.From, "to": n.To}, &v)
	if err != nil {
		return err
	}
	if r.c.Bool("no-wait") {
		return r.show(body, v)
	}
	return r.wait(ctx, v)
}

// wait tells how far the replay is until it has ended.
func (r *replayer) wait(ctx context.Context, v replayView) error {
	p := newWaitLine(r.t.err)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for v.Ended == nil {
		var sub subView
		_, err := r.api.call(ctx, http.MethodGet, subPath(r.id), nil, &sub)
		now := sub.State.Replay
		switch {
		case ctx.Err() != nil:
			p.end()
			return r.left()
		case gatecast.CodeOf(err) == gatecast.Unavailable:
			p.tell(err.Error()) // it goes on when the server does
		case err != nil:
			return err
		case now == nil || now.ID != v.ID:
			return gatecast.Errorf(gatecast.Conflict, "another replay has taken the place of this one")
		default:
			v = *now
			p.tell(v.text() + sub.State.waiting())
		}
		if v.Ended != nil {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	p.end()
	return r.ended(v)
}

// left says that a replay goes on without anybody waiting for it.
func (r *replayer) left() error {
	e := gatecast.Errorf(gatecast.Conflict, "interrupted: the replay goes on")
	e.Remedy = fmt.Sprintf("how far it is: gatecast sub show %s; to end it: gatecast sub replay %[1]s --cancel", r.id)
	return e
}

func (r *replayer) ended(v replayView) error {
	var err error
	if r.c.Bool("json") {
		err = printValue(r.t.out, v)
	} else {
		_, err = fmt.Fprintln(r.t.out, v.text())
	}
	if err == nil && v.Canceled {
		return gatecast.Errorf(gatecast.Conflict, "somebody has canceled the replay")
	}
	return err
}

// waiting says why nothing moves, if it is so.
func (s *subState) waiting() string {
	if s.Status == string(gatecast.SubscriptionActive) || s.Reason == "" {
		return ""
	}
	return "; " + clean(s.Status) + ": " + clean(s.Reason)
}
