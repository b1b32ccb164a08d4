package main

import (
	"context"
	"fmt"
	"strings"

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
			tokenCommand(t),
			sendCommand(t),
			listenCommand(t),
			signCommand(t),
			statusCommand(t),
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
		if sub.Action == nil {
			sub.Action = noSuchCommand
		}
		inherit(sub)
	}
}

// wrongUsage makes what the library complains about a usage error.
func wrongUsage(_ context.Context, c *cli.Command, err error, _ bool) error {
	text := strings.TrimSuffix(err.Error(), ".")
	text = strings.Replace(text, "flag provided but not defined: ", "there is no flag ", 1)
	text = strings.Replace(text, "No help topic for ", "there is no command ", 1)
	if rest, ok := strings.CutPrefix(text, "Required flag "); ok {
		text = "the flag --" + strings.Trim(strings.TrimSuffix(rest, " not set"), `"`) + " is missing"
	}
	return usage(c, "%s", text)
}

// noSuchCommand is the action of a command that has only subcommands.
func noSuchCommand(_ context.Context, c *cli.Command) error {
	if c.Args().Len() == 0 {
		return cli.ShowSubcommandHelp(c)
	}
	name := c.Args().First()
	if name == "" {
		return usage(c, "the command is empty")
	}
	err := usage(c, "there is no command %q", strings.TrimSpace(c.FullName()+" "+name))
	// The library always suggests something; the first letter is seldom mistyped.
	if near := cli.SuggestCommand(c.Commands, name); near != "" && near[0] == name[0] {
		err.hint = fmt.Sprintf("did you mean %q? ", c.FullName()+" "+near) + err.hint
	}
	return err
}

// arguments checks that a command got between least and most arguments.
func arguments(c *cli.Command, least, most int) error {
	switch n := c.Args().Len(); {
	case n < least:
		return usage(c, "%s needs %s", c.FullName(), c.ArgsUsage)
	case n > most && most == 0:
		return usage(c, "%s takes no argument, but got %q", c.FullName(), c.Args().First())
	case n > most:
		return usage(c, "%s takes only %s, but got %q too", c.FullName(), c.ArgsUsage, c.Args().Get(most))
	}
	// An unset variable of a script, or a path that would lead elsewhere.
	for _, arg := range c.Args().Slice() {
		if arg == "" || arg == "." || arg == ".." {
			return usage(c, "%s needs %s, but got %q", c.FullName(), c.ArgsUsage, arg)
		}
	}
	return nil
}
