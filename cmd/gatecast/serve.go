package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/app"
	"github.com/gatecast/gatecast/internal/config"
)

func serveCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "Run the server",
		Description: `Without any setting it listens on port 9000 and keeps its data in ./gatecast-data,
where it leaves the administrator's token in admin.token. An interrupt or SIGTERM
stops it gently: what was accepted is pushed, then every socket is closed.`,
		Flags: settingFlags(&cli.StringFlag{
			Name: "ready-file", Usage: "write the server's URL to `FILE` once it answers",
		}),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			cfg, _, err := loadConfig(c)
			if err != nil {
				return err
			}
			log := newLog(t.err, cfg.Log)
			for _, w := range cfg.Warnings() {
				log.Warn(w)
			}
			err = app.Run(ctx, cfg, app.Options{
				Version: version(), Log: log,
				Ready: func(info app.Info) { announce(log, c.String("ready-file"), info) },
			})
			return explainListen(cfg.Server.Listen, err)
		},
	}
}

// announce leaves the server's address where --ready-file says. The file
// appears whole or not at all, so that a reader never sees half of it.
func announce(log *slog.Logger, path string, info app.Info) {
	if path == "" {
		return
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := os.WriteFile(temp, []byte(info.URL+"\n"), 0o644)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		log.Error("could not write the ready file", "error", err)
	}
}

// newLog is a log as the settings want it.
func newLog(w io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(cfg.Level)) != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" || cfg.Format == "auto" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// explainListen tells what to do about an address that cannot be listened on.
func explainListen(address string, err error) error {
	var e *gatecast.Error
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e = gatecast.Errorf(gatecast.Conflict, "the address %s is taken", address)
		e.Remedy = "is another gatecast running? stop it, or choose another address with --listen"
	case errors.Is(err, syscall.EACCES) && isListen(err):
		e = gatecast.Errorf(gatecast.Conflict, "this user may not listen on %s", address)
		e.Remedy = "choose a port above 1023 with --listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e = gatecast.Errorf(gatecast.Conflict, "this machine has no address %s", address)
		e.Remedy = "choose one it has with --listen, or leave the host out: --listen :9000"
	default:
		return err
	}
	e.Cause = err
	return e
}

func isListen(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
