// Package sse sends events as a stream over HTTP (Server-Sent Events, section
// 9.2 of the WHATWG's HTML standard), for browsers and for curl -N.
//
// It owns who reads, how far each has got, and the framing. It never decides
// what an event is (see senselink) nor where a reader may begin (see resume),
// and it keeps nothing: a reader's cursor is the reader's own, and comes back
// with it as Last-Event-ID. Start at [Server.ServeHTTP] for a stream's birth
// and at stream.run for its life.
package sse

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"golang.org/x/time/rate"
)

// Apps knows who may read.
type Apps interface {
	// App returns the app with a key. It answers from memory.
	App(key string) (*gatecast.App, bool)
	// Changes yields the key of each app that was changed or deleted, until ctx
	// ends.
	Changes(ctx context.Context) iter.Seq[string]
}

// Ring is the newest stretch of events, in memory.
type Ring interface {
	Head() gatecast.Seq
	Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool)
	Listen() (moved <-chan struct{}, stop func())
}

// History reads events that have left the ring.
type History interface {
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
	Extent(ctx context.Context) (gatecast.Extent, error)
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
}

// Options tunes a Server. The zero value suits one site.
type Options struct {
	MaxConns  int              // streams at once; one more is answered 503; default 1000
	Heartbeat time.Duration    // between two comments, and two looks at a token; default 15 s
	Stall     time.Duration    // a reader that takes nothing for so long is cut; default 60 s
	Readers   int              // streams reading the journal at once, others queue; default 4
	ReadRate  int64            // bytes per second from the journal, for all streams together; 0: no limit
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxConns = cmp.Or(o.MaxConns, 1000)
	o.Heartbeat = cmp.Or(o.Heartbeat, 15*time.Second)
	o.Stall = cmp.Or(o.Stall, time.Minute)
	o.Readers = cmp.Or(o.Readers, 4)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Server is the door of the event streams.
type Server struct {
	opts    Options
	apps    Apps
	tokens  auth.TokenStore
	ring    Ring
	library *library
	roster  *roster
	bell    bell
	metrics *metrics
	told    rate.Sometimes               // of refused requests
	goal    atomic.Pointer[gatecast.Seq] // streams end when they are here; nil until Drain
}

// New makes a Server. Of the guard, only the tokens are used. Events reach the streams once [Server.Run] runs.
func New(apps Apps, guard auth.Guard, ring Ring, history History, o Options) *Server {
	o = o.withDefaults()
	return &Server{
		opts: o, apps: apps, tokens: guard.Tokens, ring: ring,
		library: newLibrary(history, o),
		roster:  newRoster(o.MaxConns),
		metrics: newMetrics(),
		told:    rate.Sometimes{Interval: time.Second},
	}
}

// Run wakes the streams when there is something new for them, until ctx ends
// and the last stream has ended. Streams that are still open then are broken
// off; see [Server.Drain] for the gentle way.
func (s *Server) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() {
		for range s.apps.Changes(ctx) {
			s.bell.ring() // each stream looks at its own app
		}
	})
	moved, stop := s.ring.Listen()
	defer stop()
	for ctx.Err() == nil {
		select {
		case <-moved:
			s.bell.ring()
		case <-ctx.Done():
		}
	}
	<-s.roster.end(cutClosing)
	work.Wait()
	return ctx.Err()
}

// Drain lets no more streams in and ends those there are. Each is first sent
// everything up to the newest event, and is told to come back after a time of
// its own, so that not all of them do at once. Drain returns when all streams
// have ended; those that are still behind when ctx ends are broken off.
//
// To [http.Server.Shutdown] a stream is a request under way: call Drain before
// it, or beside it.
func (s *Server) Drain(ctx context.Context) {
	head := s.ring.Head()
	s.goal.Store(&head)
	gone := s.roster.close()
	s.bell.ring()
	select {
	case <-gone:
	case <-ctx.Done():
		s.roster.end(cutDrain)
	}
}

// Connections returns how many streams are open.
func (s *Server) Connections() int { return s.roster.count() }
