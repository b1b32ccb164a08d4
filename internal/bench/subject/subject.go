// Package subject is the server that is measured: one started for the purpose,
// or somebody's, known by its URL.
//
// It owns the server's process if it has started it, what it may do to the
// server's settings (apps and subscriptions of a measurement, taken away again),
// and the view from outside on what the server uses. It never sends events.
// Start at [Start] and [Attach].
package subject

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Server is a server under test. Its methods are for one goroutine.
type Server struct {
	URL  string // "http://127.0.0.1:45123"
	api  api
	own  *process // nil: somebody else's
	apps []string // keys of the apps made here

	subscriptions []string // IDs of those made here
}

// Attach returns a server that runs already. The token must be an
// administrator's.
func Attach(url, token string) *Server {
	s := &Server{URL: url}
	s.api = newAPI(url, token, s.TLS())
	return s
}

// Own says how to start a server.
type Own struct {
	Program  string        // path of the gatecast binary
	Data     string        // directory of its data; must exist
	Settings []string      // more flags of gatecast serve, such as "--websocket.deflate=true"
	TLS      bool          // serve HTTPS and WSS with a certificate made for the purpose
	Patience time.Duration // to become ready, and to stop; default 2 min
}

// Start runs a server on a free port of this machine and returns when it is
// ready. It is killed with this process, whatever happens.
func Start(ctx context.Context, o Own) (*Server, error) {
	o.Patience = cmp.Or(o.Patience, 2*time.Minute)
	p, err := launch(o)
	if err != nil {
		return nil, err
	}
	s := &Server{own: p}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// begin waits until the process is ready to be used.
func (s *Server) begin(ctx context.Context) error {
	url, err := s.own.ready(ctx)
	if err != nil {
		return err
	}
	token, err := os.ReadFile(s.own.path("admin.token"))
	if err != nil {
		return fmt.Errorf("read the administrator's token: %w", err)
	}
	s.URL = url
	s.api = newAPI(url, strings.TrimSpace(string(token)), s.TLS())
	return nil
}

// IsOwn reports whether the server was started here, and can be restarted.
func (s *Server) IsOwn() bool { return s.own != nil }

// Secure reports whether clients have to speak TLS.
func (s *Server) Secure() bool { return strings.HasPrefix(s.URL, "https://") }

// TLS is how clients have to speak to the server; nil is without. The
// certificate of a server that was started here is known to nobody, and is not
// looked at; that of any other is.
func (s *Server) TLS() *tls.Config {
	switch {
	case !s.Secure():
		return nil
	case s.own != nil:
		return &tls.Config{InsecureSkipVerify: true}
	}
	name, _, _ := net.SplitHostPort(s.Host())
	return &tls.Config{ServerName: name}
}

// Host is the address for a client's dial.
func (s *Server) Host() string {
	_, host, _ := strings.Cut(s.URL, "://")
	host = strings.TrimRight(host, "/")
	if strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
		return host
	}
	if s.Secure() {
		return host + ":443"
	}
	return host + ":80"
}

// Token is an administrator's token.
func (s *Server) Token() string { return s.api.token }

// Kill ends the process as a crash does. It returns when it is gone.
func (s *Server) Kill() error {
	if s.own == nil {
		return gatecast.Errorf(gatecast.Invalid, "the server was not started here")
	}
	s.own.kill()
	return nil
}

// Restart runs the server again, on the same data and the same address, after
// Kill.
func (s *Server) Restart(ctx context.Context) error {
	if s.own == nil {
		return gatecast.Errorf(gatecast.Invalid, "the server was not started here")
	}
	if err := s.own.start(strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://")); err != nil {
		return err
	}
	return s.begin(ctx)
}

// App is an app of the server, as its clients sign.
type App struct {
	Key    string `json:"app_key"`
	Secret string `json:"app_secret"`
}

// CreateApp makes an app that may have so many connections. It is deleted at
// Close.
func (s *Server) CreateApp(ctx context.Context, name string, connections int) (App, error) {
	var a App
	err := s.api.call(ctx, http.MethodPost, "/api/v1/apps", map[string]any{"name": name, "max_connections": connections}, &a)
	if err == nil {
		s.apps = append(s.apps, a.Key)
	}
	return a, err
}

// Close takes away what was made here, and ends the process if it was started
// here.
func (s *Server) Close() {
	if s.own != nil {
		s.own.kill()
		s.own.cleanUp()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = s.Unsubscribe(ctx, s.subscriptions...) // those that are left are seen by their descriptions
	for _, key := range s.apps {
		_ = s.api.call(ctx, http.MethodDelete, "/api/v1/apps/"+key, nil, nil) // an app that is left is seen by its name
	}
}
