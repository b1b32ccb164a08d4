package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/urfave/cli/v3"
)

func sourceList(t terminal) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List all sources and how they stand",
		Description: "Every event that a source has of before COMPLETE THROUGH is here.",
		Flags:       remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			var answer struct {
				Sources []sourceView `json:"sources"`
			}
			body, err := a.call(ctx, http.MethodGet, sourcesPath, nil, &answer)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(t.out, body)
			}
			return listSources(t, answer.Sources)
		},
	}
}

func listSources(t terminal, sources []sourceView) error {
	if len(sources) == 0 {
		fmt.Fprintln(t.err, "There are no sources yet. Make one: gatecast source add NAME")
		return nil
	}
	rows := [][]string{{"NAME", "KIND", "STATUS", "DEVICES", "LAST EVENT", "COMPLETE THROUGH", "EVENTS", "DESCRIPTION"}}
	for _, v := range sources {
		s := v.State
		rows = append(rows, []string{
			clean(v.Name), clean(v.Kind), clean(s.Status), cmp.Or(clean(v.Freshness.State), "-"), whenText(s.LastEvent, "-"), whenText(s.Statement.Through, "-"), fmt.Sprint(s.Events), clean(v.Description),
		})
	}
	return table(t.out, rows)
}

// whenText is a moment for people, or what having none means.
func whenText(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return timeText(*at)
}

func showSource(t terminal, c *cli.Command, body []byte, src sourceView) error {
	if c.Bool("json") {
		return printJSON(t.out, body)
	}
	pairs := []string{"name", clean(src.Name), "kind", clean(src.Kind)}
	if src.URL != "" {
		pairs = append(pairs, "url", clean(src.URL))
	}
	if src.AppKey != "" {
		pairs = append(pairs, "app key", clean(src.AppKey))
	}
	if src.Description != "" {
		pairs = append(pairs, "description", clean(src.Description))
	}
	pairs = append(pairs, "company", "all")
	if src.Company != 0 {
		pairs[len(pairs)-1] = fmt.Sprint(src.Company)
	}
	if src.Former != nil {
		pairs = append(pairs, "old URL", "good until "+timeText(*src.Former))
	}
	pairs = append(pairs, src.restPairs()...)
	pairs = append(pairs, "created", timeText(src.Created))
	pairs = append(pairs, src.State.pairs()...)
	return properties(t.out, append(pairs, src.Freshness.pairs("its devices")...)...)
}

func (v *sourceView) restPairs() []string {
	r := v.REST
	if r.URL == "" {
		return []string{"asked", "never: nobody can say whether anything is missing"}
	}
	return []string{
		"asked", fmt.Sprintf("%s (%s) every %s", clean(r.URL), clean(r.Style), clean(r.Every)),
		"first look", clean(r.Lookback) + " back",
		"zone of its times", cmp.Or(clean(r.Zone), "the server's"),
	}
}

func (s *sourceState) pairs() []string {
	status := clean(s.Status)
	if s.Since != nil {
		status += " since " + timeText(*s.Since)
	}
	pairs := []string{"status", status}
	if s.Reason != "" {
		pairs = append(pairs, "reason", clean(s.Reason))
	}
	pairs = append(
		pairs,
		"last event", whenText(s.LastEvent, "none since the start"),
		"last sign", whenText(s.LastSign, "none since the start"),
		"events", fmt.Sprintf("%d since the start", s.Events),
		"not understood", fmt.Sprintf("%d since the start", s.Rubbish),
	)
	return append(pairs, s.Statement.pairs()...)
}

func (s *statementView) pairs() []string {
	pairs := []string{
		"complete through", whenText(s.Through, "nothing can be said"),
		"last asked", whenText(s.Looked, "never"),
	}
	if s.Error != "" {
		pairs = append(pairs, "which failed", clean(s.Error))
	}
	if s.Withheld != "" {
		pairs = append(pairs, "not stated", clean(s.Withheld))
	}
	if s.SetAside > 0 {
		pairs = append(pairs, "set aside", fmt.Sprintf("%d rows that could not be understood: gatecast quarantine list", s.SetAside))
	}
	return append(pairs, s.gapPairs()...)
}

// gapPairs puts into words what has become of what was missing.
func (s *statementView) gapPairs() []string {
	pairs := []string{"filled in", "nothing: all that it had was pushed", "lost", "nothing, as far as numbers tell", "gaps in numbers", "none"}
	if s.Filled > 0 {
		pairs[1] = fmt.Sprintf("%d events that it had not pushed", s.Filled)
	}
	if s.Lost > 0 {
		pairs[3] = fmt.Sprintf("%d events that it no longer had when it was asked", s.Lost)
	}
	if s.NotOurs > 0 {
		pairs[5] = fmt.Sprintf("%d, under which it lists nothing: not ours, or never given", s.NotOurs)
	}
	return pairs
}
