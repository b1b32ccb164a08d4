package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/standin"
)

// estate is three servers on a cluster of three others, with a source that never
// rests.
type estate struct {
	*buckettest.Cluster
	t      *testing.T
	vendor *standin.Server
	lines  []*buckettest.Node
	nodes  []*trial // nil: it was stopped
	most   atomic.Int32
}

func newEstate(t *testing.T) *estate {
	e := &estate{Cluster: buckettest.StartCluster(t), t: t, vendor: standin.New(standin.Options{})}
	keyFile := filepath.Join(t.TempDir(), "secret.key")
	for range e.Servers {
		line := e.Node(t)
		e.lines = append(e.lines, line)
		e.nodes = append(e.nodes, start(t, Options{}, func(c *config.Config) {
			c.Journal.URL, c.Journal.Replicas, c.Registry.KeyFile = line.URL(), 3, keyFile
			c.Server.ShutdownTimeout = 10 * time.Second
		}))
	}
	web := httptest.NewServer(e.vendor)
	t.Cleanup(web.Close)
	t.Cleanup(e.vendor.Close)
	e.live(web.URL)
	return e
}

// live has the source get events until the test ends, and looks how many are
// connected to it.
func (e *estate) live(url string) {
	status, body := e.nodes[0].do("POST", "/api/v1/sources", e.nodes[0].info.AdminToken, fmt.Sprintf(
		`{"name":"hq","url":%q,"app_key":%q,"app_secret":%q,"rest":{"url":%q,"every":"10s","zone":"UTC"}}`,
		"ws"+strings.TrimPrefix(url, "http"), e.vendor.AppKey(), e.vendor.AppSecret(), url))
	if status != http.StatusCreated {
		e.t.Fatalf("creating a source: %d %s", status, body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var living sync.WaitGroup
	living.Go(func() {
		// Few enough that a look, which asks five times a second, is soon done.
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := e.vendor.Add(gatecast.Record, standin.SampleRecord(i, time.Now().UTC())); err != nil {
				e.t.Error(err)
			}
			for range 10 {
				e.most.Store(max(e.most.Load(), int32(e.vendor.Connections())))
				<-tick.C
			}
		}
	})
	e.t.Cleanup(func() { cancel(); living.Wait() })
}

// seen is a source as a node shows it.
type seen struct {
	State struct {
		Status    gatecast.SourceStatus `json:"status"`
		Reason    string                `json:"reason"`
		Events    int                   `json:"events"`
		Statement struct {
			Through time.Time `json:"complete_through"`
			Error   string    `json:"error"`
		} `json:"statement"`
	} `json:"state"`
}

func (e *estate) see(i int) (s seen) {
	e.t.Helper()
	status, body := e.nodes[i].do("GET", "/api/v1/sources/hq", e.nodes[i].info.AdminToken, "")
	if status == http.StatusNotFound {
		return s // it has not heard of it yet
	}
	if err := json.Unmarshal([]byte(body), &s); status != http.StatusOK || err != nil {
		e.t.Fatalf("node %d: %d %s", i, status, body)
	}
	return s
}

// follower waits for a node that gets events from the source, and is not among
// some.
func (e *estate) follower(not ...int) (who int) {
	e.t.Helper()
	buckettest.Eventually(e.t, fmt.Sprintf("another node than %v follows", not), func() bool {
		for i := range e.nodes {
			if e.nodes[i] == nil || len(not) > 0 && i == not[0] {
				continue
			}
			if s := e.see(i).State; s.Status == gatecast.SourceLive && s.Events > 0 {
				who = i
				return true
			}
		}
		return false
	})
	return who
}

// complete waits until a node states that nothing is missing before now, and
// holds it against the journal.
func (e *estate) complete(i int) {
	e.t.Helper()
	now := time.Now()
	var through time.Time
	buckettest.Eventually(e.t, "nothing is missing", func() bool {
		through = e.see(i).State.Statement.Through
		return through.After(now)
	})
	times := e.journal()
	for _, ev := range e.vendor.Events() {
		id := gatecast.UpstreamID("hq", ev.Kind, ev.ID, ev.Status, nil)
		if n := times[id]; n > 1 || n == 0 && ev.At.Before(through) {
			e.t.Errorf("%s of %v is %d times in the journal, which is complete through %v", id, ev.At, n, through)
		}
	}
}

// journal counts what is in the journal, by ID.
func (e *estate) journal() map[string]int {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 2*time.Minute)
	defer cancel()
	j, err := journal.Open(ctx, journal.Options{URL: e.Node(e.t).URL(), Replicas: 3})
	if err != nil {
		e.t.Fatal(err)
	}
	defer j.Close(ctx)
	extent, err := j.Extent(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	times := map[string]int{}
	if extent.Events == 0 {
		return times
	}
	for ev, err := range j.Follow(ctx, extent.First-1) {
		if err != nil {
			e.t.Fatal(err)
		}
		if times[ev.ID]++; ev.Seq >= extent.Last {
			break
		}
	}
	return times
}

func TestInAClusterOneNodeFollowsASourceWhateverIsCut(t *testing.T) {
	if os.Getenv("GATECAST_SOAK") == "" {
		t.Skip("starts a cluster of three servers, and waits for leases to expire: set GATECAST_SOAK")
	}
	e := newEstate(t)
	first := e.follower()
	e.elsewhere(first)
	e.complete(first)

	e.step("the connection to the cluster of the node that follows is cut")
	e.lines[first].Cut()
	second := e.follower(first)
	e.complete(second)
	e.lines[first].Mend()
	buckettest.Eventually(t, "the former one knows", func() bool { return e.see(first).State.Status == gatecast.SourceElsewhere })

	e.step("the server that leads the bucket's stream is cut off")
	leader := -1
	buckettest.Eventually(t, "the stream has a leader", func() bool { leader = e.Leader("KV_gatecast_sources"); return leader >= 0 })
	e.Isolate(leader)
	buckettest.Eventually(t, "another server leads", func() bool {
		return e.Servers[(leader+1)%3].JetStreamIsStreamLeader("$G", "KV_gatecast_sources") ||
			e.Servers[(leader+2)%3].JetStreamIsStreamLeader("$G", "KV_gatecast_sources")
	})
	e.follower() // it may be another, if the former one's server was cut off
	e.Join(leader)
	e.complete(e.follower())

	e.step("the node that follows stops")
	third := e.follower()
	if err := e.nodes[third].stop(); err != nil {
		t.Error(err)
	}
	e.nodes[third] = nil
	e.complete(e.follower(third))
	if n := e.most.Load(); n != 1 {
		t.Errorf("%d nodes were connected to the source at once", n)
	}
}

// step says what is done now, and since when.
func (e *estate) step(what string) {
	e.t.Logf("%s: %s", time.Now().Format(time.TimeOnly), what)
}

// elsewhere looks at what the nodes say that do not follow.
func (e *estate) elsewhere(follower int) {
	e.t.Helper()
	for i, n := range e.nodes {
		if i == follower {
			continue
		}
		buckettest.Eventually(e.t, "a node knows who follows", func() bool {
			s := e.see(i).State
			return s.Status == gatecast.SourceElsewhere && strings.HasPrefix(s.Reason, "followed by another node (")
		})
		status, body := n.do("POST", "/api/v1/sources/hq/reconcile", n.info.AdminToken, "")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "another node") {
			e.t.Errorf("reconciling on node %d: %d %s", i, status, body)
		}
	}
}
