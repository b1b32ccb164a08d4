package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"pgregory.net/rapid"
)

// site is what the nodes of a test have in common.
type site struct {
	bucket.Mem
	working atomic.Int32 // nodes that work now
	most    atomic.Int32 // that ever worked at the same time
}

// node is one that wants to work whenever it may.
type node struct {
	*bucket.Lease
	line   *buckettest.Line
	cut    atomic.Bool
	unsaid atomic.Bool
	log    strings.Builder // read when nobody writes
	terms  atomic.Int32
	stop   func()
}

// winding is how long work takes to stop.
const winding = 5 * time.Second

func (s *site) node(t *testing.T, name string) *node {
	n := &node{line: &buckettest.Line{Bucket: s}}
	n.line.Spoil(func(r buckettest.Request) buckettest.Fault {
		f := buckettest.Fault{Cut: n.cut.Load()}
		if n.unsaid.Load() && r.Op == "put" {
			f.Unsaid = errors.New("no answer")
		}
		return f
	})
	n.Lease = bucket.NewLease(n.line, bucket.LeaseOptions{Work: "works", Node: name, Log: slog.New(slog.NewTextHandler(&n.log, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { n.Keep(ctx, func(held context.Context) { s.work(held, n) }) })
	n.stop = func() { cancel(); keeping.Wait() }
	t.Cleanup(n.stop)
	return n
}

func (s *site) work(held context.Context, n *node) {
	n.terms.Add(1)
	now := s.working.Add(1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	<-held.Done()
	time.Sleep(winding) // simulated
	s.working.Add(-1)
}

func TestOneOfTheNodesWorksAndTheOthersKnowWhich(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		a := s.node(t, "a")
		synctest.Wait()
		b, c := s.node(t, "b"), s.node(t, "c")
		time.Sleep(time.Hour)
		for _, n := range []*node{a, b, c} {
			if n.Holder() != "a" || n.Held() != (n == a) || n.Healthy() != nil {
				t.Errorf("held %v, holder %q, health %v", n.Held(), n.Holder(), n.Healthy())
			}
		}
		if s.working.Load() != 1 || a.terms.Load() != 1 {
			t.Errorf("%d nodes work; %d terms", s.working.Load(), a.terms.Load())
		}
	})
}

func TestANodeThatStopsHandsOverWhenItsWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		a := s.node(t, "a")
		synctest.Wait()
		b := s.node(t, "b")
		began := time.Now()
		a.stop()
		for !b.Held() {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < winding || took > winding+2*bucket.LookEvery || s.most.Load() != 1 {
			t.Errorf("the next one works after %v; %d have worked at once", took, s.most.Load())
		}
	})
}

func TestALeaseIsTakenFromOneWhoIsCutOffAfterHeHasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		a := s.node(t, "a")
		synctest.Wait()
		b := s.node(t, "b")
		time.Sleep(time.Minute)
		began := time.Now()
		a.cut.Store(true)
		for !b.Held() {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took > bucket.TakeAfter+bucket.LookEvery || s.most.Load() != 1 || a.Held() {
			t.Errorf("the next one works after %v; %d have worked at once", took, s.most.Load())
		}
		if a.Healthy() == nil || !strings.Contains(a.log.String(), "no longer works") || !strings.Contains(a.log.String(), "out of reach") {
			t.Errorf("health %v, log %s", a.Healthy(), &a.log)
		}
		a.cut.Store(false)
		time.Sleep(time.Minute)
		if a.Held() || !b.Held() || a.Holder() != "b" || a.Healthy() != nil {
			t.Errorf("after it is mended: held %v and %v, holder %q, health %v", a.Held(), b.Held(), a.Holder(), a.Healthy())
		}
	})
}

func TestWorkThatEndsByItselfGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bucket.NewLease(&bucket.Mem{}, bucket.LeaseOptions{Work: "works"})
		ctx, cancel := context.WithCancel(t.Context())
		terms := 0
		l.Keep(ctx, func(context.Context) {
			if terms++; terms == 3 {
				cancel()
			}
		})
		if terms != 3 || l.Held() {
			t.Errorf("%d terms, held %v", terms, l.Held())
		}
	})
}

// TestNoTwoNodesWorkAtOnceWhateverHappensToTheirLines cuts nodes off, leaves
// writes unanswered, and stops and starts nodes in any order.
func TestNoTwoNodesWorkAtOnceWhateverHappensToTheirLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			node int
			what string
			rest time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				rapid.IntRange(0, 2).Draw(t, "node"),
				rapid.SampledFrom([]string{"cut", "unsaid", "mend", "restart", "nothing"}).Draw(t, "what"),
				time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond,
			}
		}), 5, 30).Draw(rt, "steps")
		wrong := "" // rapid must not stop a bubble
		synctest.Test(t, func(t *testing.T) {
			s := &site{}
			nodes := []*node{s.node(t, "0"), s.node(t, "1"), s.node(t, "2")}
			for _, st := range steps {
				switch n := nodes[st.node]; st.what {
				case "cut":
					n.cut.Store(true)
				case "unsaid":
					n.unsaid.Store(true)
				case "mend":
					n.cut.Store(false)
					n.unsaid.Store(false)
				case "restart":
					n.stop()
					nodes[st.node] = s.node(t, fmt.Sprint(st.node))
				}
				time.Sleep(st.rest)
			}
			for _, n := range nodes {
				n.cut.Store(false)
				n.unsaid.Store(false)
			}
			time.Sleep(time.Minute)
			if n := s.most.Load(); n != 1 {
				wrong = fmt.Sprintf("%d nodes have worked at once", n)
			}
			if n := s.working.Load(); n != 1 {
				wrong = fmt.Sprintf("in the end %d nodes work", n)
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}
