package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

func subList(t terminal) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List all subscriptions and how they are doing",
		Description: "SUCCESS is of the latest attempts. LAG is positions behind the newest event, and the age of the oldest event not yet delivered.",
		Flags:       remoteFlags(&cli.StringFlag{Name: "app", Usage: "only those of the app with this `KEY`"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			path := subsPath
			if c.IsSet("app") {
				if c.String("app") == "" {
					return usage(c, "--app is empty; it needs an app's key")
				}
				path += "?" + url.Values{"app": {c.String("app")}}.Encode()
			}
			var answer struct {
				Subscriptions []subView `json:"subscriptions"`
			}
			body, err := a.call(ctx, http.MethodGet, path, nil, &answer)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return listSubs(t, answer.Subscriptions)
		},
	}
}

func listSubs(t terminal, subs []subView) error {
	if len(subs) == 0 {
		fmt.Fprintln(t.err, "There are no subscriptions yet. Make one: gatecast sub create URL")
		return nil
	}
	rows := [][]string{{"ID", "STATUS", "LAG", "SUCCESS", "URL", "DESCRIPTION"}}
	for _, v := range subs {
		rows = append(rows, []string{v.ID, clean(v.State.Status), v.State.lag(), v.State.rate(), clean(v.URL), clean(v.Description)})
	}
	return table(t.out, rows)
}

// lag is "0", or "990 (3 h)".
func (s *subState) lag() string {
	if s.Events == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", s.Events, spanText(time.Duration(s.Seconds*float64(time.Second))))
}

// rate is the share of the latest attempts that were delivered, rounded down,
// so that 100 % means each of them.
func (s *subState) rate() string {
	if s.Recent.Attempts == 0 {
		return "-"
	}
	return fmt.Sprintf("%d %%", 100*s.Recent.Succeeded/s.Recent.Attempts)
}

func showOneSub(ctx context.Context, t terminal, c *cli.Command) error {
	a, err := oneArgument(c)
	if err != nil {
		return err
	}
	var sub subView
	body, err := a.call(ctx, http.MethodGet, subPath(c.Args().First()), nil, &sub)
	if err != nil {
		return err
	}
	return showSub(t, c, body, sub)
}

func showSub(t terminal, c *cli.Command, body []byte, sub subView) error {
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	pairs := []string{"id", sub.ID, "url", clean(sub.URL)}
	if sub.Description != "" {
		pairs = append(pairs, "description", clean(sub.Description))
	}
	pairs = append(pairs, "app", cmp.Or(sub.App, "none: it may see everything"))
	pairs = append(pairs, sub.State.pairs(time.Now())...)
	pairs = append(pairs, sub.Freshness.pairs("freshness")...)
	pairs = append(pairs, sub.subChoice.pairs()...)
	pairs = append(pairs, sub.subPace.pairs()...)
	pairs = append(pairs, sub.subForm.pairs()...)
	return properties(t.out, append(pairs, sub.keyPairs()...)...)
}

// pairs is how it is doing, as names and values.
func (s *subState) pairs(now time.Time) []string {
	status := clean(s.Status)
	if s.Since != nil {
		status += " since " + timeText(*s.Since)
	}
	pairs := []string{"status", status}
	if s.Reason != "" {
		pairs = append(pairs, "reason", clean(s.Reason))
	}
	if s.NextTry != nil {
		pairs = append(pairs, "next try", "in "+spanText(s.NextTry.Sub(now)))
	}
	through := "nothing yet"
	if s.Through != nil {
		through = timeText(*s.Through)
	}
	recent := "none"
	if n := s.Recent.Attempts; n > 0 {
		recent = fmt.Sprintf("%d of %d delivered, half of them answered within %s, 99 %% within %s",
			s.Recent.Succeeded, n, tookText(s.Recent.P50), tookText(s.Recent.P99))
	}
	pairs = append(pairs,
		"complete through", through,
		"position", fmt.Sprint(s.Position),
		"behind", s.lag(),
		"at work on", fmt.Sprintf("%d events, %d requests", s.Pending, s.Flying),
		"delivered", fmt.Sprintf("%d events", s.Delivered),
		"failed", fmt.Sprintf("%d attempts", s.Failed),
		"dead letters", fmt.Sprint(s.DeadLetters),
		"lost", fmt.Sprint(s.Lost),
		"latest attempts", recent,
	)
	if s.Replay != nil {
		pairs = append(pairs, "replay", s.Replay.text())
	}
	return pairs
}

func (v *subChoice) pairs() []string {
	kinds := "record, alarm"
	if len(v.Kinds) > 0 {
		var names []string
		for _, k := range v.Kinds {
			names = append(names, gatecast.Kind(k).String())
		}
		kinds = strings.Join(names, ", ")
	}
	pairs := []string{"receives", kinds}
	for _, list := range []struct {
		name  string
		items []string
	}{
		{"of devices", v.Devices},
		{"of groups", texts(v.Groups)},
		{"of user types", texts(v.UserTypes)},
		{"abnormal types", texts(v.AbnormalTypes)},
		{"alarm codes", texts(v.AlarmCodes)},
		{"alarm levels", texts(v.AlarmLevels)},
	} {
		if len(list.items) > 0 {
			pairs = append(pairs, list.name, listText(list.items, ""))
		}
	}
	return pairs
}

func texts(numbers []int64) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, fmt.Sprint(n))
	}
	return all
}

func (v *subPace) pairs() []string {
	rate := func(n int) string {
		if n == 0 {
			return "no limit"
		}
		return fmt.Sprintf("%d requests/s", n)
	}
	batch := "none"
	if v.Batch.Max > 1 {
		batch = fmt.Sprintf("up to %d events, waiting up to %s", v.Batch.Max, v.Batch.Wait)
	}
	return []string{
		"order", clean(v.Order), "requests at once", fmt.Sprint(v.Concurrency), "rate", rate(v.Rate), "catch-up rate", rate(v.CatchUpRate),
		"timeout", clean(v.Timeout), "success", clean(v.Success), "batches", batch,
	}
}

func (v *subForm) pairs() []string {
	auth := clean(v.Auth.Type)
	if v.Auth.Username != "" {
		auth += " as " + clean(v.Auth.Username)
	}
	return []string{
		"headers", listText(slices.Sorted(maps.Keys(v.Headers)), "none"), "authentication", auth, "eventType", clean(v.EventType),
		"seq and epoch", yesNo(v.OwnFields), "replays marked", yesNo(v.MarkReplay), "ed25519", yesNo(v.Ed25519),
	}
}

// keyPairs is what a receiver verifies with. The values of secrets are only in
// some answers.
func (v *subView) keyPairs() []string {
	pairs := []string{"created", timeText(v.Created)}
	if v.PublicKey != "" {
		pairs = append(pairs, "public key", clean(v.PublicKey))
	}
	for _, s := range v.Secrets {
		until := "no end"
		if s.Expires != nil {
			until = "until " + timeText(*s.Expires)
		}
		if s.Secret != "" {
			until = clean(s.Secret) + ", " + until
		}
		pairs = append(pairs, "secret of "+timeText(s.Created), until)
	}
	return pairs
}

// tookText is milliseconds for people: "12.35 ms", "4.2 s".
func tookText(ms float64) string {
	if ms < 1000 {
		return fmt.Sprintf("%.4g ms", ms)
	}
	return fmt.Sprintf("%.3g s", ms/1000)
}
