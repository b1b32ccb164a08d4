package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/nats-io/nats.go/jetstream"
)

// TestCluster runs the suite on three servers, replicas three.
func TestCluster(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers: set GATECAST_SOAK")
	}
	c := buckettest.StartCluster(t)
	buckets := 0
	var ways []jetstream.JetStream
	for range 3 {
		ways = append(ways, c.Node(t).Connect(t))
	}
	buckettest.Run(t, func(t *testing.T) func() bucket.Bucket {
		buckets++
		name, nodes := fmt.Sprint("b", buckets), 0
		return func() bucket.Bucket {
			nodes++
			return open(t, ways[nodes%len(ways)], bucket.Options{Name: name, Replicas: 3, Timeout: 30 * time.Second})
		}
	})
}

// crowd is nodes that want a lease of a real cluster.
type crowd struct {
	*buckettest.Cluster
	t       *testing.T
	nodes   [3]*buckettest.Node
	leases  [3]*bucket.Lease
	working atomic.Int32
	most    atomic.Int32
	terms   atomic.Int32
}

func newCrowd(t *testing.T) *crowd {
	w := &crowd{Cluster: buckettest.StartCluster(t), t: t}
	for i := range w.nodes {
		w.nodes[i] = w.Node(t)
		b := open(t, w.nodes[i].Connect(t), bucket.Options{Name: "b", Replicas: 3, Timeout: 30 * time.Second})
		w.leases[i] = bucket.NewLease(b, bucket.LeaseOptions{Work: "works", Node: fmt.Sprint(i)})
		ctx, cancel := context.WithCancel(context.Background())
		var keeping sync.WaitGroup
		keeping.Go(func() { w.leases[i].Keep(ctx, w.work) })
		t.Cleanup(func() { cancel(); keeping.Wait() })
	}
	return w
}

func (w *crowd) work(held context.Context) {
	w.terms.Add(1)
	now := w.working.Add(1)
	for most := w.most.Load(); now > most && !w.most.CompareAndSwap(most, now); most = w.most.Load() {
	}
	<-held.Done()
	w.working.Add(-1)
}

// holder waits until one of some nodes holds the lease.
func (w *crowd) holder(among ...int) (holder int) {
	w.t.Helper()
	buckettest.Eventually(w.t, fmt.Sprintf("one of %v has the lease", among), func() bool {
		for _, i := range among {
			if w.leases[i].Held() {
				holder = i
				return true
			}
		}
		return false
	})
	return holder
}

func (w *crowd) others(than int) []int { return []int{(than + 1) % 3, (than + 2) % 3} }

func TestOnARealClusterALeaseHasOneHolderWhateverIsCut(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers, and waits for leases to expire: set GATECAST_SOAK")
	}
	w := newCrowd(t)
	holder := w.holder(0, 1, 2)

	t.Log("the holder's connection is cut")
	w.nodes[holder].Cut()
	w.holder(w.others(holder)...)
	w.nodes[holder].Mend()

	t.Log("the server that leads the bucket's stream is cut off from the others")
	leader := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = w.Leader("KV_b"); return leader >= 0 })
	w.Isolate(leader)
	buckettest.Eventually(t, "another server leads", func() bool {
		for _, i := range w.others(leader) {
			if w.Servers[i].JetStreamIsStreamLeader("$G", "KV_b") {
				return true
			}
		}
		return false
	})
	w.Join(leader)
	w.holder(0, 1, 2)

	t.Log("the server that leads is stopped for good")
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = w.Leader("KV_b"); return leader >= 0 })
	buckettest.Stop(w.Servers[leader])
	buckettest.Eventually(t, "another server leads", func() bool { return w.Leader("KV_b") >= 0 })
	next := w.holder(0, 1, 2)
	w.nodes[next].Cut()
	w.holder(w.others(next)...)
	w.nodes[next].Mend()
	buckettest.Eventually(t, "all is well again", func() bool {
		for _, l := range w.leases {
			if l.Healthy() != nil {
				return false
			}
		}
		return true
	})
	if w.most.Load() != 1 || w.terms.Load() < 3 {
		t.Errorf("%d have worked at once, in %d terms", w.most.Load(), w.terms.Load())
	}
}

// TestOnARealClusterAWriteToALeaderWithoutTheOthersIsNotAcknowledged writes through the
// server that leads the stream and is cut off.
func TestOnARealClusterAWriteToALeaderWithoutTheOthersIsNotAcknowledged(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers: set GATECAST_SOAK")
	}
	c := buckettest.StartCluster(t)
	js := c.Node(t).Connect(t)
	b := open(t, js, bucket.Options{Name: "b", Replicas: 3, Timeout: 30 * time.Second})
	rev, err := b.Put(t.Context(), "x", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	leader := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = c.Leader("KV_b"); return leader >= 0 })
	near := open(t, buckettest.Connect(t, c.Servers[leader]), bucket.Options{Name: "b", Timeout: 3 * time.Second})
	c.Isolate(leader)
	if _, err := near.Put(t.Context(), "x", []byte("2"), rev); err == nil || errors.Is(err, bucket.ErrChanged) {
		t.Errorf("a write that nobody else has: %v", err)
	}
	c.Join(leader)
	// Whatever became of it, all say the same, and it can be written over.
	buckettest.Eventually(t, "it is written over", func() bool {
		e, err := b.Get(t.Context(), "x")
		if err == nil {
			_, err = b.Put(t.Context(), "x", []byte("3"), e.Rev)
		}
		return err == nil
	})
	buckettest.Eventually(t, "the former leader has it", func() bool {
		e, err := near.Get(t.Context(), "x")
		return err == nil && string(e.Value) == "3"
	})
}

// TestOnARealClusterAServerThatIsCutOffDoesNotAnswerWithWhatWas asks one that has a copy, and
// has not heard of the latest write.
func TestOnARealClusterAServerThatIsCutOffDoesNotAnswerWithWhatWas(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers: set GATECAST_SOAK")
	}
	c := buckettest.StartCluster(t)
	b := open(t, c.Node(t).Connect(t), bucket.Options{Name: "b", Replicas: 3, Timeout: 30 * time.Second})
	rev, err := b.Put(t.Context(), "x", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	leader := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = c.Leader("KV_b"); return leader >= 0 })
	follower := (leader + 1) % 3
	near := open(t, buckettest.Connect(t, c.Servers[follower]), bucket.Options{Name: "b", Timeout: 3 * time.Second})
	far := open(t, buckettest.Connect(t, c.Servers[leader]), bucket.Options{Name: "b", Timeout: 30 * time.Second})
	c.Isolate(follower)
	if _, err := far.Put(t.Context(), "x", []byte("2"), rev); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if e, err := near.Get(t.Context(), "x"); gatecast.CodeOf(err) != gatecast.Unavailable {
			t.Errorf("it answers %q, %v", e.Value, err)
		}
	}
	c.Join(follower)
	buckettest.Eventually(t, "it answers again", func() bool {
		e, err := near.Get(t.Context(), "x")
		return err == nil && string(e.Value) == "2"
	})
}

// TestOnARealClusterAWatchGoesOnWhateverIsCut has a node's line cut for longer than the server
// keeps what serves its watch, and the servers change their leader.
func TestOnARealClusterAWatchGoesOnWhateverIsCut(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers: set GATECAST_SOAK")
	}
	c := buckettest.StartCluster(t)
	b := open(t, c.Node(t).Connect(t), bucket.Options{Name: "b", Replicas: 3, Timeout: 30 * time.Second})
	line := c.Node(t)
	far := open(t, line.Connect(t), bucket.Options{Name: "b", Timeout: 30 * time.Second})
	var mu sync.Mutex
	told := map[string]string{}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		bucket.Follow(ctx, far, bucket.Watcher{
			Tell: func(e bucket.Entry) {
				mu.Lock()
				defer mu.Unlock()
				told[e.Key] = string(e.Value)
			},
			Lost: func(error, int) time.Duration { return time.Second },
		})
	})
	defer following.Wait()
	defer cancel()
	write := func(value string) {
		t.Helper()
		buckettest.Eventually(t, "it is written", func() bool {
			_, err := b.Set(t.Context(), "x", []byte(value))
			return err == nil
		})
	}
	hears := func(what, value string) {
		t.Helper()
		buckettest.Eventually(t, what, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return told["x"] == value
		})
	}
	write("1")
	hears("it is told", "1")
	for i := range 3 {
		line.Cut()
		write(fmt.Sprint("cut", i))
		<-time.After(10 * time.Second)
		line.Mend()
		hears("what was written while the line was cut is told", fmt.Sprint("cut", i))
		write(fmt.Sprint("mended", i))
		hears("what was written after that is told", fmt.Sprint("mended", i))
	}
	leader := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = c.Leader("KV_b"); return leader >= 0 })
	buckettest.Stop(c.Servers[leader])
	write("2")
	hears("what was written after the leader was gone is told", "2")
}
