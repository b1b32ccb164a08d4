package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
)

// TestNothingIsLostOrOutOfOrderWhateverHappens has an endpoint fail in every
// way, and the server stopped and killed, and compares in the end what was
// stored with what was accepted. Each seed is another story.
func TestNothingIsLostOrOutOfOrderWhateverHappens(t *testing.T) {
	orders := []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone}
	for seed := range uint64(90) {
		order := orders[seed%3]
		t.Run(fmt.Sprintf("%s %d", order, seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed, order) })
		})
	}
}

func chaos(t *testing.T, seed uint64, order gatecast.Order) {
	rnd := &dice{rand: rand.New(rand.NewPCG(seed, 1))}
	s, r := newSite(t), newReceiver()
	r.took = time.Duration(rnd.IntN(300)) * time.Millisecond
	batch := 0
	if rnd.IntN(3) == 0 {
		batch = 1 + rnd.IntN(8)
	}
	s.put(subA, func(sub *gatecast.Subscription) {
		sub.Settings.Order, sub.Settings.Batch.Max = order, batch
		sub.Settings.Concurrency = 1 + rnd.IntN(8)
	})
	bad := rnd.Float64() // share of requests that fail
	r.answers(func(*call) egress.Answer {
		if rnd.Float64() >= bad {
			return egress.Answer{Status: 200}
		}
		return []egress.Answer{
			{Err: errors.New("reset")}, {Status: 500}, {Status: 302}, {Err: context.DeadlineExceeded}, {Status: 429, RetryAfter: 3 * time.Second},
		}[rnd.IntN(5)]
	})
	o := Options{MaxPending: 16 + rnd.IntN(50), Rand: rnd.Float64}
	server, stop := s.start(r, o)
	for range 30 {
		for range rnd.IntN(20) {
			s.record("d" + strconv.Itoa(rnd.IntN(5)))
		}
		s.shrinkRing(gatecast.Seq(rnd.IntN(30)))
		pass(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		switch rnd.IntN(8) {
		case 0: // a gentle stop
			server.Drain(t.Context())
			stop()
			server, stop = s.start(r, o)
		case 1: // a crash: what was kept a moment ago is what is left
			kept := s.copyKept()
			pass(time.Duration(rnd.IntN(1500)) * time.Millisecond)
			stop()
			s.restoreKept(kept)
			server, stop = s.start(r, o)
		case 2:
			s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Concurrency = 1 + rnd.IntN(8) })
		}
	}
	r.answers(nil)
	pass(time.Hour)
	stop()
	check(t, s, r, order)
}

// dice is a source of chance that several may throw.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

func (d *dice) Float64() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64()
}

func (s *site) shrinkRing(keep gatecast.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := gatecast.Seq(len(s.events)); n > keep {
		s.floor = max(s.floor, n-keep)
	}
}

func (s *site) copyKept() map[string]gatecast.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kept)
}

func (s *site) restoreKept(kept map[string]gatecast.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = kept
}

// check compares what was accepted with what was stored. What was accepted
// twice, after a crash, counts where it was accepted first.
func check(t *testing.T, s *site, r *receiver, order gatecast.Order) {
	t.Helper()
	last := map[string]gatecast.Seq{}
	seen := map[gatecast.Seq]bool{}
	for _, seq := range r.got() {
		if seen[seq] {
			continue
		}
		seen[seq] = true
		lane := map[gatecast.Order]string{
			gatecast.OrderDevice: s.events[seq-1].Device, gatecast.OrderStrict: "", gatecast.OrderNone: strconv.Itoa(int(seq)),
		}[order]
		if seq <= last[lane] {
			t.Errorf("%d was accepted after %d of %q", seq, last[lane], lane)
		}
		last[lane] = seq
	}
	if diff := cmp.Diff(seqs(1, s.Head()), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Error(diff)
	}
	if len(r.broken) > 0 {
		t.Errorf("what must never be: %v", r.broken)
	}
	if len(s.dead[subA]) > 0 || s.kept[subA].Lost > 0 {
		t.Errorf("%d dead letters, %d lost", len(s.dead[subA]), s.kept[subA].Lost)
	}
}
