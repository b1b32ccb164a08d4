package standin

import (
	"errors"
	"net/http"
	"time"

	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// maxWaiting is how many messages may wait for a client that reads slowly.
// Beyond it the client is cut, for the vendor's server keeps nothing for it.
const maxWaiting = 1024

// socket is one client of the WebSocket push.
type socket struct {
	conn    *wsconn.Conn
	gate    *gate
	queue   chan *wsconn.Frame // up to maxWaiting
	drained chan struct{}      // holds a token when the connection may take more
	over    chan struct{}      // closed when the connection has ended
	full    chan struct{}      // closed when queue has overflowed
	guest   bool               // it was admitted

	// Guarded by Server.mu: until when this connection is forgotten by the
	// server, or the server hangs as far as it is concerned.
	stalled, silent time.Time
}

// Message and Pong are what clients say, which nobody listens to.
func (k *socket) Message(bool, []byte) {}

// Pong is part of [wsconn.Handler].
func (k *socket) Pong([]byte) {}

// Drained is part of [wsconn.Handler].
func (k *socket) Drained() {
	select {
	case k.drained <- struct{}{}:
	default:
	}
}

// connect answers a handshake: those who may not come in are told so by a
// message, as the protocol has it, and closed.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	refusal := s.admit(r)
	h := &hijacker{ResponseWriter: w}
	conn, err := wsconn.Upgrade(h, r, wsconn.Options{WriteStall: -1})
	if err != nil {
		return // it has been answered
	}
	k := &socket{
		conn: conn, gate: h.gate, queue: make(chan *wsconn.Frame, maxWaiting),
		drained: make(chan struct{}, 1), over: make(chan struct{}), full: make(chan struct{}), guest: refusal == nil,
	}
	if !s.enter(k) {
		conn.Abort()
		_ = conn.Serve(k)
		return
	}
	if refusal != nil {
		s.opts.Log.Info("refused a client", "reason", refusal)
		_, _ = conn.Push([]*wsconn.Frame{textFrame(senselink.Denied(refusal.Error()))}) // if it has left, so be it
		conn.Close(wsconn.StatusNormal, "")
	}
}

// admit checks who wants to come in. The error is what the client is told.
func (s *Server) admit(r *http.Request) error {
	cred, err := senselink.ParsePath(r.URL.EscapedPath())
	if err != nil {
		return errors.New(senselink.DescUnknownKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.verify(cred); err != nil {
		return err
	}
	return s.trouble.login(s.opts.Now())
}

// verify checks a signature. It is called under mu.
func (s *Server) verify(cred senselink.Credentials) error {
	app := &s.app
	if cred.AppKey != app.Key {
		app = nil
	}
	return senselink.Verify(cred, app, s.now())
}

// enter starts what a connection needs, unless the server is closed. Only who
// is admitted is pushed anything.
func (s *Server) enter(k *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return false
	}
	s.sockets[k] = struct{}{}
	s.busy.Go(func() {
		_ = k.conn.Serve(k) // why it ended is the client's business
		s.leave(k)
		close(k.over)
	})
	if k.guest {
		k.queue <- textFrame([]byte(senselink.Connected)) // before any event; there is room
		s.trouble.greet(k, s.opts.Now())
		s.busy.Go(func() { s.attend(k) })
	}
	return true
}

func (s *Server) leave(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, k)
}

// attend writes what a client is to get, and heartbeats in between.
func (s *Server) attend(k *socket) {
	s.isSilent(k) // from the first word on, if new connections are to suffer too
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	heartbeat := textFrame([]byte(senselink.HeartBeat))
	for {
		var f *wsconn.Frame
		select {
		case f = <-k.queue:
		case <-beat.C:
			if s.isSilent(k) {
				continue
			}
			f = heartbeat
		case <-k.full:
			k.cut()
			return
		case <-k.over:
			return
		}
		if !k.write(f) {
			return
		}
	}
}

// write waits until the connection takes f. It returns false when it has
// ended.
func (k *socket) write(f *wsconn.Frame) bool {
	for {
		n, err := k.conn.Push([]*wsconn.Frame{f})
		if err != nil {
			return false
		}
		if n == 1 {
			return true
		}
		select {
		case <-k.drained:
		case <-k.full:
			k.cut()
			return false
		case <-k.over:
			return false
		}
	}
}

// push hands a message to every client that is not forgotten. It is called
// under mu.
func (s *Server) push(f *wsconn.Frame) {
	now := s.opts.Now()
	for k := range s.sockets {
		if !k.guest || now.Before(k.stalled) || now.Before(k.silent) {
			continue
		}
		select {
		case k.queue <- f:
		default:
			s.opts.Log.Info("cut a client that does not read", "waiting", len(k.queue))
			delete(s.sockets, k)
			close(k.full)
		}
	}
}

// isSilent shuts the gate of a connection that is silent, or opens it.
func (s *Server) isSilent(k *socket) bool {
	s.mu.Lock()
	silent := s.opts.Now().Before(k.silent)
	s.mu.Unlock()
	k.gate.shut(silent)
	return silent
}

// cut ends a connection as a cable does.
func (k *socket) cut() { k.conn.Abort() }

// Connections is how many clients are connected.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k := range s.sockets {
		if k.guest {
			n++
		}
	}
	return n
}

func textFrame(b []byte) *wsconn.Frame { return wsconn.NewText(b) }
