package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

// lines writes events for people, one a line.
type lines struct {
	out   io.Writer
	color bool
}

// newLines colours only what a person reads: see https://no-color.org.
func newLines(w io.Writer) lines {
	color := isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return lines{out: w, color: color}
}

// Colours, as SGR parameters (ECMA-48).
const (
	plain  = ""
	green  = "32"
	blue   = "34"
	cyan   = "36"
	yellow = "33"
	red    = "31"
	alert  = "1;31"
)

// line is what is shown of an event.
type line struct {
	at     time.Time
	kind   string
	color  string // of kind
	device string
	name   string
	detail string
}

func (l lines) write(e *client.Event) error {
	v := lineOf(e)
	kind := pad(v.kind, 8)
	if l.color && v.color != plain {
		kind = "\x1b[" + v.color + "m" + kind + "\x1b[0m"
	}
	text := v.at.Local().Format("15:04:05") + "  " + kind + "  " + pad(clean(v.device), 18) + "  " +
		pad(clean(v.name), 16) + "  " + clean(v.detail)
	_, err := fmt.Fprintln(l.out, strings.TrimRight(text, " "))
	return err
}

// lineOf reads what an event says. Whatever cannot be read is left out: an
// event of a stranger shape is shown as far as it is understood.
func lineOf(e *client.Event) line {
	v := line{at: e.At, kind: e.Kind.String(), device: e.Device}
	if e.Kind == gatecast.Alarm {
		var a client.Alarm
		_ = json.Unmarshal(e.Data, &a)
		v.alarm(&a)
	} else {
		var r client.Record
		_ = json.Unmarshal(e.Data, &r)
		v.record(&r)
	}
	if v.at.IsZero() {
		v.at = time.Now()
	}
	return v
}

func (v *line) record(r *client.Record) {
	v.name = r.Name
	if r.DeviceName != "" {
		v.device = r.DeviceName
	}
	v.kind, v.color = "in", green
	if r.Direction == 1 {
		v.kind, v.color = "out", blue
	}
	detail := []string{modeName(r.EntryMode)}
	switch r.Type {
	case 2:
		v.color = cyan
		detail = append(detail, strings.TrimSpace("visitor "+hostText(r.ReceptionUserName)))
	case 3:
		v.kind, v.color = "stranger", yellow
	}
	if slices.ContainsFunc(r.Groups, func(g client.Group) bool { return g.Type == 5 }) {
		v.color = red
		detail = append(detail, "on the deny list")
	}
	if r.BodyTemperature != nil {
		detail = append(detail, fmt.Sprintf("%.1f°C", *r.BodyTemperature))
	}
	if r.AbnormalType != 0 {
		v.kind, v.color = "refused", red
		detail = append(detail, abnormalName(r.AbnormalType))
	}
	v.detail = strings.Join(detail, ", ")
}

func hostText(name string) string {
	if name == "" {
		return ""
	}
	return "of " + name
}

func (v *line) alarm(a *client.Alarm) {
	// Alarms tell the time of their site without its zone; what they say is
	// shown beside the moment they came in.
	v.at = time.Now()
	if a.DeviceName != "" {
		v.device = a.DeviceName
	}
	v.name = a.Description
	if v.name == "" {
		v.name = alarmName(a.Code)
	}
	v.kind, v.color, v.detail = "alarm", alert, alarmName(a.Code)
	switch a.Status {
	case 2:
		v.color, v.detail = yellow, v.detail+", being released"
	case 3:
		v.color, v.detail = green, v.detail+", released"
	}
}

// clean makes text from elsewhere safe for a terminal: a name may hold escape
// sequences (CWE-150).
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// pad fills s up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-columns(s), 0))
}

// columns is the width of s on a terminal: East Asian characters take two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul),
			r >= 0x3000 && r <= 0x303f, r >= 0xff00 && r <= 0xff60, r == 'ー':
			n += 2
		default:
			n++
		}
	}
	return n
}
