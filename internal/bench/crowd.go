package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
	"github.com/gatecast/gatecast/internal/bench/swarm"
	"github.com/gatecast/gatecast/senselink"
)

// patience is how long anything may take that should take seconds.
const patience = 2 * time.Minute

// crowd is clients that are connected, and what they have got.
type crowd struct {
	*audience
	swarm *swarm.Swarm
}

// wish is how clients connect.
type wish struct {
	apps    []subject.App // client i uses the one at i modulo their number
	query   string        // behind the path, such as "since=earliest"
	named   bool          // each client has a name, and so a cursor of its own
	deflate bool
	dialing int // see swarm.Options
}

// gather connects a crowd and waits until all of it is open.
func (l *lab) gather(ctx context.Context, s *subject.Server, a *audience, w wish) (*crowd, error) {
	o := swarm.Options{Head: load.HeadSize, Dialing: w.dialing}
	if w.deflate {
		o.Head = deflatedHead
	}
	o.TLS = s.TLS()
	return l.connect(ctx, s.Host(), a, o, func(client int) []byte { return upgrade(s, w, client) })
}

func (l *lab) connect(ctx context.Context, host string, a *audience, o swarm.Options, request func(int) []byte) (*crowd, error) {
	n := len(a.next)
	sw, err := swarm.New(a, o)
	if err != nil {
		return nil, err
	}
	l.later(sw.Close)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.tell("connecting %s clients", thousands(int64(n)))
	stop := l.watch(func() string {
		return fmt.Sprintf("%s of %s clients connected", thousands(a.open.Load()), thousands(int64(n)))
	})
	defer stop()
	if err := sw.Connect(ctx, host, n, request); err != nil {
		return nil, notAll(sw, n, err)
	}
	return &crowd{a, sw}, nil
}

// notAll says how far clients have got, and what held them up.
func notAll(sw *swarm.Swarm, n int, err error) error {
	st := sw.Stats()
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("connect %s clients: %w", thousands(int64(n)), err)
	}
	e := gatecast.Errorf(gatecast.Unavailable, "after %v only %s of %s clients are connected; the others were told %s times to come back",
		patience, thousands(st.Open), thousands(int64(n)), thousands(st.Retries))
	e.Remedy = "measure with fewer --clients, or raise websocket.max_connections or websocket.handshakes_per_second of the server"
	return e
}

// watch tells once a second how far something is, until it is stopped.
func (l *lab) watch(how func() string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.tell("%s", how())
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// upgrade is a client's request: signed anew each time, as the protocol wants.
func upgrade(s *subject.Server, w wish, client int) []byte {
	app := w.apps[client%len(w.apps)]
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	path := senselink.Path(senselink.Credentials{AppKey: app.Key, Timestamp: now, Sign: senselink.Sign(now, app.Secret)})
	switch {
	case w.named:
		path += "?client=bench-" + strconv.Itoa(client)
	case w.query != "":
		path += "?" + w.query
	}
	head := "GET " + path + " HTTP/1.1\r\nHost: " + s.Host() +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + bareKey
	if w.deflate {
		head += "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	}
	return []byte(head + "\r\n\r\n")
}

// bareKey is what the key of every client is. It is there to tell WebSocket
// servers from others (RFC 6455, section 1.3), which is known here.
const bareKey = "dGhlIHNhbXBsZSBub25jZQ=="

// createApps makes apps for so many clients. An app is let have as many as it
// needs, so that the server's default for the others does not matter.
func createApps(ctx context.Context, s *subject.Server, apps, clients int) ([]subject.App, error) {
	var made []subject.App
	for i := range apps {
		a, err := s.CreateApp(ctx, fmt.Sprintf("bench %s %d", rand.Text()[:8], i), (clients+apps-1)/apps)
		if err != nil {
			return nil, fmt.Errorf("create an app: %w", err)
		}
		made = append(made, a)
	}
	return made, nil
}
