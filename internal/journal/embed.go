package journal

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// maxPayload of the embedded server: one event with its headers.
const maxPayload = 8 << 20

// maxStore is what JetStream may promise in all: more than any disk holds, and
// the same at every start, so that a stream whose limit is about to be lowered
// can still be opened. The stream's own limit, and the disk watermark, are what
// bounds the space.
const maxStore = 1 << 60

// startServer runs JetStream in this process, reachable by nobody else.
func startServer(ctx context.Context, o Options) (*server.Server, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "jetstream"))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "gatecast", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, MaxPayload: maxPayload,
		JetStreamMaxStore:  maxStore,
		JetStreamMaxMemory: 64 << 20,
		SyncAlways:         o.Sync == SyncAlways, SyncInterval: o.SyncEvery,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("configure the embedded JetStream: %w", err)
	}
	srv.SetLoggerV2(natsLog{o.Log.With("component", "nats")}, false, false, false)
	srv.Start()
	if err := awaitServer(ctx, srv); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, err
	}
	return srv, nil
}

func awaitServer(ctx context.Context, srv *server.Server) error {
	for !srv.ReadyForConnections(100 * time.Millisecond) {
		if ctx.Err() != nil || !srv.Running() {
			return gatecast.Errorf(gatecast.Unavailable, "the embedded JetStream did not start; see the log")
		}
	}
	if !srv.JetStreamEnabled() {
		return gatecast.Errorf(gatecast.Unavailable, "the embedded JetStream is disabled; see the log for the reason (disk, permissions)")
	}
	return nil
}

// dialEmbedded connects in process; no socket is opened.
func dialEmbedded(srv *server.Server, log *slog.Logger) (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.Name("gatecast"), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.ErrorHandler(asyncErrors(log)))
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded JetStream: %w", err)
	}
	return nc, nil
}

// dialCluster connects to external servers and never gives up on them.
func dialCluster(o Options) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("gatecast"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(asyncErrors(o.Log)), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { o.Log.Warn("connection to NATS lost", "err", err) }),
		nats.ReconnectHandler(func(c *nats.Conn) { o.Log.Info("connection to NATS restored", "server", c.ConnectedUrlRedacted()) }),
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

// asyncErrors logs what the client can tell nobody else.
func asyncErrors(log *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS client", "err", err) }
}

// natsLog hands the server's messages to slog. Fatalf only logs: the server
// must not end our process.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l natsLog) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l natsLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l natsLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l natsLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
