package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

// TestSubscriptionsMissNothingSurvivesKill lets programs with the SDK follow a
// load: their server is killed again and again, and they themselves leave
// their loops at random, with acknowledgements behind.
func TestSubscriptionsMissNothingSurvivesKill(t *testing.T) {
	rng, books, data := seeded(t), newLedger(), t.TempDir()
	s := start(t, data)
	var kills atomic.Int64
	subscribers := enrol(t, s, rng, &kills)
	halt := books.trickle(s, rng, pace)
	for range rounds(3) {
		books.untilAcked(t, 100+rng.IntN(900))
		kills.Add(1)
		s.kill(t)
		halt()
		s = start(t, data)
		for _, p := range subscribers {
			p.net.leadTo(s)
		}
		halt = books.trickle(s, rng, pace)
	}
	halt()
	books.resolve(t, s)
	for _, p := range subscribers {
		p.until(t, books.next-1)
	}
	s.stop(t)
	events := openJournal(t, data)
	books.check(t, events)
	for _, p := range subscribers {
		p.check(t, events)
	}
}

// subscriber is a program with the SDK that leaves its loop and begins anew,
// again and again.
type subscriber struct {
	what  string
	sub   client.Subscription
	wants func(n int64) bool // what its filter lets through
	net   *proxy
	kills *atomic.Int64 // how often the server was killed
	halt  func()        // ends it, and waits

	mu    sync.Mutex // guards the fields below; nothing waits under it
	lives []loop
	fault error
}

// loop is one loop over a subscription.
type loop struct {
	kills   int64 // there had been before it began
	first   int64 // kills at its first delivery
	numbers []int64
	acked   gatecast.Seq // all up to here was acknowledged when it was left
}

// enrol starts the subscribers on a server that has no events, and returns when
// each has a cursor.
func enrol(t *testing.T, s *server, rng *rand.Rand, kills *atomic.Int64) []*subscriber {
	t.Helper()
	all := func(int64) bool { return true }
	const sn = "SPSP-00000000000000000000000000000003"
	door := gatecast.Filter{Kinds: []gatecast.Kind{gatecast.Alarm}, Devices: []string{sn}}
	doors := func(n int64) bool { return n%5 == 4 && n%7 == 3 }
	file := func() client.CursorStore { return client.FileCursor(filepath.Join(t.TempDir(), "cursor")) }
	list := []*subscriber{
		{what: "its own cursor", sub: client.Subscription{Cursor: file(), Since: client.Earliest()}, wants: all},
		{what: "a name", sub: client.Subscription{Name: "all"}, wants: all},
		{what: "its own cursor, filtered", sub: client.Subscription{Cursor: file(), Since: client.Earliest(), Filter: door}, wants: doors},
		{what: "a name, filtered", sub: client.Subscription{Name: "doors", Filter: door}, wants: doors},
	}
	for _, p := range list {
		p.net, p.kills = newProxy(t), kills
		p.net.leadTo(s)
		p.start(t, s, s.createAppFor(t, p.what), rand.New(rand.NewPCG(rng.Uint64(), 3)))
	}
	return list
}

// start begins with the first loop and waits until that is connected.
func (p *subscriber) start(t *testing.T, s *server, a app, rng *rand.Rand) {
	t.Helper()
	connected := make(chan struct{}, 1)
	c := newSDK(t, p.net.base(), a, connected)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil && p.fault == nil {
			p.loop(ctx, c, rng)
		}
	})
	p.halt = func() { cancel(); work.Wait() }
	t.Cleanup(p.halt)
	select {
	case <-connected:
	case <-within(t).Done():
		t.Fatalf("a subscriber with %s never connects to %s", p.what, s.base)
	}
}

// newSDK makes a client that comes back soon, and says when it has first
// connected.
func newSDK(t *testing.T, base string, a app, connected chan<- struct{}) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{
		URL: base, AppKey: a.Key, AppSecret: a.Secret, Backoff: client.Backoff{Max: 200 * time.Millisecond},
		OnState: func(s client.State) {
			select {
			case connected <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loop goes on until a random number of deliveries, and acknowledges each a
// random number of deliveries later.
func (p *subscriber) loop(ctx context.Context, c *client.Client, rng *rand.Rand) {
	leave, lag := 1+rng.IntN(300), rng.IntN(40)
	p.change(func() { p.lives = append(p.lives, loop{kills: p.kills.Load()}) })
	var open []*client.Delivery
	for d, err := range c.Subscribe(ctx, p.sub) {
		if err != nil {
			if ctx.Err() == nil {
				p.change(func() { p.fault = err })
			}
			return
		}
		p.take(d)
		if open = append(open, d); len(open) > lag {
			open[0].Ack()
			p.change(func() { p.lives[len(p.lives)-1].acked = open[0].Seq })
			open = open[1:]
		}
		if leave--; leave == 0 {
			return
		}
	}
}

// take notes a delivery.
func (p *subscriber) take(d *client.Delivery) {
	var data struct{ ID int64 }
	err := json.Unmarshal(d.Data, &data)
	switch {
	case d.Gap != nil:
		err = fmt.Errorf("it is told of a gap: %+v", *d.Gap)
	case err == nil && string(d.Data) != sample(data.ID).data:
		err = fmt.Errorf("it is handed %s", d.Data)
	}
	p.change(func() {
		l := &p.lives[len(p.lives)-1]
		if len(l.numbers) == 0 {
			l.first = p.kills.Load()
		}
		l.numbers = append(l.numbers, data.ID)
		if err != nil && p.fault == nil {
			p.fault = err
		}
	})
}

func (p *subscriber) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// until waits for the newest event up to number last that it wants, and ends
// the subscriber. Nothing is posted any more.
func (p *subscriber) until(t *testing.T, last int64) {
	t.Helper()
	for !p.wants(last) {
		last--
	}
	eventually(t, fmt.Sprintf("a subscriber with %s is handed event %d", p.what, last), func(context.Context) (done bool) {
		p.change(func() {
			for _, l := range p.lives {
				if n := len(l.numbers); n > 0 && l.numbers[n-1] == last {
					done = true
				}
			}
			done = done || p.fault != nil
		})
		return done
	})
	p.halt()
}

// check compares what its loops were handed with the journal. A loop is handed
// each event once and leaves out none, and begins after what the one before had
// acknowledged. Only where the server kept the cursor and was killed may that
// come again, also in the middle of a loop: then what the loop has not had
// itself comes first, and what it has had is left out.
func (p *subscriber) check(t *testing.T, journal []gatecast.Event) {
	t.Helper()
	if p.fault != nil {
		t.Errorf("a subscriber with %s: %v", p.what, p.fault)
	}
	places, events := map[int64]int{}, []gatecast.Event(nil)
	for n, at := range placesOf(t, journal) {
		if p.wants(n) {
			places[n] = at
		}
	}
	rank := map[int]int{} // place in the journal to place among the wanted
	for at, e := range journal {
		if n := numberOf(t, e); p.wants(n) {
			rank[at] = len(events)
			events = append(events, e)
		}
	}
	next, repeated := 0, 0
	for i, l := range p.lives {
		handed := map[int]bool{}
		for j, n := range l.numbers {
			at, wanted := places[n]
			if !wanted {
				t.Fatalf("%s, loop %d: event %d is not for it, or not in the journal", p.what, i, n)
			}
			at = rank[at]
			again := handed[at]
			handed[at] = true
			switch {
			case again, j > 0 && !p.follows(at, rank[places[l.numbers[j-1]]], rank[places[l.numbers[0]]], handed):
				t.Fatalf("%s, loop %d: event %d came right after event %d", p.what, i, n, l.numbers[j-1])
			case j == 0 && at > next:
				t.Fatalf("%s misses %d events: loop %d begins after them", p.what, at-next, i)
			case j == 0 && i > 0 && events[at].Seq <= p.floor(i):
				t.Errorf("%s, loop %d begins at %d, although all up to %d was acknowledged", p.what, i, events[at].Seq, p.floor(i))
			}
			if at < next {
				repeated++
			}
			next = max(next, at+1)
		}
	}
	if next != len(events) || next == 0 {
		t.Errorf("%s has been handed %d of %d events", p.what, next, len(events))
	}
	t.Logf("%-26s %d loops, %d events, %d of them twice", p.what, len(p.lives), next, repeated)
}

// follows reports whether the event at a place may be handed to a loop after
// the one at before.
func (p *subscriber) follows(at, before, first int, handed map[int]bool) bool {
	if at == before+1 {
		return true
	}
	if p.sub.Name == "" || p.kills.Load() == 0 {
		return false
	}
	if at < first {
		return true // the killed server's cursor was older than this loop
	}
	for between := before + 1; between < at; between++ {
		if !handed[between] {
			return false
		}
	}
	return at > before
}

// floor is what was acknowledged for good when loop i began.
func (p *subscriber) floor(i int) (floor gatecast.Seq) {
	for _, l := range p.lives[:i] {
		if p.sub.Name == "" || l.kills == p.lives[i].first {
			floor = max(floor, l.acked)
		}
	}
	return floor
}

// numberOf returns the number of an event of the load.
func numberOf(t *testing.T, e gatecast.Event) int64 {
	t.Helper()
	var data struct{ ID int64 }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		t.Fatal(err)
	}
	return data.ID
}

// TestSubscriptionsAreToldWhatRetentionTook has the journal drop everything
// while the programs are away.
func TestSubscriptionsAreToldWhatRetentionTook(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	a := s.createApp(t)
	file := client.FileCursor(filepath.Join(t.TempDir(), "cursor"))
	subs := []client.Subscription{{Cursor: file, Since: client.Earliest()}, {Name: "gone"}}
	for _, sub := range subs {
		visit(t, s, a, sub, 0)
	}
	s.postSamples(t, 0, 300)
	for _, sub := range subs {
		for i, d := range visit(t, s, a, sub, 100) {
			if d.Gap != nil || string(d.Data) != sample(int64(i)).data {
				t.Fatalf("delivery %d is %+v", i, d)
			}
		}
	}
	s.stop(t)
	s = forget(t, data)
	s.postSamples(t, 300, 50)
	for _, sub := range subs {
		got := visit(t, s, a, sub, 51)
		if g := got[0].Gap; g == nil || *g != (gatecast.GapNotice{From: 100, To: 300, Reason: gatecast.GapRetention}) {
			t.Errorf("%+v: the first delivery is %+v, want the gap from 100 to 300", sub, got[0])
		}
		for i, d := range got[1:] {
			if d.Gap != nil || string(d.Data) != sample(int64(300+i)).data {
				t.Errorf("delivery %d after the gap is %+v", i, d)
			}
		}
	}
}

// visit takes so many deliveries, acknowledges them, and leaves. For none it
// stays until it is connected.
func visit(t *testing.T, s *server, a app, sub client.Subscription, n int) []*client.Delivery {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	connected := make(chan struct{}, 1)
	c := newSDK(t, s.base, a, connected)
	if n == 0 {
		go func() { <-connected; cancel() }()
	}
	var got []*client.Delivery
	for d, err := range c.Subscribe(ctx, sub) {
		if err != nil {
			if n == 0 {
				return nil
			}
			t.Fatalf("after %d deliveries: %v", len(got), err)
		}
		d.Ack()
		if got = append(got, d); len(got) == n {
			break
		}
	}
	return got
}

// postSamples posts events of the load, n from number first on.
func (s *server) postSamples(t *testing.T, first int64, n int) {
	t.Helper()
	b := batch{lines: true}
	for i := range int64(n) {
		b.events = append(b.events, sample(first+i))
	}
	contentType, body := b.encode()
	if r, err := s.post(within(t), contentType, body); err != nil || r.Accepted != n {
		t.Fatalf("post %d events: %+v, %v", n, r, err)
	}
}

// forget has the journal in a stopped server's directory drop all its events
// for their age, and starts a server that keeps what comes from then on.
func forget(t *testing.T, data string) *server {
	t.Helper()
	s := start(t, data, "--journal.max_age=1s", "--journal.dedup_window=1s")
	eventually(t, "the journal is empty", func(ctx context.Context) bool {
		var status struct{ Events *int }
		return s.ask(ctx, "/api/v1/status", &status) == nil && status.Events != nil && *status.Events == 0
	})
	s.stop(t)
	return start(t, data)
}
