package hooks

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
)

// TestEveryEventIsDeliveredOrSetAsideWhateverIsChanged has somebody change
// everything there is to change of a subscription, while its endpoint fails,
// refuses some events for good and for a while all of them, and while the server
// is stopped and killed.
func TestEveryEventIsDeliveredOrSetAsideWhateverIsChanged(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStory(t, seed).tell() })
		})
	}
}

type story struct {
	t       *testing.T
	site    *site
	to      *receiver
	rnd     *dice
	poison  map[gatecast.Seq]bool
	bad     float64 // share of requests that fail
	down    bool    // all of them
	deaf    bool    // all are refused
	deafDay int     // when that happens
	server  *Server
	stop    func()
	replays bool // then the order of what is accepted first says nothing
	forgets bool // the journal, now and then, what is old
	strict  bool // all the time
}

func newStory(t *testing.T, seed uint64) *story {
	rnd := &dice{rand: rand.New(rand.NewPCG(seed, 2))}
	y := &story{t: t, site: newSite(t), to: newReceiver(), rnd: rnd, poison: map[gatecast.Seq]bool{}, replays: seed%4 == 0, forgets: seed%4 == 1, strict: seed%4 == 2}
	y.bad, y.deafDay = rnd.Float64()*0.6, rnd.IntN(40)
	y.to.took = time.Duration(rnd.IntN(200)) * time.Millisecond
	for n := range gatecast.Seq(1000) {
		y.poison[n] = rnd.IntN(25) == 0
	}
	y.to.answers(y.answer)
	y.site.put(subA, func(sub *gatecast.Subscription) {
		sub.Settings.Concurrency = 1 + rnd.IntN(8)
		if y.strict {
			sub.Settings.Order = gatecast.OrderStrict
		}
	})
	y.start()
	return y
}

func (y *story) start() {
	y.server, y.stop = y.site.start(y.to, Options{MaxPending: 16 + y.rnd.IntN(100), Rand: y.rnd.Float64})
}

// answer is called with the receiver's lock held.
func (y *story) answer(c *call) egress.Answer {
	switch {
	case y.down, y.rnd.Float64() < y.bad:
		return []egress.Answer{{Err: errors.New("reset")}, {Status: 503}, {Status: 429, RetryAfter: 2 * time.Second}}[y.rnd.IntN(3)]
	case y.deaf, slices.ContainsFunc(c.seqs, func(n gatecast.Seq) bool { return y.poison[n] }):
		return egress.Answer{Status: 422}
	}
	return egress.Answer{Status: 200}
}

// now changes what the receiver does.
func (y *story) now(change func()) {
	y.to.mu.Lock()
	defer y.to.mu.Unlock()
	change()
}

func (y *story) tell() {
	for day := range 40 {
		for range y.rnd.IntN(20) {
			y.site.record("d" + strconv.Itoa(y.rnd.IntN(5)))
		}
		y.site.shrinkRing(gatecast.Seq(y.rnd.IntN(30)))
		if day == y.deafDay {
			y.now(func() { y.deaf = true })
			pass(time.Duration(1+y.rnd.IntN(400)) * time.Second)
			y.now(func() { y.down, y.deaf = true, false })
			pass(10 * time.Second)
			y.now(func() { y.down = false })
		}
		pass(time.Duration(y.rnd.IntN(20_000)) * time.Millisecond)
		y.happen()
	}
	y.now(func() { y.bad = 0 })
	y.site.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "" })
	pass(72 * time.Hour)
	// One that passes, for what nothing else has convicted.
	y.now(func() { y.poison[y.site.Head()+1] = false })
	y.site.record("d0")
	pass(time.Hour)
	if st := y.server.State(subA); st.Status != gatecast.SubscriptionActive || st.LagEvents != 0 || st.InFlight != 0 || st.Pending != 0 {
		y.t.Errorf("in the end the state is %+v", st)
	}
	y.stop()
	y.check()
}

func (y *story) happen() {
	change := func(do func(*gatecast.Subscription)) { y.site.put(subA, do) }
	switch y.rnd.IntN(14) {
	case 13:
		if y.forgets {
			y.site.retain(gatecast.Seq(y.rnd.IntN(60)))
		}
	case 0:
		y.server.Drain(y.t.Context())
		y.stop()
		y.start()
	case 1:
		kept := y.site.copyKept()
		pass(time.Duration(y.rnd.IntN(1500)) * time.Millisecond)
		y.stop()
		y.site.restoreKept(kept)
		y.start()
	case 2, 3:
		if y.strict {
			return
		}
		change(func(sub *gatecast.Subscription) {
			sub.Settings.Order = []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict}[y.rnd.IntN(2)]
		})
	case 4:
		change(func(sub *gatecast.Subscription) { sub.Settings.Batch.Max = y.rnd.IntN(6) })
	case 5:
		change(func(sub *gatecast.Subscription) {
			sub.Settings.URL = "http://other.example/" + strconv.Itoa(y.rnd.IntN(9))
		})
	case 6:
		change(func(sub *gatecast.Subscription) { sub.Paused = "a while" })
	case 7, 8:
		change(func(sub *gatecast.Subscription) { sub.Paused = "" })
	case 9:
		// The filter lets through all the others, and d4 at times.
		change(func(sub *gatecast.Subscription) {
			sub.Settings.Filter.Devices = nil
			if y.rnd.IntN(2) == 0 {
				sub.Settings.Filter.Devices = []string{"d0", "d1", "d2", "d3"}
			}
		})
	case 10, 11:
		if head := int(y.site.Head()); y.replays && head > 1 {
			from := y.rnd.IntN(head)
			_, _ = y.server.StartReplay(y.t.Context(), subA, gatecast.Seq(from), gatecast.Seq(from+1+y.rnd.IntN(head-from)))
		}
	case 12:
		if y.replays {
			_, _ = y.server.CancelReplay(y.t.Context(), subA)
		}
	}
}

// retain removes all events but the newest, in the journal and on the ring.
func (s *site) retain(newest gatecast.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := gatecast.Seq(len(s.events)); n > newest {
		s.first = max(s.first, n-newest+1)
		s.floor = max(s.floor, s.first-1)
	}
}

func (y *story) check() {
	t, s := y.t, y.site
	last, done := map[string]gatecast.Seq{}, map[gatecast.Seq]bool{}
	for _, seq := range y.to.got() {
		device := s.events[seq-1].Device
		if y.strict {
			device = "any"
		}
		if y.poison[seq] {
			t.Errorf("%d was accepted", seq)
		}
		if !done[seq] && seq <= last[device] && !y.replays {
			t.Errorf("%d was accepted after %d of %q", seq, last[device], device)
		}
		last[device], done[seq] = max(last[device], seq), true
	}
	for _, d := range s.dead[subA] {
		if !y.poison[d.Seq] {
			t.Errorf("%d was set aside after %d tries", d.Seq, d.Tries)
		}
		done[d.Seq] = true
	}
	var want []gatecast.Seq
	for _, e := range s.events {
		if e.Device != "d4" && (done[e.Seq] || e.Seq >= s.first) {
			want = append(want, e.Seq)
		}
	}
	maps.DeleteFunc(done, func(n gatecast.Seq, _ bool) bool { return s.events[n-1].Device == "d4" })
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(done))); diff != "" {
		t.Errorf("%d events, %d poisoned and set aside, state %+v; delivered or set aside: %s", len(s.events), len(s.dead[subA]), s.kept[subA], diff)
	}
	gone := 0
	for seq := gatecast.Seq(1); seq < s.first; seq++ {
		if !done[seq] && s.events[seq-1].Device != "d4" {
			gone++
		}
	}
	if lost := int(s.kept[subA].Lost); len(y.to.broken) > 0 || lost < gone || lost > 0 && !y.forgets {
		t.Errorf("what must never be: %v; %d lost, %d counted", y.to.broken, gone, lost)
	}
}
