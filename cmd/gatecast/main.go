// Command gatecast is the server and everything to work with it.
//
// It owns words on a terminal: flags, tables, exit statuses. It never does a
// server's work itself: serve and demo start internal/app, and every other
// command talks to a running server by its public API. Start at [commands].
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zone names must work on a machine without a zone database
)

func main() {
	t := terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(run(t, os.Args))
}

// terminal is what a command reads from and writes to.
type terminal struct {
	in  io.Reader
	out io.Writer // results: what a pipe wants
	err io.Writer // what went wrong and what goes on
}

// run executes one command line and returns its exit status. The first
// interrupt asks the command to end; the second ends the process at once.
func run(t terminal, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := commands(t)
	err := noSuchTopic(root, root.Run(ctx, args))
	if err != nil {
		report(t.err, err)
	}
	return exitStatus(err)
}
