package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
	"github.com/gatecast/gatecast/internal/resume"
)

func listenCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "listen",
		Usage: "Connect as an app and print what it receives",
		Description: `Each event is a line; with --json each line is the message as the server pushed
it. The connection is made anew whenever it breaks, and standard error says so.
It counts as one of the app's connections.

With --since, --name or --cursor nothing is missed: an event counts as received
when it has been printed, and what came meanwhile follows, also when listen is
started anew with the same --name or --cursor. What is lost is told on standard
error. The server must be a gatecast that can do this.`,
		Flags: remoteFlags(
			appFlag(),
			secretFlag(),
			&cli.StringSliceFlag{Name: "kind", Usage: "print only record or alarm"},
			&cli.StringSliceFlag{Name: "device", Usage: "print only events of this `LDID`; may be repeated"},
			&cli.IntFlag{Name: "count", Usage: "end after so many events; 0 goes on until interrupted"},
			&cli.StringFlag{Name: "since", Usage: "begin at `PLACE`: latest, earliest, the seq of a position, or a time by RFC 3339"},
			&cli.StringFlag{Name: "name", Usage: "go on where `NAME` was; the server keeps the place"},
			&cli.StringFlag{Name: "cursor", Usage: "go on where `FILE` says, and keep the place there; --since counts if there is none"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			kinds, err := kindCodes(c)
			if err != nil {
				return err
			}
			sub, resumes, err := subscription(c)
			if err != nil {
				return err
			}
			cred, base, err := credentials(ctx, c)
			if err != nil {
				return err
			}
			sub.Filter = gatecast.Filter{Kinds: kinds, Devices: c.StringSlice("device")}
			l := newListener(t, c.Int("count"), c.Bool("json"))
			if resumes {
				return l.subscribe(ctx, base, cred, sub)
			}
			return l.events(ctx, base, cred, sub.Filter)
		},
	}
}

// subscription is what the flags say about resuming; resumes is false if they
// say nothing.
func subscription(c *cli.Command) (s client.Subscription, resumes bool, err error) {
	since, name, cursor := c.String("since"), c.String("name"), c.String("cursor")
	for _, flag := range []string{"since", "name", "cursor"} {
		if c.IsSet(flag) && c.String(flag) == "" {
			return s, false, usage(c, "--%s is empty", flag)
		}
		resumes = resumes || c.IsSet(flag)
	}
	switch {
	case name != "" && cursor != "":
		return s, false, usage(c, "--name lets the server keep the place and --cursor a file; choose one")
	case name != "" && since != "":
		return s, false, usage(c, "--since does not go with --name: the server knows where %q was", name)
	case name != "" && !resume.ValidClient(name):
		return s, false, usage(c, "--name %q is not 1 to %d letters, digits, '.', '_' or '-'", name, resume.MaxClient)
	}
	if since != "" {
		if s.Since, err = client.ParseStart(since); err != nil {
			return s, false, usage(c, "--since %q is neither latest nor earliest, a position, or a time such as 2026-11-24T09:00:00Z", since)
		}
	}
	if cursor != "" {
		if err := cursorPlace(cursor); err != nil {
			return s, false, err
		}
		s.Cursor = client.FileCursor(cursor)
	}
	s.Name = name
	return s, resumes, nil
}

// cursorPlace makes sure that a cursor can be kept in a file, before anything is
// printed that it would be needed for.
func cursorPlace(path string) error {
	failed := func(text string, cause error) error {
		e := gatecast.Errorf(gatecast.Conflict, "--cursor %q cannot be kept: %s", path, text)
		e.Remedy, e.Cause = "name a file in a directory that this user may write to", cause
		return e
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return failed("this is a directory", nil)
	}
	// It is replaced as a whole when it is saved.
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	switch {
	case errors.Is(err, os.ErrNotExist):
		e := gatecast.Errorf(gatecast.NotFound, "--cursor %q cannot be kept: there is no directory %q", path, filepath.Dir(path))
		e.Remedy = "make it, or name another file"
		return e
	case err != nil:
		return failed(rootCause(err), err)
	}
	if err := errors.Join(temp.Close(), os.Remove(temp.Name())); err != nil {
		return failed(rootCause(err), err)
	}
	return nil
}

// listener prints what an app receives, until it has printed enough or the
// context ends, which is no error.
type listener struct {
	err   io.Writer
	write func(*client.Event) error
	left  int // events still wanted; below 1 there is no end
}

func newListener(t terminal, count int, raw bool) *listener {
	l := &listener{err: t.err, write: newLines(t.out).write, left: count}
	if raw {
		l.write = func(e *client.Event) error { return writeRaw(t.out, e) }
	}
	return l
}

func (l *listener) client(base string, cred keyAndSecret) (*client.Client, error) {
	return client.New(client.Options{
		URL: base, AppKey: cred.Key, AppSecret: cred.Secret,
		OnState: func(s client.State) { tellState(l.err, base, cred.Key, s) },
	})
}

// events prints what f lets through of what happens while it is connected.
func (l *listener) events(ctx context.Context, base string, cred keyAndSecret, f gatecast.Filter) error {
	cl, err := l.client(base, cred)
	if err != nil {
		return err
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
		if last, err := l.show(&e); last || err != nil {
			return err
		}
	}
	return nil
}

// subscribe prints what s delivers. It ends the context rather than leave the
// loop when it has enough: so it hears of a cursor that could not be saved.
func (l *listener) subscribe(ctx context.Context, base string, cred keyAndSecret, s client.Subscription) error {
	cl, err := l.client(base, cred)
	if err != nil {
		return err
	}
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	for d, err := range cl.Subscribe(ctx, s) {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.Gap != nil {
			tellGap(l.err, d.Gap)
			d.Ack()
			continue
		}
		last, err := l.show(&d.Event)
		if err != nil {
			return err
		}
		d.Ack()
		if last {
			enough()
		}
	}
	return nil
}

// show prints one event; last says that no more are wanted.
func (l *listener) show(e *client.Event) (last bool, err error) {
	if err := l.write(e); err != nil {
		return false, fmt.Errorf("print event: %w", err)
	}
	l.left--
	return l.left == 0, nil
}

// tellGap says on standard error what is lost.
func tellGap(w io.Writer, g *gatecast.GapNotice) {
	switch g.Reason {
	case gatecast.GapEpoch, gatecast.GapAhead:
		fmt.Fprintf(w, "gap: this is not the journal of before, which was read up to %d; it begins after %d\n", g.From, g.To)
	case gatecast.GapWindow:
		fmt.Fprintf(w, "gap: what came after %d up to %d is older than the app's catch-up window\n", g.From, g.To)
	case gatecast.GapRetention:
		fmt.Fprintf(w, "gap: what came after %d up to %d is no longer in the journal\n", g.From, g.To)
	default:
		fmt.Fprintf(w, "gap: what came after %d up to %d is lost (%s)\n", g.From, g.To, clean(string(g.Reason)))
	}
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
