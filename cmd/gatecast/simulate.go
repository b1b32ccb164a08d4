package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast/client"
	"github.com/gatecast/gatecast/internal/source/sim"
	"github.com/gatecast/gatecast/internal/standin"
)

const simulateAddress = "127.0.0.1:9100"

func simulateCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "simulate",
		Usage: "Play another system, for tests",
		Commands: []*cli.Command{{
			Name:  "senselink",
			Usage: "Play a SenseLink server: WebSocket push, event subscription, and lists over REST",
			Description: `Its events are those of the demo's invented site. It keeps no events for who is
away, ends a subscription after the first failure, and can be told to misbehave:

` + modeHelp() + `
A mode may have details, separated by commas, such as stall,for=30s or
rubbish,n=3. While it runs, modes begin and end over HTTP (see docs/cli.md).`,
			Flags:  simulateFlags(),
			Action: func(ctx context.Context, c *cli.Command) error { return simulate(ctx, t, c) },
		}},
	}
}

// modeHelp lists the ways to misbehave, several a line.
func modeHelp() string {
	var b strings.Builder
	for i, mode := range standin.Modes() {
		sep := ", "
		if i%8 == 0 {
			sep = "   "
		}
		b.WriteString(sep + string(mode))
		if i%8 == 7 {
			b.WriteString(",\n")
		}
	}
	return b.String() + "\n"
}

func simulateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "listen", Value: simulateAddress, Usage: "`ADDRESS` to listen on; its levers are for everybody who can reach it"},
		&cli.FloatFlag{Name: "rate", Value: 3, Usage: "events per second, on average over a day; 0: none but those that are sent in"},
		&cli.Int64Flag{Name: "seed", Value: 1, Usage: "another seed makes other people and other days"},
		&cli.StringFlag{Name: "app-key", Usage: "`KEY` of its one app; default is a random one", HideDefault: true},
		&cli.StringFlag{Name: "app-secret", Usage: "what that app signs with; default is a random one", HideDefault: true},
		&cli.Int64Flag{Name: "first", Usage: "`NUMBER` of the first record and of the first alarm; default is one that no earlier run has used", HideDefault: true},
		&cli.Int64Flag{Name: "company", Usage: "companyId of the events; 0: none"},
		&cli.StringFlag{Name: "subscribe", Usage: "post the events to `URL`, as the event subscription does"},
		&cli.StringSliceFlag{Name: "misbehave", Usage: "`MODE` to begin with, perhaps with details; may be repeated"},
		&cli.DurationFlag{Name: "for", Usage: "end after so long; 0 goes on until interrupted"},
	}
}

func simulate(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 0, 0); err != nil {
		return err
	}
	if rate := c.Float("rate"); !(rate >= 0 && rate <= 1000) {
		return usage(c, "--rate %v is not between 0 and 1000", rate)
	}
	if c.Duration("for") < 0 || c.IsSet("first") && c.Int64("first") < 1 || c.Int64("company") < 0 {
		return usage(c, "--for, --first and --company take no negative numbers, and --first no 0")
	}
	s, err := newStandin(t, c)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return explainListen(c.String("listen"), err)
	}
	if err := introduce(t.out, s, "http://"+l.Addr().String(), c.String("subscribe") != ""); err != nil {
		_ = l.Close()
		return err
	}
	if d := c.Duration("for"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return runStandin(ctx, t, s, l, c)
}

// newStandin makes the server as the flags want it.
func newStandin(t terminal, c *cli.Command) (*standin.Server, error) {
	zone := time.FixedZone("JST", 9*60*60) // where the invented site stands
	if c.IsSet("app-key") && c.String("app-key") == "" || c.IsSet("app-secret") && c.String("app-secret") == "" {
		return nil, usage(c, "--app-key and --app-secret must not be empty")
	}
	s := standin.New(standin.Options{
		AppKey: c.String("app-key"), AppSecret: c.String("app-secret"),
		Company: c.Int64("company"), Zone: zone, Numbers: standin.Numbers{First: firstNumber(c)},
		Log: slog.New(slog.NewTextHandler(t.err, nil)),
	})
	for _, text := range c.StringSlice("misbehave") {
		m, err := standin.ParseMisbehaviour(text)
		if err == nil {
			err = s.Misbehave(m)
		}
		if err != nil {
			s.Close()
			return nil, usage(c, "--misbehave %q: %v", text, err)
		}
	}
	if err := s.Subscribe(c.String("subscribe")); err != nil {
		s.Close()
		return nil, usage(c, "--subscribe: %v", err)
	}
	return s, nil
}

// firstNumber is where numbers begin. A client that knows events by their
// numbers would take those of a later run for ones that it has, so they begin
// where numbersPerSecond since 1970 would have led, within 31 bits.
func firstNumber(c *cli.Command) int64 {
	const numbersPerSecond, span = 32, 1 << 30
	if c.IsSet("first") {
		return c.Int64("first")
	}
	return max(time.Now().Unix(), 0)*numbersPerSecond%span + 1
}

// runStandin serves s, feeds it, and tells once a minute how it goes, until ctx
// ends, which is no error, or something fails.
func runStandin(ctx context.Context, t terminal, s *standin.Server, l net.Listener, c *cli.Command) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	var busy sync.WaitGroup
	busy.Go(func() { stop(srv.Serve(l)) })
	if rate := c.Float("rate"); rate > 0 {
		site := sim.New(sim.Options{Seed: c.Int64("seed"), Rate: rate})
		busy.Go(func() {
			if err := s.Feed(ctx, site.Next); err != nil {
				stop(err)
			}
		})
	}
	tellStatus(ctx, t.out, s)
	why := context.Cause(ctx)
	s.Close()
	_ = srv.Close() // its listener is of no use any more
	busy.Wait()
	if errors.Is(why, context.Canceled) || errors.Is(why, context.DeadlineExceeded) {
		return nil
	}
	return why
}

// tellStatus tells once a minute how it goes, and when ctx ends.
func tellStatus(ctx context.Context, w io.Writer, s *standin.Server) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		fmt.Fprintln(w, statusLine(s.Status()))
		if ctx.Err() != nil {
			return
		}
	}
}

// statusLine says in a line how it goes.
func statusLine(st standin.Status) string {
	text := fmt.Sprintf("%s  %d events, %d connected", time.Now().Format("15:04:05"), st.Events, st.Connections)
	if sub := st.Subscription; sub.URL != "" {
		text += fmt.Sprintf(", %d posted (%s", sub.Posted, sub.State)
		if sub.Reason != "" {
			text += ": " + clean(sub.Reason)
		}
		text += ")"
	}
	sep := "; misbehaving: "
	for _, mode := range st.Misbehaving {
		text += sep + string(mode)
		sep = ", "
	}
	return text
}

// introduce says how to connect: each line can be pasted as it stands.
func introduce(w io.Writer, s *standin.Server, base string, posts bool) error {
	address, err := client.SignedURL(base, s.AppKey(), s.AppSecret(), time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `a stand-in for a SenseLink server on %[1]s

app key     %[2]s
app secret  %[3]s
time zone   Asia/Tokyo

WebSocket (this URL is good for half an hour):
  %[4]s

Its levers:
  curl -sS %[1]s/standin/misbehave -H 'Content-Type: application/json' -d '{"mode":"stall","for":"30s"}'
  curl -sS %[1]s/standin/behave -H 'Content-Type: application/json' -d '{}'
  curl -sS %[1]s/standin/status
  curl -sS %[1]s/standin/events

`, base, s.AppKey(), s.AppSecret(), address)
	if err == nil && posts {
		_, err = fmt.Fprintln(w, "Events are posted to the subscriber until it fails once.")
	}
	return err
}
