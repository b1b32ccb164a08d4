package bench

import (
	"fmt"
	"math"
	"time"
)

// Report is what a measurement has found.
type Report struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // all of it took so long
	Command string    `json:"command"`
	Server  string    `json:"server"` // URL, or "started here"
	Machine Machine   `json:"machine"`
	Usual   bool      `json:"usual"` // measured as the targets are defined; if not, there are no verdicts
	Figures []Figure  `json:"figures"`
}

// Figure is one thing that was measured.
type Figure struct {
	Scenario string  `json:"scenario"`
	Target   string  `json:"target,omitempty"` // name of the target that it is held against, such as P1
	What     string  `json:"what"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Want     *Bound  `json:"want,omitempty"`
	Verdict  Verdict `json:"verdict,omitempty"`
	Note     string  `json:"note,omitempty"`

	// Doubtful figures are told and not judged: Note says why.
	Doubtful bool `json:"doubtful,omitempty"`
}

// Bound is what a figure has to reach. One of the two is set.
type Bound struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

func atLeast(v float64) *Bound { return &Bound{AtLeast: v} }
func atMost(v float64) *Bound  { return &Bound{AtMost: v} }

// holds reports whether a value is within the bound.
func (b *Bound) holds(v float64) bool {
	if b.AtMost > 0 {
		return v <= b.AtMost
	}
	return v >= b.AtLeast
}

// Verdict says whether a figure has reached its target.
type Verdict string

// The verdicts. A figure without a target has none.
const (
	Reached Verdict = "reached"
	Missed  Verdict = "missed"
)

// judged returns the figure with its verdict.
func (f Figure) judged() Figure {
	if f.Want != nil {
		f.Verdict = Missed
		if f.Want.holds(f.Value) {
			f.Verdict = Reached
		}
	}
	return f
}

// Missed returns the figures that have not reached their targets.
func (r *Report) Missed() (missed []Figure) {
	for _, f := range r.Figures {
		if f.Verdict == Missed {
			missed = append(missed, f)
		}
	}
	return missed
}

// String is the bound for people: "at least 0.9".
func (b *Bound) String() string {
	if b.AtMost > 0 {
		return "at most " + number(b.AtMost)
	}
	return "at least " + number(b.AtLeast)
}

// Measured is the value with its unit: "1,234 events/s".
func (f Figure) Measured() string {
	if f.Unit == "" {
		return number(f.Value)
	}
	return number(f.Value) + " " + f.Unit
}

// number writes a value with three digits that count, and thousands apart.
func number(v float64) string {
	switch {
	case v >= 999.5:
		return thousands(int64(v + 0.5))
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
