package ws

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// ServeHTTP answers GET /websocket/record/{app_key}/{timestamp}/{sign}. A
// client that may not connect is upgraded all the same, told why with code
// 20002 and closed, as the vendor does it; only overload is answered with an
// HTTP status, before any work is done.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.closing.Load():
		s.metrics.refused("closing")
		refuseUpgrade(w, http.StatusServiceUnavailable, "the server is stopping")
		return
	case !s.originAllowed(r):
		s.metrics.refused("origin")
		refuseUpgrade(w, http.StatusForbidden, "this Origin is not in websocket.allowed_origins")
		return
	case !s.pace.Allow():
		s.metrics.refused("rate")
		refuseUpgrade(w, http.StatusServiceUnavailable, "too many handshakes a second (websocket.handshakes_per_second)")
		return
	}
	app, err := s.verify(r)
	var key string
	if err == nil {
		key = app.Key
		err = s.roster.admit(key, s.limit(app))
	}
	if errors.Is(err, errFull) {
		s.metrics.refused("full")
		refuseUpgrade(w, http.StatusServiceUnavailable, "too many connections (websocket.max_connections)")
		return
	}
	sock, upgradeErr := wsconn.Upgrade(w, r, s.opts.Conn)
	if upgradeErr != nil { // the answer is sent already
		s.metrics.refused("handshake")
		if err == nil {
			s.roster.release(key)
		}
		return
	}
	if err != nil {
		s.deny(sock, r, err)
		return
	}
	s.welcome(sock, app)
}

// verify returns the app that signed the request's path.
func (s *Server) verify(r *http.Request) (*gatecast.App, error) {
	creds, err := senselink.ParsePath(r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	app, ok := s.apps.App(creds.AppKey)
	if !ok {
		app = nil
	}
	return app, senselink.Verify(creds, app, s.opts.Now())
}

func (s *Server) limit(app *gatecast.App) int {
	if app.MaxConns > 0 {
		return app.MaxConns
	}
	return s.opts.MaxPerApp
}

// originAllowed holds browsers to the configured origins: a WebSocket
// handshake is a GET that the same-origin policy lets through. Clients that
// are no browsers send no Origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || len(s.opts.Origins) == 0 ||
		slices.ContainsFunc(s.opts.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

// deny sends 20002 with the reason and closes.
func (s *Server) deny(sock *wsconn.Conn, r *http.Request, err error) {
	desc, reason := describe(err)
	s.metrics.refused(reason)
	s.opts.Log.Info("refused a client", "path", senselink.RedactPath(r.URL.Path), "from", r.RemoteAddr, "desc", desc)
	_, _ = sock.Push([]*wsconn.Frame{wsconn.NewText(senselink.Denied(desc))}) // it is closed next, whatever comes of it
	sock.Close(wsconn.StatusPolicy, "permission denied")
	s.reading.Go(func() { _ = sock.Serve(ignorer{}) })
}

// describe returns what a refused client is told, and the word that metrics
// count it under.
func describe(err error) (desc, reason string) {
	var refusal *senselink.Refusal
	if errors.As(err, &refusal) {
		return refusal.Desc, string(refusal.Reason)
	}
	return err.Error(), gatecast.CodeOf(err).String()
}

// welcome sends 20000 and hands the connection to a shard. The position is
// taken before, so that whatever is accepted after the client has read 20000
// reaches it.
func (s *Server) welcome(sock *wsconn.Conn, app *gatecast.App) {
	c := &conn{
		sock:  sock,
		app:   app.Key,
		shard: s.shards[int(s.next.Add(1))%len(s.shards)],
		view:  viewOf(app.Filter()),
		pos:   s.ring.Head(),
		index: -1,
		beat:  -1,
	}
	s.roster.add(c)
	s.recheck(c)
	s.metrics.opened.Inc()
	c.shard.post(note{c, joined})
	s.reading.Go(func() {
		err := sock.Serve(c)
		s.metrics.closed(err)
		s.roster.remove(c)
		c.shard.post(note{c, left})
	})
}

// recheck closes a connection that lost its right between the handshake and
// its place on the roster, where whoever took the right away would have found it.
func (s *Server) recheck(c *conn) {
	if s.closing.Load() {
		c.sock.Close(wsconn.StatusRestart, "service restart")
	}
	if app, ok := s.apps.App(c.app); !ok || !app.Enabled {
		c.sock.Close(wsconn.StatusPolicy, "app disabled")
	}
}

// ignorer reads a refused client to its end.
type ignorer struct{}

func (ignorer) Message(bool, []byte) {}
func (ignorer) Pong([]byte)          {}
func (ignorer) Drained()             {}
