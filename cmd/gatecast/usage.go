package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v3"
)

// wrongUsage says in words of ours what the library found wrong with a command
// line.
func wrongUsage(_ context.Context, c *cli.Command, err error, _ bool) error {
	text := strings.TrimSuffix(err.Error(), ".")
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return usage(c, "there is no flag %s", dashed(name))
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return usage(c, "the flag %s needs a value", dashed(name))
	}
	if rest, ok := strings.CutPrefix(text, "Required flag "); ok {
		return usage(c, "the flag %s is missing", dashed(strings.Trim(strings.TrimSuffix(rest, " not set"), `"`)))
	}
	// Value, flag, and what the standard library says of them.
	badValue := regexp.MustCompile(`(?s)^invalid value "(.*)" for flag -+([^:]+): (.*)$`)
	if m := badValue.FindStringSubmatch(text); m != nil {
		return usage(c, "%s %q %s", dashed(m[2]), m[1], misfit(c, m[2], m[3]))
	}
	return usage(c, "%s", text)
}

// dashed is a flag as it is typed.
func dashed(name string) string {
	name = strings.TrimLeft(name, "-")
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// misfit says why a value is none for the flag.
func misfit(c *cli.Command, name, cause string) string {
	if strings.HasSuffix(cause, "value out of range") {
		return "is out of range"
	}
	for _, f := range c.Flags {
		for _, known := range f.Names() {
			if known == name {
				return "is not " + wanted(f)
			}
		}
	}
	return "cannot be read"
}

func wanted(f cli.Flag) string {
	switch f.(type) {
	case *cli.IntFlag, *cli.Int64Flag, *cli.Uint64Flag:
		return "a whole number"
	case *cli.FloatFlag:
		return "a number"
	case *cli.BoolFlag:
		return "true or false"
	}
	return "a value that it takes"
}

// noSuchTopic does for "gatecast help TOPIC" what wrongUsage does for the rest:
// the library hands that error to nobody.
func noSuchTopic(c *cli.Command, err error) error {
	topic := regexp.MustCompile(`^No help topic for '(.*)'`).FindStringSubmatch(fmt.Sprint(err))
	if topic == nil {
		return err
	}
	return usage(c, "there is no command %q", strings.TrimSpace(c.FullName()+" "+topic[1]))
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
