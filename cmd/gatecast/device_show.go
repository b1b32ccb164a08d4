package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

type devicePage struct {
	Devices []deviceView   `json:"devices"`
	Next    string         `json:"next"`
	Counts  map[string]int `json:"counts"`
	Level   bool           `json:"level"`
}

func (p *devicePage) print(t terminal) error {
	if !p.Level {
		fmt.Fprintln(t.err, "The server is still reading what happened before; nobody is judged yet.")
	}
	total := 0
	for _, n := range p.Counts {
		total += n
	}
	if total == 0 {
		fmt.Fprintln(t.err, "No device was heard of yet.")
		return nil
	}
	if len(p.Devices) > 0 {
		rows := [][]string{{"STATE", "SINCE", "LAST SEEN", "USUALLY WITHIN", "SN", "NAME", "SOURCE", "WHY"}}
		for _, d := range p.Devices {
			f := d.Freshness
			rows = append(rows, []string{
				clean(f.State), whenText(f.Since, "-"), whenText(d.Seen, "never"), d.usual(),
				clean(d.SN), clean(d.Name), clean(d.Source), clean(f.Why),
			})
		}
		if err := table(t.out, rows); err != nil {
			return err
		}
	}
	var counts []string
	for _, state := range []string{"live", "quiet", "stale", "dead", "unknown"} {
		if n := p.Counts[state]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, state))
		}
	}
	fmt.Fprintf(t.err, "%d devices: %s\n", total, strings.Join(counts, ", "))
	if p.Next != "" {
		fmt.Fprintf(t.err, "There are more; go on with --after %s\n", clean(p.Next))
	}
	return nil
}

// usual is the longest silence that is not remarkable.
func (d *deviceView) usual() string {
	switch {
	case d.Silence.Learnt != nil && time.Now().Before(*d.Silence.Learnt):
		return "learning"
	case d.Silence.Usual == nil:
		return "-"
	}
	return spanText(time.Duration(*d.Silence.Usual * float64(time.Second)))
}

func (d *deviceView) print(t terminal) error {
	pairs := []string{"sn", clean(d.SN), "name", cmp.Or(clean(d.Name), "-"), "place", cmp.Or(clean(d.Place), "-"), "source", clean(d.Source)}
	pairs = append(pairs, d.Freshness.pairs("state")...)
	usual := d.usual()
	if usual == "learning" {
		usual = "is being learnt until " + timeText(*d.Silence.Learnt)
	}
	pairs = append(
		pairs,
		"last seen", whenText(d.Seen, "never"),
		"usually within", usual,
		"missed since", fmt.Sprintf("%.1f events; stale from %.1f", d.Silence.Missed, d.Silence.Limit),
		"first seen", whenText(d.First, "never"),
		"records", strconv.FormatUint(d.Records, 10),
		"alarms", strconv.FormatUint(d.Alarms, 10),
	)
	if behind := time.Duration(d.Behind * float64(time.Second)); behind > 0 {
		pairs = append(pairs, "clock", behind.String()+" behind the server's")
	} else if behind < 0 {
		pairs = append(pairs, "clock", (-behind).String()+" ahead of the server's")
	}
	if err := properties(t.out, pairs...); err != nil {
		return err
	}
	return d.printRhythm(t)
}

// printRhythm draws how many events each hour of the week has.
func (d *deviceView) printRhythm(t terminal) error {
	if len(d.Rhythm) != 7 {
		return nil
	}
	rows := [][]string{{"EVENTS OF AN HOUR"}}
	for hour := range 24 {
		rows[0] = append(rows[0], fmt.Sprintf("%02d", hour))
	}
	for i, day := range []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"} {
		row := []string{day}
		for _, rate := range d.Rhythm[i] {
			row = append(row, rateText(rate))
		}
		rows = append(rows, row)
	}
	if _, err := fmt.Fprintln(t.out); err != nil {
		return err
	}
	return table(t.out, rows)
}

// rateText is a number of events in little space.
func rateText(rate float64) string {
	switch {
	case rate < 0.05:
		return "."
	case rate < 9.95:
		return strconv.FormatFloat(rate, 'f', 1, 64)
	case rate < 9999.5:
		return strconv.FormatFloat(rate, 'f', 0, 64)
	}
	return strconv.FormatFloat(rate/1000, 'f', 0, 64) + "k"
}
