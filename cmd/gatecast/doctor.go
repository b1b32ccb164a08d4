package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/app"
)

func doctorCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "Look for what is wrong, and say what to do about it",
		Description: `A running server is asked to examine itself, its machine and its sources; that may
take some seconds, and what it found a moment ago is told again. If none answers at an
address of this machine, or with --offline, the machine and the settings are examined as
a server would find them: why it does not start. Then the flags of serve count, too.

Exits with 1 if something is bad, with 5 if no server could be reached, and with 0
otherwise; with --strict, warnings count as bad.`,
		Flags: doctorFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			return examine(ctx, t, c)
		},
	}
}

// doctorFlags are those to ask a server, and those to do without one.
func doctorFlags() []cli.Flag {
	flags := remoteFlags(
		&cli.BoolFlag{Name: "offline", Usage: "ask no server: examine this machine and the settings"},
		&cli.BoolFlag{Name: "strict", Usage: "exit with 1 for warnings, too"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "leave out what is well"},
	)
	return append(flags, slices.DeleteFunc(settingFlags(), func(f cli.Flag) bool {
		return f.Names()[0] == "data" // which both have
	})...)
}

// diagnosis is the answer of GET /api/v1/doctor.
type diagnosis struct {
	At       time.Time `json:"at"`
	Took     string    `json:"took"`
	Version  string    `json:"version"`
	Findings []finding `json:"findings"`
}

type finding struct {
	Check   string                `json:"check"`
	Level   gatecast.FindingLevel `json:"level"`
	Subject string                `json:"subject"`
	Text    string                `json:"text"`
	Remedy  string                `json:"remedy"`
}

func examine(ctx context.Context, t terminal, c *cli.Command) error {
	if c.Bool("offline") {
		return examineHere(ctx, t, c, nil)
	}
	base, err := serverAddress(c)
	if err != nil {
		return err
	}
	h := greet(ctx, newAPI(base, ""))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if h.err != nil {
		return examineHere(ctx, t, c, h.err)
	}
	a, err := remote(c)
	if err != nil {
		return err
	}
	var d diagnosis
	if _, err := a.call(ctx, http.MethodGet, "/api/v1/doctor", nil, &d); err != nil {
		return err
	}
	d.Findings = append(d.Findings, judgeGreeting(base, h)...)
	d.Findings = append(d.Findings, judgeVersion(version(), d.Version))
	return d.tell(t, c)
}

// greeted is what was seen of a server from here.
type greeted struct {
	took  time.Duration
	ahead time.Duration // its clock, of ours
	dated bool
	err   error // it cannot be reached
}

// greet asks a server whether it lives, and what time it is.
func greet(ctx context.Context, a *api) greeted {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/healthz", nil)
	if err != nil {
		return greeted{err: fmt.Errorf("make request: %w", err)}
	}
	began := time.Now()
	res, err := a.http.Do(req)
	h := greeted{took: time.Since(began)}
	if err != nil {
		h.err = a.unreachable(ctx, err)
		return h
	}
	_ = res.Body.Close() // what it says is of no interest
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		// A Date has no fractions: half a second is what is missing on average.
		h.ahead, h.dated = at.Add(time.Second/2).Sub(began.Add(h.took/2)), true
	}
	return h
}

// judgeGreeting says how the server looks from here.
func judgeGreeting(base string, h greeted) []finding {
	const slow, off, far = time.Second, 3 * time.Second, time.Minute
	seen := finding{Check: "server", Level: gatecast.FindingOK, Subject: base, Text: fmt.Sprintf("it answers in %v", h.took.Round(100*time.Microsecond))}
	if h.took > slow {
		seen.Level, seen.Remedy = gatecast.FindingWarn, "look at the network in between, and at the server's load"
	}
	found := []finding{seen}
	if !h.dated {
		return found
	}
	clock := finding{Check: "server", Level: gatecast.FindingOK, Subject: base, Text: "its clock is that of this machine"}
	if h.ahead.Abs() >= off {
		side := "ahead of"
		if h.ahead < 0 {
			side = "behind"
		}
		clock.Level, clock.Text = gatecast.FindingNote, fmt.Sprintf("its clock is %v %s that of this machine", h.ahead.Abs().Round(time.Second), side)
		clock.Remedy = "set the wrong one of the two, and keep both right (NTP)"
	}
	if h.ahead.Abs() >= far {
		clock.Level = gatecast.FindingWarn
		clock.Text += ": signatures made here are refused when it is 30 minutes"
	}
	return append(found, clock)
}

func judgeVersion(ours, theirs string) finding {
	if ours == theirs {
		return finding{Check: "version", Level: gatecast.FindingOK, Text: "this command is of the same version, " + ours}
	}
	return finding{
		Check: "version", Level: gatecast.FindingNote, Text: fmt.Sprintf("this command is of the version %s, the server of %s", ours, theirs),
		Remedy: "use that of the server if something is not understood",
	}
}

// examineHere examines this machine. why is why no server was asked; nil: nobody
// wanted that.
func examineHere(ctx context.Context, t terminal, c *cli.Command, why error) error {
	d := diagnosis{At: time.Now(), Version: version()}
	if why != nil {
		d.Findings = append(d.Findings, notReached(c.String("server"), why))
	}
	if why == nil || onOwnMachine(c) {
		cfg, _, err := loadConfig(c)
		if err != nil {
			return err
		}
		here := app.Examine(ctx, cfg, version())
		d.At, d.Took = here.At, here.Took.Round(time.Millisecond).String()
		for _, f := range here.Findings {
			d.Findings = append(d.Findings, finding{f.Check, f.Level, f.Subject, f.Text, f.Remedy})
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := d.tell(t, c); why == nil {
		return err
	}
	return why
}

func notReached(server string, why error) finding {
	f := finding{Check: "server", Level: gatecast.FindingBad, Subject: server, Text: why.Error()}
	if e, ours := errors.AsType[*gatecast.Error](why); ours {
		f.Text, f.Remedy = e.Message, e.Remedy
	}
	return f
}

// onOwnMachine reports whether the server would run on this machine.
func onOwnMachine(c *cli.Command) bool {
	base, err := serverAddress(c)
	if err != nil {
		return false
	}
	u, err := url.Parse(base)
	return err == nil && onThisMachine(u.Hostname())
}
