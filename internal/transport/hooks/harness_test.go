package hooks

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
	"github.com/gatecast/gatecast/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subA  = "sub_00000000000000aa"
	subB  = "sub_00000000000000bb"
	epoch = "epoch-1"
)

// site is a journal with its ring, settings, a ledger and a log: everything
// around a Server, in memory.
type site struct {
	t *testing.T

	mu      sync.Mutex
	events  []*gatecast.Event
	first   gatecast.Seq // oldest one that the journal still holds
	floor   gatecast.Seq // what comes after it is in the ring
	moved   []chan struct{}
	reads   int
	readErr error
	sick    error  // why nothing new comes to the ring
	ahead   int    // events of the journal that are not on the ring yet
	onHead  func() // called once, before the ring's head is told

	subs    map[string]*gatecast.Subscription
	apps    map[string]*gatecast.App
	changes []chan string

	kept     map[string]gatecast.Progress
	dead     map[string][]gatecast.DeadLetter
	deadErr  error
	attempts map[string][]gatecast.Attempt
	notices  []gatecast.Event
	lost     chan struct{}
}

func newSite(t *testing.T) *site {
	return &site{
		t: t, first: 1, subs: map[string]*gatecast.Subscription{}, apps: map[string]*gatecast.App{},
		kept: map[string]gatecast.Progress{}, dead: map[string][]gatecast.DeadLetter{}, attempts: map[string][]gatecast.Attempt{},
		lost: make(chan struct{}),
	}
}

// record stores records of devices, one each.
func (s *site) record(devices ...string) {
	for _, d := range devices {
		s.store(gatecast.Event{Kind: gatecast.Record, Device: d, Data: []byte(`{"sn":"` + d + `","type":1}`)})
	}
}

func (s *site) store(e gatecast.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Seq = gatecast.Seq(len(s.events) + 1)
	if e.ID == "" {
		e.ID = fmt.Sprintf("e%d", e.Seq)
	}
	e.Stored = time.Now()
	e.At = e.Stored
	s.events = append(s.events, &e)
	for _, c := range s.moved {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Head, Window and Listen are a Ring; Read and Extent a History.
func (s *site) Head() gatecast.Seq {
	s.mu.Lock()
	do := s.onHead
	s.onHead = nil
	s.mu.Unlock()
	if do != nil {
		do()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return gatecast.Seq(len(s.events) - s.ahead)
}

func (s *site) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sick
}

func (s *site) Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after < s.floor {
		return buf, false
	}
	return s.after(after, len(s.events)-s.ahead, buf), true
}

func (s *site) after(after gatecast.Seq, last int, buf []*gatecast.Event) []*gatecast.Event {
	if int(after) >= last {
		return buf
	}
	rest := s.events[after:last]
	return append(buf, rest[:min(len(rest), cap(buf)-len(buf))]...)
}

func (s *site) Listen() (<-chan struct{}, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{}, 1)
	s.moved = append(s.moved, c)
	return c, func() {}
}

func (s *site) Read(_ context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.readErr != nil {
		return nil, s.readErr
	}
	if after+1 < s.first {
		return nil, gatecast.Errorf(gatecast.Gap, "gone")
	}
	if after >= s.floor { // as the hub does
		return s.after(after, len(s.events)-s.ahead, buf), nil
	}
	return s.after(after, len(s.events), buf), nil
}

func (s *site) Extent(context.Context) (gatecast.Extent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return gatecast.Extent{Epoch: epoch, First: s.first, Last: gatecast.Seq(len(s.events))}, nil
}

// The methods below are Settings.

func (s *site) put(id string, change func(*gatecast.Subscription)) {
	s.mu.Lock()
	sub := gatecast.Subscription{ID: id, Epoch: epoch, Secrets: []gatecast.Secret{{Value: webhook.NewSecret()}}}
	if old := s.subs[id]; old != nil {
		sub = *old
		sub.Settings = old.Settings.Clone()
	} else {
		sub.Settings = gatecast.SubscriptionSettings{URL: "http://receiver.example/" + id}.WithDefaults()
	}
	change(&sub)
	s.subs[id] = &sub
	s.mu.Unlock()
	s.changed(id)
}

func (s *site) remove(id string) {
	s.mu.Lock()
	delete(s.subs, id)
	s.mu.Unlock()
	s.changed(id)
}

func (s *site) changed(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.changes {
		c <- id
	}
}

func (s *site) Subscription(id string) (*gatecast.Subscription, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, ok := s.subs[id]
	return sub, ok
}

func (s *site) Subscriptions() []*gatecast.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.subs))
}

func (s *site) SubscriptionChanges(ctx context.Context) iter.Seq[string] {
	c := make(chan string, 100)
	s.mu.Lock()
	s.changes = append(s.changes, c)
	s.mu.Unlock()
	return follow(ctx, c)
}

func follow(ctx context.Context, c <-chan string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case id := <-c:
				if !yield(id) {
					return
				}
			}
		}
	}
}

func (s *site) PauseSubscription(_ context.Context, id, reason string) (*gatecast.Subscription, error) {
	s.put(id, func(sub *gatecast.Subscription) { sub.Paused = reason })
	sub, _ := s.Subscription(id)
	return sub, nil
}

func (s *site) App(key string) (*gatecast.App, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.apps[key]
	return a, ok
}

func (s *site) Changes(ctx context.Context) iter.Seq[string] { return follow(ctx, nil) }

// The methods below are a Ledger.

func (s *site) Lead(context.Context) error { return nil }
func (s *site) Lost() <-chan struct{}      { return s.lost }

func (s *site) Progress(id string) (gatecast.Progress, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.kept[id]
	return p, ok
}

func (s *site) Save(id string, p gatecast.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[id] = p
}

func (s *site) SetAside(_ context.Context, d gatecast.DeadLetter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadErr != nil {
		return s.deadErr
	}
	s.dead[d.Subscription] = append(s.dead[d.Subscription], d)
	return nil
}

func (s *site) DeadLetter(_ context.Context, id string, seq gatecast.Seq) (gatecast.DeadLetter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.dead[id] {
		if d.Seq == seq {
			return d, nil
		}
	}
	return gatecast.DeadLetter{}, gatecast.Errorf(gatecast.NotFound, "none")
}

func (s *site) Discard(_ context.Context, id string, seq gatecast.Seq) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[id] = slices.DeleteFunc(s.dead[id], func(d gatecast.DeadLetter) bool { return d.Seq == seq })
	return nil
}

func (s *site) Dead(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dead[id])
}

// ledger and attemptLog tell apart the two that have a Forget.
type ledger struct{ *site }

func (l ledger) Forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.kept, id)
	delete(l.dead, id)
}

type attemptLog struct{ *site }

func (l attemptLog) Add(id string, a gatecast.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts[id] = append(l.attempts[id], a)
}

func (l attemptLog) Forget(string) {}

// receiver answers requests. What it does with one is what the test says.
type receiver struct {
	mu       sync.Mutex
	answer   func(c *call) egress.Answer // default: 200
	took     time.Duration               // before it answers
	calls    []*call
	flying   int
	most     int             // at once
	accepted []gatecast.Seq  // in the order of their answers
	bodies   map[string]body // by webhook-id
	broken   []string        // what must never be
	lanes    map[string]bool // devices under way
}

type body struct {
	text string
}

// call is one request.
type call struct {
	at     time.Time
	url    string
	header http.Header
	body   []byte
	seqs   []gatecast.Seq
	nth    int // of this message, from 1
}

func newReceiver() *receiver { return &receiver{bodies: map[string]body{}, lanes: map[string]bool{}} }

func (r *receiver) Check(context.Context, string) error { return nil }

func (r *receiver) Post(ctx context.Context, q egress.Request) egress.Answer {
	c := &call{at: time.Now(), url: q.URL, header: q.Header, body: q.Body}
	answer := r.arrive(c)
	wait := time.NewTimer(min(r.took, q.Timeout))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		answer = egress.Answer{Err: ctx.Err()}
	}
	if r.took > q.Timeout {
		answer = egress.Answer{Err: context.DeadlineExceeded}
	}
	answer.Took = time.Since(c.at)
	r.leave(c, answer)
	return answer
}

func (r *receiver) arrive(c *call) egress.Answer {
	messages, err := webhook.Parse(c.body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.broken = append(r.broken, err.Error())
	}
	for _, m := range messages {
		var seq gatecast.Seq
		_, _ = fmt.Sscanf(m.MessageID, "e%d", &seq)
		c.seqs = append(c.seqs, seq)
	}
	id := c.header.Get("webhook-id")
	if b, seen := r.bodies[id]; seen && b.text != string(c.body) {
		r.broken = append(r.broken, "another body for "+id)
	}
	r.bodies[id] = body{text: string(c.body)}
	for _, other := range r.calls {
		if other.header.Get("webhook-id") == id {
			c.nth++
		}
	}
	c.nth++
	r.calls = append(r.calls, c)
	r.flying++
	r.most = max(r.most, r.flying)
	if r.answer == nil {
		return egress.Answer{Status: 200}
	}
	return r.answer(c)
}

func (r *receiver) leave(c *call, a egress.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying--
	if a.Status == 200 {
		r.accepted = append(r.accepted, c.seqs...)
	}
}

func (r *receiver) got() []gatecast.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accepted)
}

func (r *receiver) requests() []*call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// answers changes what the receiver does from now on.
func (r *receiver) answers(do func(c *call) egress.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = do
}

func always(status int) func(*call) egress.Answer {
	return func(*call) egress.Answer { return egress.Answer{Status: status} }
}

func refuses(*call) egress.Answer { return egress.Answer{Err: errors.New("connection refused")} }

// start runs a server over the site until the test ends or stop is called.
func (s *site) start(r *receiver, o Options) (server *Server, stop func()) {
	o.Epoch = epoch
	if o.Rand == nil {
		o.Rand = func() float64 { return 0 }
	}
	o.Notify = func(_ context.Context, e gatecast.Event) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notices = append(s.notices, e)
		return nil
	}
	server = New(Parts{Settings: s, Ring: s, History: s, Ledger: ledger{s}, Log: attemptLog{s}, Poster: r}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	s.t.Cleanup(stop)
	synctest.Wait()
	return server, stop
}

// told returns the types of the notices there were.
func (s *site) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var types []string
	for _, n := range s.notices {
		_, rest, _ := strings.Cut(string(n.Data), `"type":"subscription.`)
		name, _, _ := strings.Cut(rest, `"`)
		types = append(types, name)
	}
	return strings.Join(types, " ")
}

// pass lets a time pass, and whatever is due in it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func seqs(first, last gatecast.Seq) []gatecast.Seq {
	var all []gatecast.Seq
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}
