package main

import (
	"fmt"
	"io"
)

// waitLine is a line that a person sees change, or lines in a file, of which
// there shall not be many.
type waitLine struct {
	w     io.Writer
	one   bool // on a terminal: the line is written over itself
	last  string
	ticks int
}

func newWaitLine(w io.Writer) *waitLine { return &waitLine{w: w, one: isTerminal(w)} }

func (p *waitLine) tell(text string) {
	const quiet = 10
	p.ticks++
	switch {
	case p.one:
		fmt.Fprintf(p.w, "\r%s", pad(text, columns(p.last)))
	case text != p.last && p.ticks%quiet == 1:
		fmt.Fprintln(p.w, text)
	default:
		return
	}
	p.last = text
}

// end leaves the line behind.
func (p *waitLine) end() {
	if p.one && p.last != "" {
		fmt.Fprintln(p.w)
	}
}
