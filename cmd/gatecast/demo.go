package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/app"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/source/sim"
)

const (
	demoApp     = "demo"
	demoAddress = "127.0.0.1:9000"
)

func demoCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "Run a server with a simulated site and show its events",
		Description: `Starts a server for this machine alone, with a dozen devices, some hundred invented
people and a working day every few minutes, and connects to it as an app. Its data
is thrown away at the end, unless --data says where to keep it.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: demoAddress, Usage: "`ADDRESS` of this machine alone to listen on"},
			&cli.IntFlag{Name: "port", Usage: "listen on this port of 127.0.0.1"},
			&cli.StringFlag{Name: "data", Usage: "keep the data in `DIR`", HideDefault: true},
			&cli.Int64Flag{Name: "seed", Value: 1, Usage: "another seed makes other people and other days"},
			&cli.FloatFlag{Name: "rate", Value: 3, Usage: "events per second, on average over a day"},
			&cli.IntFlag{Name: "count", Usage: "end after so many events; 0 goes on until interrupted"},
		},
		Action: func(ctx context.Context, c *cli.Command) error { return demo(ctx, t, c) },
	}
}

func demo(ctx context.Context, t terminal, c *cli.Command) error {
	if err := arguments(c, 0, 0); err != nil {
		return err
	}
	if rate := c.Float("rate"); !(rate > 0 && rate <= 1000) {
		return usage(c, "--rate %v is not between 0 and 1000", rate)
	}
	address, err := demoListen(t, c)
	if err != nil {
		return err
	}
	// A reader that has seen enough, such as head, must not end the process
	// before the data is gone: the write fails instead.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	data := c.String("data")
	if data == "" {
		if data, err = os.MkdirTemp("", "gatecast-demo-"); err != nil {
			return fmt.Errorf("make a data directory: %w", err)
		}
		defer func() { _ = os.RemoveAll(data) }() // in the system's temporary directory: it will go some day
	}
	cfg := config.Default()
	cfg.Server.Listen, cfg.Server.Data, cfg.Server.DrainSpread = address, data, 0
	cfg.Log.Level = "warn"
	cfg.Hooks.Allow = []string{"127.0.0.0/8", "::1/128"} // a receiver to try it with runs beside it
	err = runDemo(ctx, t, cfg, &sim.Options{Seed: c.Int64("seed"), Rate: c.Float("rate")}, c.Int("count"))
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return explainListen(address, err)
}

// demoListen chooses the address: the one asked for, or the usual one unless
// somebody has it.
func demoListen(t terminal, c *cli.Command) (string, error) {
	if c.IsSet("port") {
		if port := c.Int("port"); port < 0 || port > 65535 {
			return "", usage(c, "--port %d is not a port", port)
		}
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Int("port"))), nil
	}
	if c.IsSet("listen") {
		return c.String("listen"), loopbackOnly(c)
	}
	l, err := net.Listen("tcp", demoAddress)
	if errors.Is(err, syscall.EADDRINUSE) {
		fmt.Fprintf(t.err, "The address %s is taken (another gatecast?), so this demo uses a free port.\n", demoAddress)
		return "127.0.0.1:0", nil
	}
	if err != nil {
		return "", explainListen(demoAddress, err)
	}
	return demoAddress, l.Close()
}

// loopbackOnly refuses an address that others can reach: the demo prints its
// administrator's token, and its events are invented.
func loopbackOnly(c *cli.Command) error {
	address := c.String("listen")
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usage(c, "--listen %q is not an address such as %s", address, demoAddress)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &usageError{
		text: fmt.Sprintf("--listen %q can be reached from other machines, and the demo is for this one alone", address),
		hint: "use --port, or an address such as " + demoAddress + "; a server for others is: gatecast serve",
	}
}

// runDemo runs the server and, beside it, a client that shows its events.
// Whichever ends first ends the other.
func runDemo(ctx context.Context, t terminal, cfg config.Config, site *sim.Options, count int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan app.Info, 1)
	served := make(chan error, 1)
	go func() {
		served <- app.Run(ctx, cfg, app.Options{
			Version: version(), Log: newLog(t.err, cfg.Log), Simulate: site,
			Ready: func(info app.Info) { ready <- info },
		})
		stop()
	}()
	var shown error
	select {
	case info := <-ready:
		shown = showDemo(ctx, t, info, count)
	case <-ctx.Done():
	}
	interrupted := ctx.Err() != nil
	stop()
	if err := <-served; err != nil || interrupted {
		return err
	}
	return shown
}

// showDemo says how to take part and then prints events.
func showDemo(ctx context.Context, t terminal, info app.Info, count int) error {
	cred, err := demoCredentials(ctx, newAPI(info.URL, info.AdminToken))
	if err != nil {
		return err
	}
	if err := invite(t, info, cred); err != nil {
		return err
	}
	l := newListener(terminal{out: t.out, err: io.Discard}, count, false)
	return l.events(ctx, info.URL, cred, gatecast.Filter{})
}

// demoCredentials finds the demo's app in a data directory that was kept, or
// makes it.
func demoCredentials(ctx context.Context, a *api) (keyAndSecret, error) {
	var k keyAndSecret
	var all struct {
		Apps []appView `json:"apps"`
	}
	if _, err := a.call(ctx, http.MethodGet, appsPath, nil, &all); err != nil {
		return k, err
	}
	for _, found := range all.Apps {
		if found.Name == demoApp {
			_, err := a.call(ctx, http.MethodGet, appPath(found.Key, "secret"), nil, &k)
			return k, err
		}
	}
	_, err := a.call(ctx, http.MethodPost, appsPath, appSpec{Name: demoApp, Window: gatecast.WindowOff.String()}, &k)
	return k, err
}
