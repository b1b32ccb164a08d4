package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/journal/journaltest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestClusterKeepsTheContract runs the suite on three servers, replicas three.
func TestClusterKeepsTheContract(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster of three servers")
	}
	c := startCluster(t)
	current := ""
	journaltest.Run(t, journaltest.Subject{
		Durable: true,
		Open: func(t *testing.T, name string, l journaltest.Limits) journaltest.Journal {
			if name != current {
				c.dropStream(t)
				current = name
			}
			return mustOpen(t, c.options(l))
		},
	})
}

// TestTwoNodesShareOneOrder lets two journals write to one cluster: each sees
// the other's events, and an ID is stored once whoever sends it.
func TestTwoNodesShareOneOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster of three servers")
	}
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), journaltest.Patience)
	defer cancel()
	a, b := mustOpen(t, c.options(journaltest.Limits{})), mustOpen(t, c.options(journaltest.Limits{}))
	defer func() { must(t, a.Close(ctx)); must(t, b.Close(ctx)) }()
	start := time.Now()
	for i := range 10 {
		for _, j := range []*journal.Journal{a, b} {
			if _, err := j.Append(ctx, journaltest.Events(fmt.Sprint("call", i), 1+i%3)); err != nil {
				t.Fatal(err)
			}
		}
		// The second one may not have heard of all that the first has stored.
		if n, err := b.Since(ctx, start); err != nil || n != 0 {
			t.Errorf("everything since the start comes after %d, %v, want 0", n, err)
		}
	}
	const want = 19 // 1+2+3+1+2+3+1+2+3+1
	for name, j := range map[string]*journal.Journal{"a": a, "b": b} {
		seen := gatecast.Seq(0)
		for e, err := range j.Follow(ctx, 0) {
			if err != nil {
				t.Fatalf("node %s: %v", name, err)
			}
			if seen++; e.Seq != seen {
				t.Fatalf("node %s: seq %d, want %d", name, e.Seq, seen)
			}
			if seen == want {
				break
			}
		}
		x, err := j.Extent(ctx)
		must(t, err)
		if x.Last != want {
			t.Errorf("node %s: last %d, want %d", name, x.Last, want)
		}
	}
}

type cluster struct {
	urls string
}

func (c cluster) options(l journaltest.Limits) journal.Options {
	return journal.Options{URL: c.urls, Replicas: 3, MaxBytes: l.MaxBytes, Check: journal.Check{Ring: l.Ring}}
}

func (c cluster) dropStream(t *testing.T) {
	t.Helper()
	nc, err := nats.Connect(c.urls)
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	for name := range js.StreamNames(t.Context()).Name() {
		must(t, js.DeleteStream(t.Context(), name))
	}
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	var routes, urls []string
	ports := freePorts(t, 3)
	for _, p := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	base := t.TempDir()
	var servers []*server.Server
	for i, port := range ports {
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(base, fmt.Sprint(i)), SyncAlways: true,
			JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 64 << 20, MaxPayload: 8 << 20,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		})
		must(t, err)
		srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		servers = append(servers, srv)
	}
	for _, srv := range servers {
		if !srv.ReadyForConnections(journaltest.Patience) {
			t.Fatal("a server did not start; is one of its ports taken?", ports)
		}
		urls = append(urls, srv.ClientURL())
	}
	awaitLeader(t, servers)
	return cluster{strings.Join(urls, ",")}
}

func awaitLeader(t *testing.T, servers []*server.Server) {
	t.Helper()
	deadline := time.NewTimer(journaltest.Patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, srv := range servers {
			if srv.JetStreamIsLeader() && len(srv.JetStreamClusterPeers()) == len(servers) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("no leader")
		}
	}
}

// freePorts returns ports that nobody listens on, from below those that the
// system gives to outgoing connections: between here and the server's own
// Listen, one of the many tests that run at the same time would get them.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range 1000 {
		if len(ports) == n {
			return ports
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue // somebody has it
		}
		defer func() { must(t, l.Close()) }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	t.Fatal("no free ports")
	return nil
}
