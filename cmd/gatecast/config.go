package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast/internal/config"
)

func configCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "Check the settings and print them with their origins, secrets left out",
		Flags: settingFlags(jsonFlag()),
		Action: func(_ context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			cfg, origins, err := loadConfig(c)
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(t.err, "note:", w)
			}
			if c.Bool("json") {
				return printValue(t.out, cfg.Values(origins))
			}
			_, err = t.out.Write(cfg.TOML(origins))
			return err
		},
		Commands: []*cli.Command{
			printer(t, "sample", "Print a settings file with every setting explained", config.Sample),
			printer(t, "doc", "Print the manual of the settings (Markdown)", config.Markdown),
			envCommand(t),
		},
	}
}

// printer is a command that prints what make returns.
func printer(t terminal, name, text string, produce func() []byte) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text,
		Action: func(_ context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			_, err := t.out.Write(produce())
			return err
		},
	}
}

func envCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name: "env", Usage: "List the variables of all settings with their defaults",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(_ context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			if c.Bool("json") {
				defaults := map[string]string{}
				for _, k := range config.Keys() {
					defaults[k.Env] = k.Default
				}
				return printValue(t.out, defaults)
			}
			var b strings.Builder
			for _, k := range config.Keys() {
				fmt.Fprintf(&b, "%s=%s\n", k.Env, k.Default)
			}
			_, err := io.WriteString(t.out, b.String())
			return err
		},
	}
}

// settingFlags are the flags that change settings. Each setting is a flag of
// its own, too; those are hidden, because the list is long and known to
// "gatecast config sample".
func settingFlags(more ...cli.Flag) []cli.Flag {
	flags := append(more,
		&cli.StringFlag{
			Name: "config", Aliases: []string{"c"}, Usage: "settings `FILE` (TOML)",
			Sources: cli.EnvVars("GATECAST_CONFIG"), TakesFile: true,
		},
		&cli.StringFlag{Name: "listen", Usage: "`ADDRESS` to listen on (server.listen)"},
		&cli.StringFlag{Name: "data", Usage: "data `DIR` (server.data)"},
		&cli.StringSliceFlag{Name: "set", Usage: "any other setting as `KEY=VALUE`; may be repeated"},
	)
	for _, k := range config.Keys() {
		flags = append(flags, &cli.StringFlag{Name: k.Name, Usage: k.Desc, Hidden: true})
	}
	return flags
}

// loadConfig reads the settings from file, variables and flags.
func loadConfig(c *cli.Command) (config.Config, config.Origins, error) {
	flags := map[string]string{}
	for _, k := range config.Keys() {
		if c.IsSet(k.Name) {
			flags[k.Name] = c.String(k.Name)
		}
	}
	for _, pair := range c.StringSlice("set") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return config.Config{}, nil, usage(c, "--set %q is not KEY=VALUE", pair)
		}
		flags[strings.TrimSpace(key)] = value
	}
	for short, key := range map[string]string{"listen": "server.listen", "data": "server.data"} {
		if c.IsSet(short) {
			flags[key] = c.String(short)
		}
	}
	file := c.String("config")
	cfg, origins, err := config.Load(config.Sources{File: file, Env: os.Environ(), Flags: flags})
	if settings := (*config.LoadError)(nil); err != nil && !errors.As(err, &settings) {
		err = unreadable(file, err)
	}
	return cfg, origins, err
}

// unreadable says what to do about a settings file that cannot be read.
func unreadable(path string, err error) error {
	hint := "check --config, or GATECAST_CONFIG"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &usageError{
			text: fmt.Sprintf("there is no settings file %q", path),
			hint: hint + "; gatecast config sample prints one to start from",
		}
	case errors.Is(err, fs.ErrPermission):
		return &usageError{text: fmt.Sprintf("this user may not read the settings file %q", path), hint: "make it readable for the user that runs gatecast"}
	case errors.Is(err, syscall.EISDIR):
		return &usageError{text: fmt.Sprintf("the settings file %q is a directory", path), hint: hint}
	}
	return &usageError{text: fmt.Sprintf("the settings file %q cannot be read: %s", path, rootCause(err)), hint: hint}
}
