package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// subSettings are the flags for what can be changed of a subscription later.
// None has a default: the server has them.
func subSettings() []cli.Flag {
	const events, pace, requests = "EVENTS", "PACE", "REQUESTS"
	list := func(name, text string) cli.Flag {
		return &cli.StringSliceFlag{Name: name, Usage: text + "; may be repeated", Category: events}
	}
	number := func(name, text string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: text, HideDefault: true, Category: pace}
	}
	word := func(category, name, text string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: text, Category: category}
	}
	toggle := func(name, text string) cli.Flag {
		return &cli.BoolFlag{Name: name, Usage: text, HideDefault: true, Category: requests}
	}
	return []cli.Flag{
		&cli.StringFlag{Name: "description", Usage: "for people"},
		list("kind", "what it is sent: record, alarm, notice, or all (record and alarm)"),
		list("device", "only events of this `LDID`, or all"),
		list("group", "only records of persons in the group with this `ID`, or all"),
		list("user-type", "only records of employee, visitor or stranger, or all"),
		list("abnormal", "only records with this abnormal type, 0 for none, or all"),
		list("alarm-code", "only alarms with this code, or all"),
		list("alarm-level", "only alarms of level 1 (alert) or 2 (abnormality), or all"),
		word(pace, "order", "per-device, strict, or none"),
		number("concurrency", "requests at once, 1 to 256"),
		number("rate", "requests per second; 0 for no limit"),
		number("catch-up-rate", "requests per second of what happened while the endpoint was away; 0 for no limit but --rate"),
		word(pace, "timeout", "how long a request may take, such as 5s"),
		word(pace, "success", `which status says "received": 200 or 2xx`),
		number("batch", "several events in one request, at most so many; 0 for one each"),
		word(pace, "batch-wait", "with --batch: how long an event waits for others, such as 200ms"),
		&cli.StringSliceFlag{Name: "header", Usage: "`\"NAME: VALUE\"` to send with each request, or none; may be repeated", Category: requests},
		word(requests, "basic", "`USER:PASSWORD` to send with each request, or none"),
		word(requests, "bearer", "`TOKEN` to send with each request"),
		word(requests, "event-type", "how eventType stands in the body: number or string"),
		toggle("own-fields", "let the body carry seq, epoch and late too"),
		toggle("mark-replay", "let what is sent late carry the header gatecast-replay"),
		toggle("ed25519", "sign by v1a (ed25519) too"),
	}
}

// plainFields are the fields of the API that flags fill as they are.
func plainFields() map[string]string {
	return map[string]string{
		"url": "url", "description": "description", "order": "order", "concurrency": "concurrency", "rate": "rate",
		"catch-up-rate": "catch_up_rate", "timeout": "timeout", "success": "success", "event-type": "event_type",
		"own-fields": "own_fields", "mark-replay": "mark_replay", "ed25519": "ed25519",
	}
}

// numberFields are those that flags fill with lists of numbers.
func numberFields() map[string]string {
	return map[string]string{
		"group": "groups", "user-type": "user_types", "abnormal": "abnormal_types", "alarm-code": "alarm_codes", "alarm-level": "alarm_levels",
	}
}

// subBody is the request that says what the flags name, and nothing else.
func subBody(t terminal, c *cli.Command) (map[string]any, error) {
	body := map[string]any{}
	for flag, field := range plainFields() {
		if c.IsSet(flag) {
			body[field] = c.Value(flag)
		}
	}
	for flag, field := range numberFields() {
		if c.IsSet(flag) {
			list, err := numbers(c, flag)
			if err != nil {
				return nil, err
			}
			body[field] = list
		}
	}
	if c.IsSet("kind") {
		kinds, err := subKinds(c)
		if err != nil {
			return nil, err
		}
		body["kinds"] = kinds
	}
	if c.IsSet("device") {
		body["devices"] = unlessAll(c.StringSlice("device"))
	}
	switch {
	case c.IsSet("batch"):
		body["batch"] = map[string]any{"max": c.Int("batch"), "wait": c.String("batch-wait")}
	case c.IsSet("batch-wait"):
		return nil, usage(c, "--batch-wait needs --batch, which says how many events to wait for")
	}
	return body, subAccess(t, c, body)
}

// subKinds reads --kind of a subscription; "all" alone is none in particular.
func subKinds(c *cli.Command) ([]gatecast.Kind, error) {
	kinds := []gatecast.Kind{}
	add := func(more ...gatecast.Kind) {
		for _, k := range more {
			if !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	names := c.StringSlice("kind")
	for _, name := range names {
		k, known := kindNamed(name)
		switch {
		case known:
			add(k)
		case name == gatecast.Notice.String() || name == strconv.Itoa(int(gatecast.Notice)):
			add(gatecast.Notice)
		case name == "all" && len(names) > 1:
			add(gatecast.Kinds()...)
		case name != "all":
			return nil, usage(c, "--kind %q is none of record, alarm, notice and all", name)
		}
	}
	return kinds, nil
}

// numbers reads a flag that lists codes; "all" alone is none in particular.
func numbers(c *cli.Command, flag string) ([]int64, error) {
	list := []int64{}
	for _, text := range unlessAll(c.StringSlice(flag)) {
		if flag == "user-type" {
			if i := slices.Index([]string{"employee", "visitor", "stranger"}, text); i >= 0 {
				text = strconv.Itoa(i + 1)
			}
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, usage(c, "--%s %q is not a whole number", flag, text)
		}
		list = append(list, n)
	}
	return list, nil
}

func unlessAll(list []string) []string {
	if slices.Equal(list, []string{"all"}) {
		return []string{}
	}
	return list
}

// atSubFlag turns a refusal that names a field of a subscription into one that
// names the flag it came from; address is where the URL came from.
func atSubFlag(c *cli.Command, err error, address string) error {
	flags := map[string]string{
		"app_key": "--app", "start": "--start", "secret": "--secret", "kinds": "--kind", "devices": "--device", "headers": "--header",
		"batch": "--batch", "batch/wait": "--batch-wait", "auth": "--basic",
	}
	for _, fields := range []map[string]string{plainFields(), numberFields()} {
		for flag, field := range fields {
			flags[field] = "--" + flag
		}
	}
	flags["url"] = address
	if c.IsSet("bearer") {
		flags["auth"] = "--bearer"
	}
	return atFlag(err, flags)
}

// nameAndValue splits a header line.
func nameAndValue(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	return strings.TrimSpace(name), strings.TrimSpace(value), ok
}
