package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// tell shows what was found, worst first. Its error is what there is to mend.
func (d *diagnosis) tell(t terminal, c *cli.Command) error {
	slices.SortStableFunc(d.Findings, func(a, b finding) int { return b.Level.Rank() - a.Level.Rank() })
	var err error
	if c.Bool("json") {
		err = printValue(t.out, d)
	} else {
		err = d.print(t.out, newLines(t.out).color, c.Bool("quiet"))
	}
	return cmp.Or(err, d.verdict(c.Bool("strict")))
}

// print writes each finding, and below it what to do.
func (d *diagnosis) print(w io.Writer, color, quiet bool) error {
	var b strings.Builder
	for _, f := range d.Findings {
		if quiet && f.Level == gatecast.FindingOK {
			continue
		}
		about := f.Check
		if f.Subject != "" {
			about += " " + f.Subject
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", levelText(f.Level, color), clean(about), clean(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "      > %s\n", clean(f.Remedy))
		}
	}
	fmt.Fprintln(&b, d.counts())
	_, err := io.WriteString(w, b.String())
	return err
}

func levelText(l gatecast.FindingLevel, color bool) string {
	text := pad(clean(string(l)), 4)
	colors := map[gatecast.FindingLevel]string{
		gatecast.FindingBad: alert, gatecast.FindingWarn: yellow, gatecast.FindingNote: cyan, gatecast.FindingOK: green,
	}
	if code := colors[l]; color && code != plain {
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return text
}

func (d *diagnosis) count(l gatecast.FindingLevel) (n int) {
	for _, f := range d.Findings {
		if f.Level.Rank() == l.Rank() {
			n++
		}
	}
	return n
}

func (d *diagnosis) counts() string {
	return fmt.Sprintf(
		"%d bad, %d to be warned of, %d to be noted, %d well",
		d.count(gatecast.FindingBad), d.count(gatecast.FindingWarn), d.count(gatecast.FindingNote), d.count(gatecast.FindingOK),
	)
}

// verdict is an error if something is bad; strict: or worth a warning.
func (d *diagnosis) verdict(strict bool) error {
	bad, warned := d.count(gatecast.FindingBad), d.count(gatecast.FindingWarn)
	if bad == 0 && (warned == 0 || !strict) {
		return nil
	}
	e := gatecast.Errorf(gatecast.Conflict, "there is something to mend: %d bad, %d to be warned of", bad, warned)
	e.Remedy = "what to do stands below each of them"
	return e
}
