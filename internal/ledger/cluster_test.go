package ledger

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
)

// post is a node of a real cluster that delivers whenever it may. What it is to
// deliver is a row of numbers; what anybody has delivered is counted for all.
type post struct {
	*Store
	line *buckettest.Node
}

// round is what all nodes deliver together.
type round struct {
	leading atomic.Int32
	most    atomic.Int32
	terms   atomic.Int32

	mu   sync.Mutex
	sent map[gatecast.Seq]int
	head gatecast.Seq // the highest that was sent
	back gatecast.Seq // how far the furthest step back went
}

// deliver sends one number after the other from where the ledger stands, and
// saves each.
func (r *round) deliver(ctx context.Context, s *Store) {
	for ctx.Err() == nil && s.Lead(ctx) == nil {
		r.terms.Add(1)
		now := r.leading.Add(1)
		for most := r.most.Load(); now > most && !r.most.CompareAndSwap(most, now); most = r.most.Load() {
		}
		r.term(ctx, s)
		r.leading.Add(-1)
	}
}

func (r *round) term(ctx context.Context, s *Store) {
	p, _ := s.Progress(gate)
	lost := s.Lost()
	r.note(p.Head+1, true)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for head := p.Head + 1; ; head++ {
		select {
		case <-lost:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.note(head, false)
		s.Save(gate, at(head))
	}
}

// note counts a number that is sent, or looks how far back a term begins.
func (r *round) note(seq gatecast.Seq, begins bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if begins {
		if seq <= r.head {
			r.back = max(r.back, r.head-seq+1)
		}
		return
	}
	r.sent[seq]++
	r.head = max(r.head, seq)
}

func TestOnARealClusterOneNodeDeliversWhateverIsCut(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers, and waits for leases to expire: set GATECAST_SOAK")
	}
	c := buckettest.StartCluster(t)
	r := &round{sent: map[gatecast.Seq]int{}}
	var nodes []*post
	ctx, cancel := context.WithCancel(context.Background())
	var delivering sync.WaitGroup
	defer delivering.Wait()
	defer cancel()
	for i := range 3 {
		n := &post{line: c.Node(t)}
		o := shared
		o.Replicas, o.Node, o.Timeout = 3, fmt.Sprint(i), 20*time.Second
		var err error
		if n.Store, err = Open(t.Context(), n.line.Connect(t), o); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
		delivering.Go(func() { _ = n.Run(ctx) }) // its last commit may find the cluster gone
		delivering.Go(func() { r.deliver(ctx, n.Store) })
	}
	leader := func() (leads int) {
		buckettest.Eventually(t, "a node delivers", func() bool {
			for i, n := range nodes {
				if n.lease.leads() {
					leads = i
					return true
				}
			}
			return false
		})
		return leads
	}
	grows := func(what string) {
		t.Helper()
		r.mu.Lock()
		before := r.head
		r.mu.Unlock()
		buckettest.Eventually(t, what+", and deliveries go on", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.head > before+100
		})
	}
	grows("all is well")
	for range 2 {
		n := nodes[leader()]
		n.line.Cut()
		buckettest.Eventually(t, "the one that is cut off stops", func() bool { return !n.lease.leads() })
		grows("the one that delivered is cut off")
		n.line.Mend()
	}
	stream := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { stream = c.Leader("KV_gatecast_hooks"); return stream >= 0 })
	c.Isolate(stream)
	grows("the stream's leader is cut off")
	c.Join(stream)
	grows("it is back")
	buckettest.Eventually(t, "the stream has a leader", func() bool { stream = c.Leader("KV_gatecast_hooks"); return stream >= 0 })
	buckettest.Stop(c.Servers[stream])
	grows("the stream's leader is gone")
	cancel()
	delivering.Wait()
	r.check(t)
}

// check looks at what was delivered: all of it, by one at a time, and nothing
// twice but what came after the last commit of a term.
func (r *round) check(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	twice := 0
	for seq := gatecast.Seq(1); seq <= r.head; seq++ {
		n := r.sent[seq]
		if n == 0 {
			t.Errorf("%d was never delivered", seq)
		}
		twice += n - 1
	}
	t.Logf("%d delivered in %d terms, %d of them again; the furthest step back was %d", r.head, r.terms.Load(), twice, r.back)
	if r.most.Load() != 1 || r.terms.Load() < 3 {
		t.Errorf("%d nodes have delivered at once, in %d terms", r.most.Load(), r.terms.Load())
	}
	// A node that is cut off delivers for up to nine seconds, and none of it is
	// committed.
	if most := gatecast.Seq(int(r.terms.Load()) * 15 * 200); gatecast.Seq(twice) > most {
		t.Errorf("%d were delivered again, want at most %d", twice, most)
	}
}
