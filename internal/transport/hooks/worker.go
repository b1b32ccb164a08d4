package hooks

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
)

// worker delivers one subscription. All its fields belong to the goroutine of
// run, but for those marked otherwise.
type worker struct {
	server  *Server
	id      string    // never changes
	app     string    // never changes
	created time.Time // never changes

	terms    terms
	main     *course
	replay   *replaying // nil: there is none
	endpoint breaker
	flying   int          // requests under way
	results  chan *result // of requests; has room for all of them
	readAt   time.Time    // no reading of the journal before: it failed
	lateTo   gatecast.Seq // events up to here are late
	count    tally
	status   condition
	sleeper  sleeper
	nudge    chan struct{} // anybody's; holds one token when there is something to look at
	ended    chan struct{} // anybody's; closed when run has returned
	requests context.Context
	cut      context.CancelFunc // anybody's; ends run and breaks its requests off

	shared shared
}

// shared is what others may see of a worker, and ask of it.
type shared struct {
	// mu guards the fields below. It is held only to copy.
	mu     sync.Mutex
	stale  bool     // the settings have changed
	orders []func() // to be done by the worker
	view   snapshot
	recent recent
}

// terms is what a worker goes by, made of a subscription as it is now.
type terms struct {
	sub     *gatecast.Subscription
	paused  string // why nothing is sent; empty if something is
	sight   *sight
	signer  *webhook.Signer
	form    webhook.Form
	conceal *strings.Replacer // takes what lets gatecast in out of what a receiver says
	host    string            // of the URL, with its port
	pace    pace
	expires time.Time // when a secret does; zero: never
}

// tally is what a worker has counted, ever.
type tally struct {
	delivered uint64 // events
	failed    uint64 // attempts
	lost      uint64 // positions
}

// condition is what a subscription is doing, as others are told.
type condition struct {
	status gatecast.SubscriptionStatus
	since  time.Time
	reason string
	saved  time.Time // when the ledger was last told
	dirty  bool      // the ledger does not know everything
}

// saveEvery is how often the ledger is told of progress. It writes about once a
// second anyway.
const saveEvery = 250 * time.Millisecond

// idleSave is how often the ledger is told that there was nothing to deliver.
const idleSave = time.Minute

func newWorker(s *Server, sub *gatecast.Subscription) *worker {
	w := &worker{
		server: s, id: sub.ID, app: sub.App, created: sub.Created, terms: terms{sub: sub},
		endpoint: breaker{min: s.opts.RetryMin, max: s.opts.RetryMax, rand: s.opts.Rand},
		results:  make(chan *result, gatecast.MaxConcurrency),
		nudge:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
	}
	w.sleeper.wake = w.nudge
	w.requests, w.cut = context.WithCancel(context.Background())
	return w
}

// run delivers until ctx ends, the worker is cut, or the server halts; then it
// waits for the requests under way, which are broken off in the first two cases.
func (w *worker) run(ctx context.Context) {
	defer w.cut()
	defer context.AfterFunc(ctx, w.cut)()
	if !w.begin() {
		return
	}
	for w.requests.Err() == nil && !w.server.halted() {
		w.heed()
		w.fill()
		next := w.dispatch()
		w.finished()
		w.report(false)
		w.rest(next)
	}
	for w.flying > 0 {
		w.settle(<-w.results)
	}
	w.report(true)
}

// heed takes up changed settings, and what others have asked for.
func (w *worker) heed() {
	w.shared.mu.Lock()
	stale, orders := w.shared.stale, w.shared.orders
	w.shared.stale, w.shared.orders = false, nil
	w.shared.mu.Unlock()
	if stale || !w.terms.expires.IsZero() && !time.Now().Before(w.terms.expires) {
		w.adopt()
	}
	for _, do := range orders {
		do()
	}
}

// adopt makes new terms of the subscription as it is now. One that is gone is
// left to whoever ends the worker.
func (w *worker) adopt() {
	sub, there := w.server.Settings.Subscription(w.id)
	if !there {
		return
	}
	before := w.terms
	w.terms = w.server.termsOf(sub)
	if before.sub.Settings.URL != sub.Settings.URL || before.paused != "" && w.terms.paused == "" {
		w.endpoint.reset()
		for _, c := range w.courses() {
			c.reinstate()
			c.hasten()
		}
		w.lateTo = w.server.Ring.Head()
	}
	w.judge()
}

func (s *Server) termsOf(sub *gatecast.Subscription) terms {
	t := terms{sub: sub, paused: sub.Paused, form: webhook.Form{
		EventTypeString: sub.Settings.EventType == gatecast.EventTypeString,
		OwnFields:       sub.Settings.OwnFields,
		Epoch:           s.opts.Epoch,
	}}
	var app *gatecast.App
	if sub.App != "" {
		var there bool
		if app, there = s.Settings.App(sub.App); !there || !app.Enabled {
			app = &gatecast.App{}
			t.paused = appDisabled
		}
	}
	t.sight = newSight(sub, app)
	var secrets, keys []string
	for _, secret := range sub.Secrets {
		secrets = append(secrets, secret.Value)
		t.expires = sooner(t.expires, secret.Expires)
	}
	if sub.Settings.Ed25519 {
		for _, key := range sub.Keys {
			keys = append(keys, key.Value)
			t.expires = sooner(t.expires, key.Expires)
		}
	}
	var err error
	if t.signer, err = webhook.NewSigner(secrets, keys); err != nil {
		t.paused = "its secret cannot be used"
		s.opts.Log.Error("a subscription's secret cannot be used; rotate it", "subscription", sub.ID, "err", err)
	}
	if u, err := url.Parse(sub.Settings.URL); err == nil {
		t.host = u.Host
	}
	t.pace, t.conceal = newPace(sub.Settings), concealer(&sub.Settings)
	return t
}

// concealer returns what takes the secrets of a subscription's requests out of
// an answer: there are receivers that show the request in their error page.
func concealer(s *gatecast.SubscriptionSettings) *strings.Replacer {
	const shortest = 4 // shorter values stand everywhere
	var pairs []string
	hide := func(secret string) {
		if len(secret) >= shortest {
			pairs = append(pairs, secret, "***")
		}
	}
	for _, value := range s.Headers {
		hide(value)
	}
	hide(s.Auth.Bearer)
	hide(s.Auth.Password)
	if s.Auth.Username != "" {
		hide(basic(s.Auth))
	}
	return strings.NewReplacer(pairs...)
}

// basic is a user with a password as RFC 7617 writes them.
func basic(a gatecast.ReceiverAuth) string {
	return base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
}

// appDisabled is why a subscription is paused that nobody has paused itself.
const appDisabled = "its app is disabled"

// sooner returns the earlier of two times; a zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// reload has the worker take up changed settings. Anybody may call it.
func (w *worker) reload() {
	w.shared.mu.Lock()
	w.shared.stale = true
	w.shared.mu.Unlock()
	w.server.crier.wake(&w.sleeper) // it goes by the old ones
	w.poke()
}

// order has the worker do something, in its own goroutine, and returns what came
// of it. Anybody may call it. It reports false if the worker has ended before, or
// ctx; then it may be done all the same.
func (w *worker) order(ctx context.Context, do func() error) (err error, done bool) {
	answer := make(chan error, 1)
	w.shared.mu.Lock()
	w.shared.orders = append(w.shared.orders, func() { answer <- do() })
	w.shared.mu.Unlock()
	w.poke()
	select {
	case err = <-answer:
		return err, true
	case <-w.ended:
	case <-ctx.Done():
	}
	return nil, false
}

func (w *worker) poke() {
	select {
	case w.nudge <- struct{}{}:
	default: // it has yet to look anyway
	}
}

// rest waits until there is something to do: at next, unless that is zero, or
// when an answer comes, or when somebody has something for the worker.
func (w *worker) rest(next time.Time) {
	level := w.level() // looked at once: what comes after that the crier tells
	if !level && w.reads() {
		return
	}
	if w.readAt.After(time.Now()) {
		next = sooner(next, w.readAt)
	}
	if w.status.dirty {
		next = sooner(next, w.status.saved.Add(saveEvery))
	}
	next = sooner(next, w.status.saved.Add(idleSave))
	asleep := level && w.terms.paused == ""
	if asleep {
		w.sleeper.sight = w.terms.sight
		if !w.server.crier.sleep(&w.sleeper, w.main.head) {
			return
		}
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-w.requests.Done():
	case <-w.server.halt:
	case <-w.nudge:
	case <-timer.C:
	case r := <-w.results:
		w.settle(r)
		for len(w.results) > 0 {
			w.settle(<-w.results)
		}
	}
	if asleep {
		w.main.head = max(w.main.head, w.server.crier.rise(&w.sleeper))
	}
}

// reads reports whether the worker would read on if there were something.
func (w *worker) reads() bool {
	return w.terms.paused == "" && w.hungry(w.main) && !time.Now().Before(w.readAt)
}

// level reports whether everything that the ring has was read.
func (w *worker) level() bool { return w.main.head >= w.server.Ring.Head() }
