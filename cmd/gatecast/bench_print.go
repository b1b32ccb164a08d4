package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gatecast/gatecast/internal/bench"
)

// printReport writes all figures as a table, and what did not reach its target
// again at the end.
func printReport(w io.Writer, r *bench.Report) error {
	rows := [][]string{{"MEASURED", "FIGURE", "TARGET", "WANTED", "VERDICT", "NOTE"}}
	scenario := ""
	for _, f := range r.Figures {
		if f.Scenario != scenario {
			scenario = f.Scenario
			rows = append(rows, []string{"", "", "", "", "", ""}, []string{scenario, "", "", "", "", ""})
		}
		wanted := ""
		if f.Want != nil {
			wanted = f.Want.String()
		}
		rows = append(rows, []string{"  " + f.What, f.Measured(), f.Target, wanted, string(f.Verdict), f.Note})
	}
	if err := table(w, trimmed(rows)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", machineLine(r), verdictLine(r))
	return err
}

// trimmed drops the last column where nothing stands in it.
func trimmed(rows [][]string) [][]string {
	for _, row := range rows[1:] {
		if row[len(row)-1] != "" {
			return rows
		}
	}
	for i, row := range rows {
		rows[i] = row[:len(row)-1]
	}
	return rows
}

func machineLine(r *bench.Report) string {
	m := r.Machine
	parts := []string{m.System, fmt.Sprintf("%d CPUs", m.CPUs)}
	for _, part := range []string{m.Processor, m.Kernel, m.DataSystem, m.Go, "gatecast " + m.Gatecast} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	took := time.Duration(r.Seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, in %v on %s", r.Command, took, strings.Join(parts, ", "))
}

func verdictLine(r *bench.Report) string {
	judged := 0
	for _, f := range r.Figures {
		if f.Want != nil && !f.Doubtful {
			judged++
		}
	}
	missed := r.Missed()
	switch {
	case judged == 0:
		return "None of these figures has a target."
	case !r.Usual:
		return "No verdicts: the targets are defined for measurements without --clients, --burst, --events, --size, --rate, --for and --subscriptions."
	}
	line := fmt.Sprintf("%d of %d targets reached.", judged-len(missed), judged)
	for _, f := range missed {
		line += fmt.Sprintf("\nMissed: %s %s: %s, wanted %s", f.Target, f.What, f.Measured(), f.Want)
	}
	return line
}

// progress shows what goes on: over and over on one line of a terminal, one
// below the other elsewhere.
type progress struct {
	w     io.Writer
	live  bool
	shown bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, live: isTerminal(w)} }

func (p *progress) line(scenario, text string) {
	line := scenario + ": " + text
	if !p.live {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K"+cut(line, p.width()))
	p.shown = true
}

// width is how much of a line can be written without the terminal's beginning
// another.
func (p *progress) width() int {
	if f, ok := p.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 1 {
			return w - 1
		}
	}
	return 79
}

func cut(line string, width int) string {
	for columns(line) > width {
		runes := []rune(line)
		line = string(runes[:len(runes)-1])
	}
	return line
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
