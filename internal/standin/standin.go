// Package standin plays the vendor's server: both generations of its push, and
// the part of its REST interface that clients of the push use.
//
// It is for tests, and for people who test their own clients. It owns a truth
// of its own, the list of every event that it ever had ([Server.Events]), so
// that a test can say what a client should have got, and it can be told to
// misbehave in the ways in which such servers do ([Server.Misbehave]). It keeps
// nothing on disk, makes up no events of its own accord, and is no server for
// real devices. Start at [New]; [Server.Add] is where events come in.
//
// What is the vendor's is under the vendor's paths; what is ours, the levers
// for whoever tests, is under /standin/, where nobody is asked for a signature.
package standin

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Options tunes a Server. The zero value suits.
type Options struct {
	AppKey    string          // of the one app there is; default 16 random hexadecimal characters
	AppSecret string          // what it signs with; default 32 random hexadecimal characters
	Window    gatecast.Window // how far a timestamp may be from the server's clock; default [gatecast.DefaultWindow]
	Heartbeat time.Duration   // between two messages 10000 of a connection; default 30 s

	// Company is the companyId that events get which have none; 0: they go
	// without.
	Company int64
	// Zone is that of the times in the REST interface and of alarmTime; default
	// UTC.
	Zone    *time.Location
	Numbers Numbers
	// Most bounds the truth: beyond so many events the oldest is forgotten, as
	// the vendor's servers delete old records; default 100,000.
	Most int

	Posts http.RoundTripper // what carries the posts to the subscriber; default a transport of its own, without proxies
	Log   *slog.Logger      // default: discard
	Now   func() time.Time  // default time.Now
}

// Numbers is how events are numbered: in one row for records, and in one for
// alarms.
type Numbers struct {
	First int64 // the first record; default 1
	Alarm int64 // the first alarm; default First
	// Others is how many numbers at most lie between two of ours, at random:
	// they belong to other companies of the same server. Default none.
	Others int
}

func (o Options) withDefaults() Options {
	o.AppKey = cmp.Or(o.AppKey, random(8))
	o.AppSecret = cmp.Or(o.AppSecret, random(16))
	o.Window = cmp.Or(o.Window, gatecast.DefaultWindow)
	o.Heartbeat = cmp.Or(o.Heartbeat, 30*time.Second)
	o.Zone = cmp.Or(o.Zone, time.UTC)
	o.Numbers.First = cmp.Or(o.Numbers.First, 1)
	o.Numbers.Alarm = cmp.Or(o.Numbers.Alarm, o.Numbers.First)
	o.Most = cmp.Or(o.Most, 100_000)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Posts == nil {
		o.Posts = &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails (package crypto/rand)
	return hex.EncodeToString(b)
}

// Server is a stand-in. It is an [http.Handler]; whoever serves it must Close
// it. Its methods may be called from any goroutine.
type Server struct {
	opts  Options
	app   gatecast.App
	doors *http.ServeMux
	posts *http.Client
	done  chan struct{}  // closed by Close
	busy  sync.WaitGroup // the goroutines of sockets and subscriptions

	// mu guards what follows. An event is put into the truth and handed to
	// everybody in one go under it, so that all see one order; handing over never
	// waits.
	mu      sync.Mutex
	truth   truth
	sockets map[*socket]struct{} // nil: closed
	sub     *subscription        // nil: nobody has subscribed
	trouble trouble
}

// New makes a server without events that behaves.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		opts:    o,
		app:     appOf(o),
		posts:   newPoster(o.Posts),
		done:    make(chan struct{}),
		truth:   newTruth(o),
		sockets: make(map[*socket]struct{}),
		trouble: trouble{active: make(map[Mode]Misbehaviour)},
	}
	s.doors = s.routes()
	return s
}

func appOf(o Options) gatecast.App {
	return gatecast.App{
		Key: o.AppKey, Enabled: true, Window: o.Window,
		Secrets: []gatecast.Secret{{Value: o.AppSecret}},
	}
}

// AppKey returns the key that clients name.
func (s *Server) AppKey() string { return s.opts.AppKey }

// AppSecret returns the secret that clients sign with.
func (s *Server) AppSecret() string { return s.opts.AppSecret }

// Close cuts all connections, ends the subscription, and waits for both.
// Requests that come later are answered with 503. The truth stays readable.
func (s *Server) Close() {
	s.mu.Lock()
	socks := s.sockets
	if !s.closed() {
		close(s.done)
	}
	s.sockets = nil
	if s.sub != nil {
		s.sub.end()
	}
	s.mu.Unlock()
	for k := range socks {
		k.cut()
	}
	s.busy.Wait()
	s.posts.CloseIdleConnections()
}

// closed is called under mu.
func (s *Server) closed() bool { return s.sockets == nil }

// routes is everything that is answered.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	s.routeREST(mux)
	s.routeLevers(mux)
	mux.HandleFunc("GET /websocket/record/", s.connect)
	return mux
}

// ServeHTTP answers the vendor's clients, and whoever pulls the levers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed()
	away := s.trouble.on(Restart, s.opts.Now())
	clock := s.now()
	s.mu.Unlock()
	w.Header().Set("Date", clock.UTC().Format(http.TimeFormat)) // a wrong clock shows in every answer
	switch {
	case closed:
		http.Error(w, "closed", http.StatusServiceUnavailable)
	case away && !isLever(r):
		hangUp(w)
	default:
		s.doors.ServeHTTP(w, r)
	}
}
