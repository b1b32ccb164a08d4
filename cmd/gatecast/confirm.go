package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Usage: "do not ask; needed where nobody can answer"}
}

// confirm asks whoever sits at the terminal, unless --yes has said it already.
func confirm(t terminal, c *cli.Command, question string) error {
	switch {
	case c.Bool("yes"):
		return nil
	case !isTerminal(t.in):
		return usage(c, "nobody can be asked here: give --yes")
	}
	return ask(t.in, t.err, question)
}

// confirmLoss asks before something is lost for good, if there is somebody to be
// asked: a script that deletes has meant it.
func confirmLoss(t terminal, c *cli.Command, question string) error {
	if c.Bool("yes") || !isTerminal(t.in) {
		return nil
	}
	return ask(t.in, t.err, question)
}

// lossFlag is for commands that ask by confirmLoss.
func lossFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Usage: "do not ask; on a terminal it is asked otherwise"}
}

// ask returns an error unless the answer is yes.
func ask(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return gatecast.Errorf(gatecast.Conflict, "not confirmed: nothing was done")
}
