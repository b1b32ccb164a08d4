package ws

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// ServeHTTP answers GET /websocket/record/{app_key}/{timestamp}/{sign}. A
// client that may not connect is upgraded all the same, told why with code
// 20002 and closed, as the vendor does it; only overload is answered with an
// HTTP status.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.door.enter() {
		s.metrics.refused("closing")
		refuseUpgrade(w, http.StatusServiceUnavailable, "the server is stopping")
		return
	}
	defer s.door.leave()
	if !s.originAllowed(r) {
		s.metrics.refused("origin")
		refuseUpgrade(w, http.StatusForbidden, "this Origin is not in websocket.allowed_origins")
		return
	}
	app, err := s.verify(r)
	if !s.pace.allow(err == nil) {
		s.metrics.refused("rate")
		refuseUpgrade(w, http.StatusServiceUnavailable, "too many handshakes a second (websocket.handshakes_per_second)")
		return
	}
	var asked resume.Request
	if err == nil {
		asked, err = s.ask(app, r)
	}
	if err == nil {
		err = s.roster.admit(app.Key, s.limit(app))
	}
	if err == nil {
		s.accept(w, r, app, asked)
		return
	}
	s.turnAway(w, r, err)
}

// turnAway answers a client that may not connect: by an HTTP status where the
// server is what stands in its way, else by 20002.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	switch code := gatecast.CodeOf(err); {
	case errors.Is(err, errFull):
		s.metrics.refused("full")
		refuseUpgrade(w, http.StatusServiceUnavailable, "too many connections (websocket.max_connections)")
	case code == gatecast.Unavailable, code == gatecast.Internal:
		s.metrics.refused("journal")
		s.opts.Log.Warn("a client could not be let in", "from", r.RemoteAddr, "err", err)
		refuseUpgrade(w, http.StatusServiceUnavailable, "the journal cannot be read at the moment")
	case s.turned.admit("", s.opts.MaxRefused) != nil:
		s.metrics.refused("crowd")
		refuseUpgrade(w, http.StatusServiceUnavailable, "too many clients are being refused at the moment")
	default:
		s.deny(w, r, err)
	}
}

// upgrade answers the handshake of a client that has a place on a roster. The
// place is given back if that fails, even by a panic, which net/http survives.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, place *roster, key string, o wsconn.Options, first ...*wsconn.Frame) *wsconn.Conn {
	var sock *wsconn.Conn
	defer func() {
		if sock == nil {
			place.release(key)
		}
	}()
	sock, err := wsconn.Upgrade(w, r, o, first...)
	if err != nil { // the answer is sent already
		s.metrics.refused("handshake")
		return nil
	}
	return sock
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

// lastWords is how much is read of a refused client, in bytes a second: it has
// a Close frame to say, and nobody knows who it is.
const lastWords = 8 << 10

// deny sends 20002 with the reason and closes.
func (s *Server) deny(w http.ResponseWriter, r *http.Request, err error) {
	desc, reason := describe(err)
	o := s.opts.Conn
	o.MaxInbound = lastWords
	sock := s.upgrade(w, r, s.turned, "", o, wsconn.NewText(senselink.Denied(desc)))
	if sock == nil {
		return
	}
	c := &conn{sock: sock}
	s.enrol(s.turned, c)
	s.metrics.refused(reason)
	s.told.Do(func() { // one a second: strangers must not fill the log
		s.opts.Log.Info("refused a client", "path", senselink.RedactPath(r.URL.Path), "from", r.RemoteAddr, "desc", desc)
	})
	sock.Close(wsconn.StatusPolicy, "permission denied")
	s.door.with(func() {
		defer s.turned.remove(c)
		_ = sock.Serve(ignorer{})
	})
}

// describe returns what a refused client is told, and the word that metrics
// count it under.
func describe(err error) (desc, reason string) {
	var refusal *senselink.Refusal
	if errors.As(err, &refusal) {
		return refusal.Desc, string(refusal.Reason)
	}
	if e, ok := errors.AsType[*gatecast.Error](err); ok && e.Remedy != "" {
		return e.Message + "; " + e.Remedy, e.Code.String()
	}
	return err.Error(), gatecast.CodeOf(err).String()
}

// accept sends 20000 and hands the connection to a shard. The position is
// taken before, so that whatever is accepted after the client has read 20000
// reaches it. 20000 goes with the answer to the handshake, so that no answer to
// what the client says can come first or be in its way.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, app *gatecast.App, asked resume.Request) {
	now := s.opts.Now()
	c := s.newConn(app, asked, r.RemoteAddr, now)
	if err := s.enter(r.Context(), c, app); err != nil {
		s.roster.release(app.Key)
		s.turnAway(w, r, err)
		return
	}
	var first []*wsconn.Frame
	if action, _ := c.session.Next(now); action == senselink.SendConnected {
		first = s.connected
	}
	if c.sock = s.upgrade(w, r, s.roster, app.Key, s.opts.Conn, first...); c.sock == nil {
		return
	}
	s.metrics.opened.Inc()
	c.shard.post(note{conn: c, what: joined})
	s.enrol(s.roster, c)
	s.recheck(c)
	s.door.with(func() {
		err := c.sock.Serve(c)
		s.ended(c, err)
		c.shard.post(note{conn: c, what: left}) // first: who finds nobody connected may end the shards
		s.roster.remove(c)
	})
}

func (s *Server) newConn(app *gatecast.App, asked resume.Request, remote string, now time.Time) *conn {
	c := &conn{
		who:     identity{app: app.Key, asked: asked, remote: remote, connected: now, born: s.ring.Head()},
		shard:   s.shards[int(s.next.Add(1)%uint32(len(s.shards)))],
		wanted:  newView(app.Filter(), asked.Filter, asked.Seq),
		session: senselink.NewSession(now, s.opts.session()),
		seat:    seat{index: -1, beat: -1},
	}
	c.view = c.wanted
	c.receipt.consumer, c.receipt.keeps = consumer(app, &asked, remote)
	c.receipt.window = app.CatchUp.WithDefaults().Window
	if asked.Ack {
		c.receipt.acks = newAcks(asked.InFlight)
	}
	return c
}

// ended takes note of how a connection ended.
func (s *Server) ended(c *conn, err error) {
	s.metrics.closed(err)
	if errors.Is(err, wsconn.ErrStalled) {
		s.metrics.cut("stalled")
		s.opts.Log.Info("cut a client that took no byte for websocket.stall_timeout", "app", c.who.app, "from", c.who.remote)
	}
}

// enrol lists a connection, unless the server ended just before it could be
// found on the list and aborted with the others.
func (s *Server) enrol(list *roster, c *conn) {
	list.add(c)
	if s.door.ended() {
		c.sock.Abort()
	}
}

// recheck heeds what happened between the handshake and the connection's place
// on the roster, where whoever changed its app or stopped the server did not
// find it.
func (s *Server) recheck(c *conn) {
	if s.door.closed() {
		c.sock.Close(wsconn.StatusRestart, restartReason) // the shard may have ended
	}
	s.heed(c.who.app, c)
}

// ignorer reads a refused client to its end.
type ignorer struct{}

func (ignorer) Message(bool, []byte) {}
func (ignorer) Pong([]byte)          {}
func (ignorer) Drained()             {}
