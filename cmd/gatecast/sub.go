package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

const subsPath = "/api/v1/subscriptions"

func subPath(id string, more ...string) string {
	path := subsPath + "/" + url.PathEscape(id)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// subCommand is everything about subscriptions: URLs that events are posted to.
func subCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "sub",
		Usage: "Manage subscriptions: URLs that events are posted to",
		Commands: []*cli.Command{
			subCreate(t),
			subList(t),
			{
				Name: "show", Usage: "Show one subscription, its settings and how it is doing", ArgsUsage: "ID", Flags: remoteFlags(),
				Action: func(ctx context.Context, c *cli.Command) error { return showOneSub(ctx, t, c) },
			},
			subUpdate(t),
			subPause(t),
			oneSub(t, "resume", "Go on sending where a paused subscription stopped", func(ctx context.Context, a *api, id string, out any) ([]byte, error) {
				return a.call(ctx, http.MethodPost, subPath(id, "resume"), nil, out)
			}),
			subTry(t),
			subReplay(t),
			subDeliveries(t),
			subDead(t),
			subResend(t),
			subDiscard(t),
			subSecret(t),
			subRotate(t),
			{
				Name: "delete", Usage: "Delete a subscription, its log and its dead letters for good", ArgsUsage: "ID", Flags: remoteFlags(lossFlag()),
				Action: func(ctx context.Context, c *cli.Command) error { return deleteSub(ctx, t, c) },
			},
		},
	}
}

// subView is a subscription as the API shows it.
type subView struct {
	ID          string `json:"id"`
	App         string `json:"app_key"`
	URL         string `json:"url"`
	Description string `json:"description"`
	subChoice
	subPace
	subForm
	Created   time.Time `json:"created"`
	Secrets   []subKey  `json:"secrets"`
	PublicKey string    `json:"public_key"`
	State     subState  `json:"state"`
	Freshness freshView `json:"freshness"`
}

type subChoice struct {
	Kinds         []int    `json:"kinds"`
	Devices       []string `json:"devices"`
	Groups        []int64  `json:"groups"`
	UserTypes     []int64  `json:"user_types"`
	AbnormalTypes []int64  `json:"abnormal_types"`
	AlarmCodes    []int64  `json:"alarm_codes"`
	AlarmLevels   []int64  `json:"alarm_levels"`
}

type subPace struct {
	Order       string `json:"order"`
	Concurrency int    `json:"concurrency"`
	Rate        int    `json:"rate"`
	CatchUpRate int    `json:"catch_up_rate"`
	Timeout     string `json:"timeout"`
	Success     string `json:"success"`
	Batch       struct {
		Max  int    `json:"max"`
		Wait string `json:"wait"`
	} `json:"batch"`
}

type subForm struct {
	Headers map[string]string `json:"headers"`
	Auth    struct {
		Type     string `json:"type"`
		Username string `json:"username"`
	} `json:"auth"`
	EventType  string `json:"event_type"`
	OwnFields  bool   `json:"own_fields"`
	MarkReplay bool   `json:"mark_replay"`
	Ed25519    bool   `json:"ed25519"`
}

// subKey is a secret; its value is only in the answers to create and rotate.
type subKey struct {
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires"`
	Secret  string     `json:"secret"`
}

// subState is how a subscription is doing.
type subState struct {
	Status   string     `json:"status"`
	Since    *time.Time `json:"since"`
	Reason   string     `json:"reason"`
	NextTry  *time.Time `json:"next_try"`
	Position uint64     `json:"position"`
	subLag
	subCounts
	Recent struct {
		Attempts  int     `json:"attempts"`
		Succeeded int     `json:"succeeded"`
		P50       float64 `json:"p50_ms"`
		P99       float64 `json:"p99_ms"`
	} `json:"recent"`
	Replay *replayView `json:"replay"`
}

type subLag struct {
	Events  uint64     `json:"lag_events"`
	Seconds float64    `json:"lag_seconds"`
	Through *time.Time `json:"complete_through"`
	Pending int        `json:"pending"`
	Flying  int        `json:"in_flight"`
}

type subCounts struct {
	Delivered   uint64 `json:"delivered"`
	Failed      uint64 `json:"failed"`
	DeadLetters int    `json:"dead_letters"`
	Lost        uint64 `json:"lost"`
}

// oneSub is a command that does one thing to one subscription and shows the
// answer.
func oneSub(t terminal, name, text string, do func(ctx context.Context, a *api, id string, out any) ([]byte, error)) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text, ArgsUsage: "ID", Flags: remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var sub subView
			body, err := do(ctx, a, c.Args().First(), &sub)
			if err != nil {
				return err
			}
			return showSub(t, c, body, sub)
		},
	}
}

// oneArgument checks the arguments of a command about one thing.
func oneArgument(c *cli.Command) (*api, error) {
	if err := arguments(c, 1, 1); err != nil {
		return nil, err
	}
	return remote(c)
}

func subPause(t terminal) *cli.Command {
	return &cli.Command{
		Name: "pause", Usage: "Send a subscription nothing until it is resumed", ArgsUsage: "ID",
		Description: "What happens meanwhile is sent after resume, as far as the journal still holds it.",
		Flags:       remoteFlags(&cli.StringFlag{Name: "reason", Usage: "why, for whoever looks at it"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			var sub subView
			body, err := a.call(ctx, http.MethodPost, subPath(c.Args().First(), "pause"), map[string]string{"reason": c.String("reason")}, &sub)
			if err != nil {
				return atFlag(err, map[string]string{"reason": "--reason"})
			}
			return showSub(t, c, body, sub)
		},
	}
}

func deleteSub(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	if err := confirmLoss(t, c, "Delete the subscription "+clean(id)+", its log and its dead letters?"); err != nil {
		return err
	}
	if _, err := a.call(ctx, http.MethodDelete, subPath(id), nil, nil); err != nil {
		return err
	}
	return deleted(t, c, "id", id)
}

// listText is items for people, or what having none means.
func listText(items []string, none string) string {
	if len(items) == 0 {
		return none
	}
	return clean(strings.Join(items, ", "))
}
