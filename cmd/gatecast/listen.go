package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

func listenCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "listen",
		Usage: "Connect as an app and print what it receives",
		Description: `Each event is a line; with --json each line is the message as the server pushed
it. The connection is made anew whenever it breaks, and standard error says so.
It counts as one of the app's connections.`,
		Flags: remoteFlags(
			appFlag(),
			secretFlag(),
			&cli.StringSliceFlag{Name: "kind", Usage: "print only record or alarm"},
			&cli.StringSliceFlag{Name: "device", Usage: "print only events of this `LDID`; may be repeated"},
			&cli.IntFlag{Name: "count", Usage: "end after so many events; 0 goes on until interrupted"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			kinds, err := kindCodes(c)
			if err != nil {
				return err
			}
			cred, base, err := credentials(ctx, c)
			if err != nil {
				return err
			}
			f := gatecast.Filter{Kinds: kinds, Devices: c.StringSlice("device")}
			return listen(ctx, t, base, cred, f, c.Int("count"), c.Bool("json"))
		},
	}
}

// listen prints the events that f lets through, count of them or until ctx
// ends, which is no error: there is no other end.
func listen(ctx context.Context, t terminal, base string, cred keyAndSecret, f gatecast.Filter, count int, raw bool) error {
	cl, err := client.New(client.Options{
		URL: base, AppKey: cred.Key, AppSecret: cred.Secret,
		OnState: func(s client.State) { tellState(t.err, base, cred.Key, s) },
	})
	if err != nil {
		return err
	}
	write := newLines(t.out).write
	if raw {
		write = func(e *client.Event) error { return writeRaw(t.out, e) }
	}
	for e, err := range cl.Events(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if !f.Match(&e.Event) {
			continue
		}
		if err := write(&e); err != nil {
			return fmt.Errorf("print event: %w", err)
		}
		if count--; count == 0 {
			return nil
		}
	}
	return nil
}

// tellState says on standard error what became of the connection.
func tellState(w io.Writer, base, key string, s client.State) {
	switch {
	case s.Connected:
		fmt.Fprintf(w, "connected to %s as %s\n", base, key)
	case s.Err != nil && s.Retry > 0 && !errors.Is(s.Err, context.Canceled):
		fmt.Fprintf(w, "no connection: %v; trying again in %v\n", s.Err, s.Retry.Round(10*time.Millisecond))
	}
}

// writeRaw writes the message in one line, whatever white space its sender
// left in it.
func writeRaw(w io.Writer, e *client.Event) error {
	var b bytes.Buffer
	if err := json.Compact(&b, e.Raw); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
