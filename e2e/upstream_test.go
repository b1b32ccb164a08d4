package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// rush is how often something happens at each vendor's server in the tests of
// chaos: 50 times a second, and more often when it has to catch up.
const rush = 20 * time.Millisecond

// TestUpstreamsAreCompleteSurvivesChaosAndKills is the promise of sources: two
// servers of the old generation and one of the new are cut, stalled and
// restarted at random under load, and so is gatecast. Afterwards the journal has
// every event once, and whatever was said of completeness meanwhile was true.
func TestUpstreamsAreCompleteSurvivesChaosAndKills(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	p := newPlay(t, rng)
	halt := feed(t, rng, rush, p.vendors...)
	for i := range rounds(6) {
		p.trouble(t, p.vendors[rng.IntN(len(p.vendors))])
		p.pass(t, 40+rng.IntN(60))
		if i%3 == 2 {
			p.crash(t)
		}
	}
	halt()
	p.settle(t)
	p.check(t)
}

// play is vendors' servers, gatecast in front of them, and who watches.
type play struct {
	rng     *rand.Rand
	data    string
	server  *server
	vendors []*vendor
	notary  *notary
	heirs   []*heir
}

// newPlay starts all of them, and returns when every source is live.
func newPlay(t *testing.T, rng *rand.Rand) *play {
	t.Helper()
	p := &play{rng: rng, data: t.TempDir()}
	p.server = start(t, p.data)
	p.vendors = []*vendor{
		startVendor(t, "old-v4", gatecast.RESTv4, 10_000_000),
		startVendor(t, "old-v5", gatecast.RESTv5, 20_000_000),
		startVendor(t, "posting", gatecast.RESTv5, 30_000_000),
	}
	p.vendors[2].back = newProxy(t)
	p.vendors[2].back.leadTo(p.server)
	for _, c := range usableStocks(t)[:1] {
		p.heirs = append(p.heirs, newHeir(t, p.server, c)) // before the first event
	}
	for _, v := range p.vendors {
		p.server.addVendor(t, v)
	}
	p.vendors[2].subscribe(t)
	for _, v := range p.vendors[:2] {
		p.server.untilSource(t, v.name, "live", func(src sourceView) bool { return src.State.Status == gatecast.SourceLive })
	}
	p.notary = newNotary(t, p.server)
	return p
}

// trouble has something go wrong with a vendor's server, or between it and
// gatecast.
func (p *play) trouble(t *testing.T, v *vendor) {
	t.Helper()
	ways := []string{
		`{"mode":"drop"}`, `{"mode":"stall","for":"3s"}`, `{"mode":"stall","for":"2s","all":true}`, `{"mode":"silent","for":"1s"}`,
		`{"mode":"restart","for":"1s"}`, `{"mode":"twice","for":"2s"}`, `{"mode":"disorder","n":3,"for":"2s"}`, `{"mode":"rubbish","n":5,"for":"1s"}`,
		`{"mode":"rest-500","for":"3s"}`, `{"mode":"rest-498","for":"3s"}`, `{"mode":"rest-slow","by":"2s","for":"3s"}`, `{"mode":"rest-cut","for":"3s"}`,
		"reset", "part",
	}
	way := ways[p.rng.IntN(len(ways))]
	t.Logf("%s: %s", v.name, way)
	switch way {
	case "reset":
		v.net.reset()
	case "part":
		v.net.part()
	default:
		v.pull(t, "misbehave", way)
	}
	if posting := p.vendors[2]; p.rng.IntN(2) == 0 && posting.standing(within(t), t).Subscription.State != "normal" {
		_, _ = posting.trySubscribe(t) // somebody has noticed, and looks again later
	}
}

// pass waits until so many events more have happened at each vendor's server.
func (p *play) pass(t *testing.T, n int) {
	t.Helper()
	ctx := within(t)
	for _, v := range p.vendors {
		goal := v.count(ctx, t) + n
		eventually(t, fmt.Sprintf("%s has %d events", v.name, goal), func(ctx context.Context) bool { return v.count(ctx, t) >= goal })
	}
}

func (v *vendor) count(ctx context.Context, t *testing.T) int {
	t.Helper()
	var st struct{ Events int }
	if err := v.look(ctx, "status", &st); err != nil {
		t.Fatal(err)
	}
	return st.Events
}

// crash kills gatecast and starts it again on the same data.
func (p *play) crash(t *testing.T) {
	t.Helper()
	p.server.kill(t)
	p.server = start(t, p.data)
	p.notary.follow(p.server)
	p.vendors[2].back.leadTo(p.server)
	for _, k := range p.heirs {
		k.rejoin(t, p.server)
	}
}

// settle ends all trouble, and waits until every source is said to be complete
// through everything that has happened.
func (p *play) settle(t *testing.T) {
	t.Helper()
	through := time.Now()
	for _, v := range p.vendors {
		v.pull(t, "behave", "{}")
	}
	defer p.demand(t)()
	for _, v := range p.vendors {
		p.server.untilSource(t, v.name, "complete", func(src sourceView) bool {
			st := src.State.Statement
			return st.Error == "" && st.Through.After(through)
		})
	}
}

// demand has gatecast look at every source, again and again, until the test
// calls the function returned.
func (p *play) demand(t *testing.T) (halt func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, v := range p.vendors {
		all.Go(func() {
			for ctx.Err() == nil {
				_, answer, err := p.server.do(ctx, http.MethodPost, "/api/v1/sources/"+v.name+"/reconcile", "", nil)
				if err != nil && ctx.Err() == nil {
					t.Errorf("have gatecast look at %s: %s (%v)", v.name, answer, err)
					return
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// check stops gatecast and holds its journal against the truth.
func (p *play) check(t *testing.T) {
	t.Helper()
	for _, k := range p.heirs {
		k.untilHas(t, p.server)
	}
	p.server.stop(t)
	events := openJournal(t, p.data)
	for _, k := range p.heirs {
		k.checkHeir(t, events)
	}
	for _, v := range p.vendors {
		truth := v.truth(t)
		compare(t, v, truth, events)
		p.notary.check(t, v, truth, events)
	}
}
