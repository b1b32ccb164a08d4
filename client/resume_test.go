package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// Any schedule of cuts, of events that come twice, of events that retention
// takes away, of late acknowledgements and of crashes of the consumer: each
// event is delivered at least once, in order, or told as lost; once if it was
// acknowledged before a crash; and the cursor never passes one that is open.
func TestWhateverHappensNothingIsMissedAndTheCursorPassesNothingOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := plan{
			total:   gatecast.Seq(rapid.IntRange(1, 40).Draw(rt, "events")),
			cuts:    rapid.SliceOfN(rapid.IntRange(1, 12), 0, 8).Draw(rt, "cuts"),
			twice:   rapid.SliceOfN(rapid.Bool(), 7, 7).Draw(rt, "twice"),
			window:  rapid.SampledFrom([]int{1, 2, 3, 7, 1000}).Draw(rt, "in flight"),
			named:   rapid.Bool().Draw(rt, "named"),
			crashes: rapid.SliceOfN(rapid.IntRange(1, 15), 0, 3).Draw(rt, "crashes"),
			removed: rapid.SliceOfN(rapid.IntRange(0, 4), 3, 3).Draw(rt, "removed"),
			delays:  rapid.Uint64().Draw(rt, "delays"),
		}
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = newWorld(t, p).run() })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// plan is one schedule.
type plan struct {
	total   gatecast.Seq
	cuts    []int // the first connections end before so many events
	twice   []bool
	window  int
	named   bool
	crashes []int // the first loops end after so many deliveries
	removed []int // events that are gone after each of them
	delays  uint64
}

// world is a plan at work.
type world struct {
	plan
	t   *testing.T
	v   *vault
	sub Subscription

	mu     sync.Mutex // guards what follows
	dead   bool       // the consumer has crashed: nothing it says is heard
	acked  map[gatecast.Seq]bool
	lost   map[gatecast.Seq]bool // told and acknowledged as lost
	had    map[gatecast.Seq]bool // delivered in any loop
	cursor gatecast.Seq          // where the next loop begins
	known  bool                  // there is a cursor, so what retention removes must be told
	wrong  string
}

func newWorld(t *testing.T, p plan) *world {
	w := &world{
		plan: p, t: t, v: newVault(t, int(p.total)), sub: Subscription{InFlight: p.window},
		acked: make(map[gatecast.Seq]bool), lost: make(map[gatecast.Seq]bool), had: make(map[gatecast.Seq]bool),
	}
	w.v.cut = func(n, i int) bool { return n <= len(p.cuts) && i >= p.cuts[n-1] }
	w.v.again = func(n, i int) bool { return p.twice[(n+i)%7] }
	w.v.onAck = func(_ string, seq gatecast.Seq) { w.moved(seq) }
	if p.named {
		w.sub.Name = "hr"
	} else {
		w.sub.Cursor, w.sub.Since = (*worldCursor)(w), Earliest()
	}
	return w
}

// worldCursor is a store that a crash cuts off.
type worldCursor world

func (c *worldCursor) Load(context.Context) (Position, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Position{"E1", c.cursor}, c.known, nil
}

func (c *worldCursor) Save(_ context.Context, p Position) error {
	(*world)(c).moved(p.Seq)
	return nil
}

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = fmt.Sprintf(format, args...)
}

// moved checks a cursor on its way to whoever keeps it.
func (w *world) moved(seq gatecast.Seq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := gatecast.Seq(1); n <= seq; n++ {
		if !w.acked[n] && !w.lost[n] {
			w.wrong = fmt.Sprintf("the cursor is at %d, and %d is open", seq, n)
		}
	}
	if !w.dead {
		w.cursor, w.known = max(w.cursor, seq), true
	}
}

// run loops until everything is acknowledged and returns what went wrong.
func (w *world) run() string {
	c := newClient(w.t, serve(w.t, sessions(w.t, w.v.serve)), quick)
	delays := rand.New(rand.NewPCG(1, w.delays))
	for _, crash := range append(slices.Clone(w.crashes), -1) {
		if w.cursor == w.total {
			break // nothing would come, so nothing would end the loop
		}
		w.loop(c, crash, delays)
		synctest.Wait() // the vault has heard what there was to hear
		if crash > 0 && (w.known || w.named) {
			w.v.mu.Lock()
			w.v.first = min(w.v.first+gatecast.Seq(w.removed[crash%3]), w.total)
			w.v.cursors["hr"] = w.cursor
			w.v.mu.Unlock()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong != "" {
		return w.wrong
	}
	for n := gatecast.Seq(1); n <= w.total; n++ {
		if !w.had[n] && !w.lost[n] {
			return fmt.Sprintf("event %d never came, and nobody said so", n)
		}
	}
	return ""
}

// loop is one life of the consumer; it crashes after so many deliveries, and
// ends when everything is acknowledged if that is negative.
func (w *world) loop(c *Client, crash int, delays *rand.Rand) {
	w.mu.Lock()
	w.dead = false
	from := w.cursor
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour) // simulated: no schedule needs minutes
	defer cancel()
	var pending sync.WaitGroup
	defer pending.Wait()
	var seen gatecast.Seq
	count := 0
	for d, err := range c.Subscribe(ctx, w.sub) {
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				w.fail("the loop hangs: %+v", w.plan)
			}
			return
		}
		w.deliver(d, from, seen)
		seen = d.Seq
		if count++; count == crash {
			w.mu.Lock()
			w.dead = true
			w.mu.Unlock()
			return
		}
		delay := time.Duration(delays.IntN(4)*delays.IntN(200)) * time.Millisecond
		pending.Go(func() {
			if delay > 0 {
				time.Sleep(delay) // simulated: a worker
			}
			if w.settle(d) {
				cancel()
			}
		})
	}
}

// deliver checks one delivery.
func (w *world) deliver(d *Delivery, from, seen gatecast.Seq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case d.Gap != nil && d.Gap.From < from:
		w.wrong = fmt.Sprintf("gap %+v, but the cursor was %d", *d.Gap, from)
	case d.Gap == nil && d.Seq <= seen:
		w.wrong = fmt.Sprintf("event %d came after %d", d.Seq, seen)
	case d.Gap == nil && d.Seq <= from:
		w.wrong = fmt.Sprintf("event %d came again behind the cursor %d", d.Seq, from)
	}
	if d.Gap == nil {
		w.had[d.Seq] = true
	}
}

// settle acknowledges a delivery and reports whether it was the last open one.
func (w *world) settle(d *Delivery) bool {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return false
	}
	if g := d.Gap; g != nil {
		for n := g.From + 1; n <= g.To; n++ {
			w.lost[n] = true
		}
	} else {
		w.acked[d.Seq] = true
	}
	all := !slices.ContainsFunc(upTo(1, w.total), func(n gatecast.Seq) bool { return !w.acked[n] && !w.lost[n] })
	w.mu.Unlock()
	d.Ack()
	return all
}
