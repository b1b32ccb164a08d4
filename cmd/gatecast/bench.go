package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast/internal/bench"
	"github.com/gatecast/gatecast/internal/bench/floor"
)

func benchCommand(t terminal) *cli.Command {
	c := &cli.Command{
		Name:  "bench",
		Usage: "Measure a server, and what the machine could do without one",
		Description: `Each measurement starts a server of its own in a temporary directory, unless
--server names one that runs. Beside what depends on the machine stands what a bare
loop of system calls does there in the same minute. Clients, sender and server share
the machine when the server is started here. docs/performance.md explains the method.`,
		Commands: []*cli.Command{benchOf(t, "all", "Everything below, one after the other; less than ten minutes", bench.Scenarios())},
	}
	for _, s := range bench.Scenarios() {
		c.Commands = append(c.Commands, benchOf(t, s.Name, s.Help, []bench.Scenario{s}))
	}
	c.Commands = append(c.Commands, &cli.Command{
		Name: "bare-loop", Hidden: true, Usage: "Write to sockets as standard input says; part of the others",
		Action: func(ctx context.Context, _ *cli.Command) error { return floor.WriteLoop(ctx, t.in, t.out) },
	}, &cli.Command{
		Name: "bare-post", Hidden: true, Usage: "Post standard input as often as the arguments say; part of the others",
		ArgsUsage: "URL COUNT AT-ONCE",
		Action:    func(ctx context.Context, c *cli.Command) error { return barePost(ctx, t, c) },
	})
	return c
}

func barePost(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 3, 3); err != nil {
		return err
	}
	count, err := strconv.Atoi(c.Args().Get(1))
	atOnce, err2 := strconv.Atoi(c.Args().Get(2))
	if err != nil || err2 != nil || count < 1 || atOnce < 1 {
		return usage(c, "COUNT and AT-ONCE are numbers above 0")
	}
	return floor.PostLoop(ctx, floor.Posts{URL: c.Args().First(), Count: count, AtOnce: atOnce}, t.in, t.out)
}

// benchFlags are the flags that all the given scenarios heed together, and those
// that every one heeds.
func benchFlags(scenarios []bench.Scenario) []cli.Flag {
	takes := func(name string) bool {
		return slices.ContainsFunc(scenarios, func(s bench.Scenario) bool { return slices.Contains(s.Takes, name) })
	}
	var flags []cli.Flag
	for _, f := range []cli.Flag{
		&cli.IntFlag{Name: "clients", Usage: "so many clients at once", HideDefault: true},
		&cli.IntFlag{Name: "burst", Usage: "so many events at once", HideDefault: true},
		&cli.IntFlag{Name: "events", Usage: "so many events in the journal, at least 20000", HideDefault: true},
		&cli.FloatFlag{Name: "rate", Usage: "events per second of what is sent by a timetable", HideDefault: true},
		&cli.DurationFlag{Name: "for", Usage: "how long each steady load goes on", HideDefault: true},
		&cli.IntFlag{Name: "subscriptions", Usage: "so many subscriptions of webhooks", HideDefault: true},
	} {
		if takes(f.Names()[0]) {
			flags = append(flags, f)
		}
	}
	return append(
		flags,
		&cli.IntFlag{Name: "size", Usage: "`BYTES` of a push with its WebSocket header", Value: 1004},
		&cli.StringFlag{
			Name: "server", Usage: "`URL` of a server that runs; it gets events and apps of the measurement",
			Sources: cli.EnvVars("GATECAST_BENCH_SERVER"), Category: "SERVER",
		},
		&cli.StringFlag{
			Name: "token", Usage: "an administrator's token, for that server",
			Sources: cli.EnvVars("GATECAST_TOKEN"), Category: "SERVER", HideDefault: true,
		},
		&cli.StringFlag{Name: "data", Usage: "keep the data of a server that is started here below `DIR`, while it runs", HideDefault: true},
		jsonFlag(),
	)
}

func benchOf(t terminal, name, help string, scenarios []bench.Scenario) *cli.Command {
	return &cli.Command{
		Name: name, Usage: help, Flags: benchFlags(scenarios),
		Action: func(ctx context.Context, c *cli.Command) error { return runBench(ctx, t, c, scenarios) },
	}
}

func runBench(ctx context.Context, t terminal, c *cli.Command, scenarios []bench.Scenario) error {
	o, err := benchOptions(c)
	if err != nil {
		return err
	}
	// A reader that has seen enough must not end the process before its servers
	// and directories are gone.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	p := newProgress(t.err)
	o.Progress = p.line
	r, err := bench.Run(ctx, scenarios, o)
	p.clear()
	if len(r.Figures) == 0 {
		return err
	}
	if c.Bool("json") {
		if failed := printValue(t.out, r); failed != nil {
			return failed
		}
	} else if failed := printReport(t.out, r); failed != nil {
		return failed
	}
	return err
}

func benchOptions(c *cli.Command) (bench.Options, error) {
	o := bench.Options{
		Command: commandLine(c),
		Server:  c.String("server"), Token: c.String("token"), Data: c.String("data"),
		Clients: c.Int("clients"), Burst: c.Int("burst"), Events: c.Int("events"), Size: c.Int("size"),
		Rate: c.Float("rate"), For: c.Duration("for"), Subscriptions: c.Int("subscriptions"),
	}
	if err := arguments(c, 0, 0); err != nil {
		return o, err
	}
	for _, limit := range []struct {
		flag       string
		value      float64
		least, top float64
	}{
		{"clients", float64(o.Clients), 1, 1_000_000},
		{"burst", float64(o.Burst), 1, 1_000_000},
		{"events", float64(o.Events), 20_000, 100_000_000},
		{"size", float64(o.Size), bench.MinSize, bench.MaxSize},
		{"rate", o.Rate, 0.001, 1_000_000},
		{"for", o.For.Seconds(), 0.1, 3600},
		{"subscriptions", float64(o.Subscriptions), 2, 100_000},
	} {
		if c.IsSet(limit.flag) && !(limit.value >= limit.least && limit.value <= limit.top) {
			return o, usage(c, "--%s is not between %s and %s", limit.flag, plainNumber(limit.least), plainNumber(limit.top))
		}
	}
	if o.Server != "" {
		var err error
		if o.Server, err = serverAddress(c); err != nil {
			return o, err
		}
		if u, err := url.Parse(o.Server); err != nil || u.Path != "" || u.User != nil {
			return o, usage(c, "--server %q is more than http://HOST:PORT or https://HOST:PORT", c.String("server"))
		}
		if o.Token == "" {
			return o, usage(c, "--server needs --token (or GATECAST_TOKEN), an administrator's: apps are made for the clients")
		}
	}
	program, err := os.Executable()
	if err != nil {
		return o, fmt.Errorf("find this program, to start it as a server: %w", err)
	}
	o.Program = program
	return o, nil
}

// commandLine is what was typed, for the report, but for the token: reports are
// shown around.
func commandLine(c *cli.Command) string {
	line := c.FullName()
	for _, name := range []string{"clients", "burst", "events", "size", "rate", "for", "subscriptions", "server", "data"} {
		if c.IsSet(name) {
			line += fmt.Sprintf(" --%s %v", name, c.Value(name))
		}
	}
	return line
}

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
