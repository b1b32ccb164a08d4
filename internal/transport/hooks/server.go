// Package hooks posts events to subscribers' URLs, and never stops.
//
// It owns what a failed delivery means, when it is tried again, and the order
// that a subscription is promised. It never stores an event (see journal), a
// setting (see registry) or a position (see ledger), and never opens a socket
// (see egress). Start at [Server.Run], then read worker.go for the life of a
// subscription, course.go for what may be sent next, and settle.go for what an
// answer means.
package hooks

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
)

// Settings knows the subscriptions and the apps they belong to.
type Settings interface {
	Subscription(id string) (*gatecast.Subscription, bool)
	Subscriptions() []*gatecast.Subscription
	// SubscriptionChanges yields the ID of each subscription that was made,
	// changed or deleted after the call, until ctx ends.
	SubscriptionChanges(ctx context.Context) iter.Seq[string]
	// PauseSubscription pauses a subscription for a reason.
	PauseSubscription(ctx context.Context, id, reason string) (*gatecast.Subscription, error)
	App(key string) (*gatecast.App, bool)
	// Changes yields the key of each app that was changed or deleted.
	Changes(ctx context.Context) iter.Seq[string]
}

// Ring is the newest stretch of events, in memory.
type Ring interface {
	Head() gatecast.Seq
	Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool)
	Listen() (moved <-chan struct{}, stop func())
	// Healthy returns why new events do not come, or nil.
	Healthy() error
}

// History reads events that have left the ring.
type History interface {
	Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error)
	Extent(ctx context.Context) (gatecast.Extent, error)
}

// Ledger keeps how far each subscription has got, and its dead letters.
type Ledger interface {
	// Lead returns once this node is the one that delivers. What the ledger
	// tells is then what the one before has left.
	Lead(ctx context.Context) error
	// Lost is closed when another node delivers, or may do so soon.
	Lost() <-chan struct{}
	Progress(id string) (gatecast.Progress, bool)
	// Save keeps a subscription's progress. It never blocks; it is on disk a
	// moment later.
	Save(id string, p gatecast.Progress)
	// SetAside keeps a dead letter, and returns when it is on disk.
	SetAside(ctx context.Context, d gatecast.DeadLetter) error
	DeadLetter(ctx context.Context, id string, seq gatecast.Seq) (gatecast.DeadLetter, error)
	Discard(ctx context.Context, id string, seq gatecast.Seq) error
	Dead(id string) int
	// Forget drops everything about a subscription that is gone.
	Forget(id string)
}

// Log keeps what was tried. It never blocks.
type Log interface {
	Add(id string, a gatecast.Attempt)
	Forget(id string)
}

// Poster makes requests.
type Poster interface {
	Post(ctx context.Context, r egress.Request) egress.Answer
	// Check returns why a URL can never be posted to, or nil.
	Check(ctx context.Context, url string) error
}

// Options tunes a Server. The zero value suits, but for Epoch.
type Options struct {
	Epoch        string        // of the journal
	MaxInFlight  int           // requests at once, others wait; default 1024
	MaxPerHost   int           // requests at once to one host and port, others wait; default 128
	RetryMin     time.Duration // first pause after a failure; default 1 s
	RetryMax     time.Duration // longest pause; default 5 min
	RefusedTries int           // how often a refused event is sent before it is set aside; default 5
	MaxPending   int           // events of a subscription that wait while others go on; when reached, it reads no further; default 10,000
	Readers      int           // subscriptions that read the journal at once, others wait; default 4
	Notify       Notify        // stores a notice; default: they are only logged
	Rand         func() float64
	Log          *slog.Logger // default: discard
}

// Notify stores a notice in the journal, where whoever wants to know finds it.
type Notify func(ctx context.Context, e gatecast.Event) error

func (o Options) withDefaults() Options {
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 1024)
	o.MaxPerHost = cmp.Or(o.MaxPerHost, 128)
	o.RetryMin = cmp.Or(o.RetryMin, time.Second)
	o.RetryMax = cmp.Or(o.RetryMax, 5*time.Minute)
	o.RefusedTries = cmp.Or(o.RefusedTries, 5)
	o.MaxPending = cmp.Or(o.MaxPending, 10_000)
	o.Readers = cmp.Or(o.Readers, 4)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Parts is what a Server works with.
type Parts struct {
	Settings Settings
	Ring     Ring
	History  History
	Ledger   Ledger
	Log      Log
	Poster   Poster
}

// Server delivers.
type Server struct {
	Parts
	opts    Options
	crier   *crier
	permits *permits
	readers chan struct{} // holds a token for each who reads the journal
	notices *notices
	metrics *metrics
	halt    chan struct{} // closed by Drain: nothing new is sent
	once    sync.Once     // closes halt

	// mu guards workers. It is held only for map work.
	mu      sync.Mutex
	workers map[string]*worker
}

// New makes a Server. Nothing is sent before [Server.Run].
func New(p Parts, o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		Parts: p, opts: o,
		crier:   newCrier(p.Ring),
		permits: newPermits(o.MaxInFlight, o.MaxPerHost),
		readers: make(chan struct{}, o.Readers),
		notices: newNotices(o.Notify, o.Log),
		halt:    make(chan struct{}),
		workers: map[string]*worker{},
	}
	s.metrics = newMetrics(s)
	return s
}

// Run delivers until ctx ends. On a cluster it does so while this node leads,
// and waits otherwise. Requests under way when ctx ends are broken off, and
// their events sent again later; see [Server.Drain] for the gentle way.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var teller sync.WaitGroup
	defer teller.Wait()
	defer cancel()
	teller.Go(func() { s.notices.run(ctx) })
	for ctx.Err() == nil && !s.halted() {
		if err := s.lead(ctx); err != nil {
			return err
		}
		if ctx.Err() == nil && !s.halted() { // else nobody knows who leads
			s.term(ctx)
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *Server) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.halt:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.Ledger.Lead(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Server) halted() bool {
	select {
	case <-s.halt:
		return true
	default:
		return false
	}
}

// Drain sends nothing new and returns when the requests under way have ended
// and the ledger knows of it. Those that have not when ctx ends are broken off.
func (s *Server) Drain(ctx context.Context) {
	s.once.Do(func() { close(s.halt) })
	var all []*worker
	s.mu.Lock()
	for _, w := range s.workers {
		all = append(all, w)
	}
	s.mu.Unlock()
	for _, w := range all {
		select {
		case <-w.ended:
		case <-ctx.Done():
			w.cut()
			<-w.ended
		}
	}
}

// Check returns why a URL can never be posted to, or nil.
func (s *Server) Check(ctx context.Context, url string) error { return s.Poster.Check(ctx, url) }
