package sse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/gatecast/gatecast/internal/resume"
)

// ServeHTTP answers GET /api/v1/events/stream. It returns when the stream
// ends. Whatever is wrong with the request is answered with a problem document
// before the stream begins.
//
// A browser comes back by itself, to the URL it was given first, when a stream
// ends or cannot be reached, but takes a problem document for final. A page
// that signs its URL must therefore sign a new one when it is refused: the app's
// window for timestamps may be over.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		// The reason may repeat what stands there, a signature for one.
		e := gatecast.Errorf(gatecast.Malformed, "the query of the URL cannot be read")
		e.Remedy = "percent-encode the values of its parameters"
		s.refuse(w, r, "parameters", e)
		return
	}
	if signed(q) {
		app, reason, err := s.verify(q)
		if err != nil {
			s.refuse(w, r, reason, err)
			return
		}
		s.serve(w, r, q, app)
		return
	}
	guard := auth.Guard{Tokens: s.tokens, Fail: func(w http.ResponseWriter, r *http.Request, err error) {
		s.refuse(w, r, gatecast.CodeOf(err).String(), orSign(r, err))
	}}
	guard.Require(auth.Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, q, nil)
	})).ServeHTTP(w, r)
}

// refuse answers a request that gets no stream, and counts it under a reason.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, reason string, err error) {
	s.metrics.refused(reason)
	tell := func(level slog.Level) {
		s.opts.Log.Log(r.Context(), level, "refused an event stream", "from", r.RemoteAddr, "reason", reason, "err", err)
	}
	if gatecast.CodeOf(err) == gatecast.Internal {
		tell(slog.LevelError) // the answer does not say what is wrong
	} else {
		s.told.Do(func() { tell(slog.LevelInfo) }) // one a second: strangers must not fill the log
	}
	problem.Write(w, r, err)
}

// serve answers a request whose caller is known: an app, or, if that is nil,
// whoever holds a token.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, q url.Values, app *gatecast.App) {
	want, err := ask(q, r.Header)
	if err != nil {
		s.refuse(w, r, "parameters", err)
		return
	}
	if r.Method == http.MethodHead {
		announce(w.Header())
		return
	}
	key, limit, edge := "", 0, time.Time{}
	if app != nil {
		key, limit, edge = app.Key, app.MaxConns, app.CatchUp.WithDefaults().Window.Edge(s.opts.Now())
	}
	if err := s.roster.admit(key, limit); err != nil {
		reason := "full"
		if errors.Is(err, errClosing) {
			reason = "closing"
		}
		s.refuse(w, r, reason, err)
		return
	}
	defer s.roster.leave(key)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	st, err := s.open(ctx, w, r, want, key, edge)
	if err != nil {
		s.refuse(w, r, "failed", err)
		return
	}
	st.cancel = cancel
	s.roster.add(st)
	defer s.roster.remove(st)
	s.metrics.opened.Inc()
	err = st.serve(ctx)
	s.metrics.ended(err)
	s.opts.Log.Debug("an event stream ended", "app", key, "from", r.RemoteAddr, "after", st.pos(), "why", err)
}

// announce sets the headers of a stream. There is none that lets pages of
// other origins read it: an answer with credentials in its URL is for the page
// that was given them.
func announce(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would collect events until its buffer is full
	h.Set("X-Content-Type-Options", "nosniff")
}

// snapshot is a journal whose extent stands still, so that where a reader
// begins and what it is told of the journal belong together.
type snapshot struct {
	History
	extent gatecast.Extent
}

func (s snapshot) Extent(context.Context) (gatecast.Extent, error) { return s.extent, nil }

// open decides where a stream begins: not before edge, unless that is zero.
func (s *Server) open(ctx context.Context, w http.ResponseWriter, r *http.Request, want resume.Request, app string, edge time.Time) (*stream, error) {
	extent, err := s.library.history.Extent(ctx)
	if err != nil {
		return nil, fmt.Errorf("find what the journal holds: %w", err)
	}
	start, err := resume.Begin(ctx, snapshot{s.library.history, extent}, want.Since, edge)
	if err != nil {
		return nil, err
	}
	out, err := newOutlet(w, s.opts.Stall)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection for a stream: %w", err)
	}
	if start.Gap != nil && want.Since.Kind == resume.AfterSeq {
		s.metrics.gap(start.Gap)
	}
	announce(w.Header())
	st := &stream{
		server: s, wanted: want.Filter, out: out, start: start, extent: extent,
		caller:  caller{app: app, remote: r.RemoteAddr, connected: s.opts.Now()},
		backlog: backlog{page: make([]*gatecast.Event, 0, page), price: guess},
	}
	st.state.pos.Store(uint64(start.After))
	if app == "" {
		st.caller.view.Kinds = append(gatecast.Kinds(), gatecast.Notice, gatecast.Canary)
		st.caller.mayRead = func() bool { return s.mayRead(w, r) }
	}
	return st, nil
}

// mayRead asks again whether the token of a request that was let in may read.
// That it cannot be told at the moment is no reason to break off a stream.
func (s *Server) mayRead(w http.ResponseWriter, r *http.Request) bool {
	may := true
	guard := auth.Guard{Tokens: s.tokens, Fail: func(_ http.ResponseWriter, _ *http.Request, err error) {
		code := gatecast.CodeOf(err)
		may = code != gatecast.Unauthenticated && code != gatecast.Forbidden
	}}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	guard.Require(auth.Read, nothing).ServeHTTP(w, r) // sets headers, which are long sent
	return may
}

// orSign adds the other way in to the remedy of a request without any.
func orSign(r *http.Request, err error) error {
	var e *gatecast.Error
	if r.Header.Get("Authorization") != "" || !errors.As(err, &e) {
		return err
	}
	both := *e
	both.Remedy += "; or, where headers cannot be set, sign the URL as an app: " + signRemedy
	return &both
}
