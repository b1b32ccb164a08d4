package buckettest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// size is how many servers a cluster has.
const size = 3

// Cluster is three servers on disk, with a wire from each to each other.
type Cluster struct {
	Servers []*server.Server
	routes  [size][size]*Wire // from, to
}

// StartCluster starts servers that end with the test, and returns when they have
// a leader.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	ports := freePorts(t)
	for from := range size {
		for to := range size {
			if from != to {
				c.routes[from][to] = NewWire(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[to])))
			}
		}
	}
	base := t.TempDir()
	for i, port := range ports {
		s, err := server.NewServer(c.options(i, port, filepath.Join(base, strconv.Itoa(i))))
		if err != nil {
			t.Fatal(err)
		}
		c.Servers = append(c.Servers, s)
		s.Start()
		t.Cleanup(func() { Stop(s) })
	}
	for _, s := range c.Servers {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("a server did not start; is one of its ports taken?", ports)
		}
	}
	Eventually(t, "the cluster has a leader", func() bool {
		for _, s := range c.Servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == size {
				return true
			}
		}
		return false
	})
	return c
}

func (c *Cluster) options(i, port int, dir string) *server.Options {
	var routes []string
	for _, w := range c.routes[i] {
		if w != nil {
			routes = append(routes, "nats://"+w.Address())
		}
	}
	return &server.Options{
		ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 64 << 20,
		Cluster: server.ClusterOpts{
			Name: "test", Host: "127.0.0.1", Port: port,
			// Nobody hears of a way past the wires: neither other servers nor clients.
			Advertise: "127.0.0.1:1", NoAdvertise: true,
		},
		Routes: server.RoutesFromStr(strings.Join(routes, ",")),
	}
}

// Isolate cuts a server off from the others, and Join is the end of that. Clients
// reach it all the time.
func (c *Cluster) Isolate(i int) { c.each(i, (*Wire).Cut) }

// Join is the end of Isolate.
func (c *Cluster) Join(i int) { c.each(i, (*Wire).Mend) }

func (c *Cluster) each(i int, do func(*Wire)) {
	for j := range size {
		if j != i {
			do(c.routes[i][j])
			do(c.routes[j][i])
		}
	}
}

// Leader returns which server leads a stream; -1 if none does.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.Servers {
		if s.Running() && s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

// Node is a client of a cluster, with a wire of its own to each server.
type Node struct{ wires []*Wire }

// Node makes a client's wires. It does not connect.
func (c *Cluster) Node(t testing.TB) *Node {
	t.Helper()
	n := &Node{}
	for _, s := range c.Servers {
		n.wires = append(n.wires, NewWire(t, s.Addr().String()))
	}
	return n
}

// URL is what the client connects to.
func (n *Node) URL() string {
	var urls []string
	for _, w := range n.wires {
		urls = append(urls, "nats://"+w.Address())
	}
	return strings.Join(urls, ",")
}

// Connect connects the client until the test ends.
func (n *Node) Connect(t testing.TB) jetstream.JetStream {
	t.Helper()
	return over(t, n.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(10*time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // that something is cut is what the tests are about
}

// Cut cuts the client off from all servers, and Mend is the end of that.
func (n *Node) Cut() { n.each((*Wire).Cut) }

// Mend is the end of Cut.
func (n *Node) Mend() { n.each((*Wire).Mend) }

func (n *Node) each(do func(*Wire)) {
	for _, w := range n.wires {
		do(w)
	}
}

// Eventually waits for what happens by itself, for two minutes.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-limit.C:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

// freePorts returns ports that nobody listens on, from below those that the
// system gives to outgoing connections: between here and the server's own
// Listen, one of the many tests that run at the same time would get them.
func freePorts(t testing.TB) (ports []int) {
	t.Helper()
	for range 1000 {
		if len(ports) == size {
			return ports
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue // somebody has it
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	t.Fatal("no free ports")
	return nil
}
