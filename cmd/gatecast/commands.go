package main

import (
	"context"

	"github.com/urfave/cli/v3"
)

// exitStatuses ends the help of gatecast itself; docs/cli.md has the same list.
const exitStatuses = `Exit status:
   0  done
   1  failed
   2  wrong usage or wrong settings
   3  not authenticated, or not allowed
   4  no such thing
   5  the server cannot be reached, or asks to come back later

Variables: GATECAST_SERVER and GATECAST_TOKEN stand in for --server and --token,
GATECAST_CONFIG for --config; "gatecast config env" lists those of the settings.`

// commands is the whole program.
func commands(t terminal) *cli.Command {
	root := &cli.Command{
		Name:        "gatecast",
		Usage:       "SenseLink events to every client, none lost",
		Description: exitStatuses,
		Commands: []*cli.Command{
			serveCommand(t),
			demoCommand(t),
			configCommand(t),
			appCommand(t),
			subCommand(t),
			sourceCommand(t),
			deviceCommand(t),
			quarantineCommand(t),
			mqttCommand(t),
			tokenCommand(t),
			sendCommand(t),
			listenCommand(t),
			signCommand(t),
			statusCommand(t),
			doctorCommand(t),
			connectionsCommand(t),
			simulateCommand(t),
			benchCommand(t),
			versionCommand(t),
		},
		Reader:                    t.in,
		Writer:                    t.out,
		ErrWriter:                 t.err,
		Suggest:                   true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		EnableShellCompletion:     true,
		ConfigureShellCompletionCommand: func(c *cli.Command) {
			c.Hidden = false
			c.Usage = "Print a completion script for bash, zsh, fish or pwsh"
		},
		// Errors come back from Run and are reported in one place.
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
		Action:         noSuchCommand,
		OnUsageError:   wrongUsage,
	}
	inherit(root)
	return root
}

// inherit gives every command below c what the library does not hand down.
func inherit(c *cli.Command) {
	for _, sub := range c.Commands {
		sub.OnUsageError = wrongUsage
		sub.DisableSliceFlagSeparator = true // a header's value may hold commas
		if sub.Action == nil {
			sub.Action = noSuchCommand
		}
		inherit(sub)
	}
}
