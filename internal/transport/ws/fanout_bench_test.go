//go:build linux

package ws

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/gatecast/gatecast"
	gows "github.com/gobwas/ws"
)

// stage is one shard and its connections, real ones, driven by the benchmark's
// own goroutine, so that the CPU time of its thread is what the fan-out costs,
// system calls and the kernel's way to the other socket included, and nothing
// else: the clients are another process.
type stage struct {
	b        *testing.B
	tape     *tape
	server   *Server
	shard    *shard
	conns    []*conn // all, once they are greeted
	clients  *exec.Cmd
	ask      io.WriteCloser
	answer   io.Reader
	greeting uint64        // bytes sent before the first event
	base     uint64        // and those that await has waited for
	greeted  chan struct{} // closed when each client has been told where it begins
}

// audience is the environment variable that makes a process the clients.
const audience = "GATECAST_BENCH_AUDIENCE"

// newStage connects one client for each query, each as an app of its own.
func newStage(b *testing.B, queries []string, shards int) *stage {
	st := &stage{b: b, tape: &tape{}, greeted: make(chan struct{})}
	apps := newFakeApps()
	for i := range queries {
		app := anApp()
		app.Key, app.CatchUp.Window = fmt.Sprintf("%016x", i), gatecast.LookbackOff
		apps.apps[app.Key] = &app
	}
	st.server = New(apps, st.tape, nil, nil, Options{Shards: shards, Heartbeat: time.Hour, DeadAfter: 24 * time.Hour, MaxConns: len(queries)})
	st.shard = st.server.shards[0]
	front := httptest.NewServer(st.server)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { st.server.replays.run(ctx) })
	st.hire(front.Listener.Addr().String(), queries)
	b.Cleanup(func() {
		st.ask.Close()
		_ = st.clients.Wait()
		cancel()
		st.server.door.end()
		st.server.door.wait()
		work.Wait()
		front.Close()
	})
	go func() { st.recv(); close(st.greeted) }()
	for greeted := false; !greeted || st.behind() > 0; {
		for _, sh := range st.server.shards {
			sh.round()
		}
		select {
		case <-st.greeted:
			greeted = true
		default:
			runtime.Gosched()
		}
	}
	for len(st.conns) < len(queries) { // the last may have been greeted before it is listed
		st.conns = st.server.roster.all()
	}
	for _, c := range st.conns {
		st.base += c.sock.Stats().BytesOut
	}
	st.greeting = st.base
	return st
}

// hire starts the clients.
func (st *stage) hire(addr string, queries []string) {
	st.clients = exec.Command(must(os.Executable()), "-test.run=^TestAudienceOfBenchmarks$")
	st.clients.Env = append(os.Environ(), audience+"="+addr)
	st.clients.Stderr = os.Stderr
	st.ask, st.answer = must(st.clients.StdinPipe()), must(st.clients.StdoutPipe())
	if err := st.clients.Start(); err != nil {
		st.b.Fatal(err)
	}
	_, _ = fmt.Fprintln(st.ask, len(queries))
	for i, q := range queries {
		greetings := 1
		if q != "" {
			greetings = 2 // it is told where it begins
		}
		_, _ = fmt.Fprintln(st.ask, greetings, path(fmt.Sprintf("%016x", i), secret, time.Now())+"?"+q)
	}
}

func (st *stage) recv() {
	if _, err := io.ReadFull(st.answer, make([]byte, 1)); err != nil {
		panic(fmt.Errorf("the clients are gone: %w", err))
	}
}

// drained returns when the clients have read everything.
func (st *stage) drained() {
	var sum uint64
	for _, c := range st.conns {
		sum += c.sock.Stats().BytesOut
	}
	_ = binary.Write(st.ask, binary.LittleEndian, sum-st.greeting)
	st.recv()
}

// TestAudienceOfBenchmarks is the clients of a stage, in a process of their own.
func TestAudienceOfBenchmarks(t *testing.T) {
	addr := os.Getenv(audience)
	if addr == "" {
		t.Skip("for benchmarks only")
	}
	in := bufio.NewReader(os.Stdin)
	var n int
	_, _ = fmt.Fscanln(in, &n)
	var got atomic.Uint64
	more := make(chan struct{}, 1)
	var greeted sync.WaitGroup
	for range n {
		var greetings int
		var path string
		_, _ = fmt.Fscanln(in, &greetings, &path)
		conn := must(net.Dial("tcp", addr))
		r := bufio.NewReader(conn)
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path)
		must(http.ReadResponse(r, nil)).Body.Close()
		greeted.Add(1)
		go func() {
			for range greetings {
				//lint:ignore SA1019 the peer is the server under test
				must(gows.ReadFrame(r))
			}
			greeted.Done()
			swallow(conn, &got, more)
		}()
	}
	greeted.Wait()
	say := func() { _, _ = os.NewFile(1, "stdout").Write([]byte{1}) }
	say()
	for {
		var want uint64
		if binary.Read(in, binary.LittleEndian, &want) != nil {
			break // and the process ends, and with it the connections
		}
		for got.Load() < want {
			<-more
		}
		say()
	}
	os.Exit(0)
}

func swallow(conn net.Conn, got *atomic.Uint64, more chan<- struct{}) {
	buf := make([]byte, 2048)
	for {
		k, err := conn.Read(buf)
		got.Add(uint64(k))
		select {
		case more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Clocks of clock_gettime(2); getrusage(2) counts in ticks.
const (
	ofProcess = 2
	ofThread  = 3
)

// cpu returns the CPU time of the process, or of the calling thread.
func cpu(clock uintptr) time.Duration {
	var ts syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// run measures rounds with a number of events each.
func (st *stage) run(b *testing.B, window int, event func(n int) *gatecast.Event) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var spent time.Duration
	delivered := func() (sum uint64) {
		for _, c := range st.conns {
			sum += c.trail.events.Load()
		}
		return sum
	}
	n, sum := 0, uint64(0)
	for b.Loop() {
		st.tape.cut(0)
		for range window {
			st.tape.add(event(n))
			n++
		}
		had, began := delivered(), cpu(ofThread)
		st.shard.advance()
		spent += cpu(ofThread) - began
		sum += delivered() - had // what those are sent who have left the level ones counts as little as its time
		for st.drained(); st.shard.round() || st.behind() > 0; {
			st.drained()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/event")
	if sum > 0 {
		b.ReportMetric(float64(spent.Nanoseconds())/float64(sum), "cpu-ns/delivery")
		b.ReportMetric(float64(sum)/float64(n), "deliveries/event")
	}
}

func (st *stage) behind() (n int) {
	for _, c := range st.server.roster.all() {
		if c.state() != level {
			n++
		}
	}
	return n
}

// records makes events of 1,000 bytes of a device and a group.
func records(devices int) func(int) *gatecast.Event {
	data := []byte(`{"remark":"` + strings.Repeat("x", 960) + `"}`)
	return func(n int) *gatecast.Event {
		n = (n * 7919) % devices
		return &gatecast.Event{Kind: gatecast.Record, Device: "d" + strconv.Itoa(n), Groups: []int64{int64(n)}, Data: data}
	}
}

// BenchmarkFilters is ten thousand apps, each with one connection and a view.
func BenchmarkFilters(b *testing.B) {
	const apps = 10_000
	for _, c := range []struct {
		name    string
		query   func(i int) url.Values
		devices int // that events come from
	}{
		{"everything", func(int) url.Values { return nil }, 100},
		{"one of 100 devices", func(i int) url.Values { return url.Values{"sn": {"d" + strconv.Itoa(i%100)}} }, 100},
		{"one of 100 devices and one of its own", func(i int) url.Values {
			return url.Values{"sn": {"d" + strconv.Itoa(i%100), "own" + strconv.Itoa(i)}}
		}, 100},
		{"a device of its own", func(i int) url.Values { return url.Values{"sn": {"d" + strconv.Itoa(i)}} }, apps},
		{"one of 100 groups and one of its own", func(i int) url.Values {
			return url.Values{"group": {strconv.Itoa(i % 100), strconv.Itoa(1000 + i)}}
		}, 100},
		{"a device that no event has", func(i int) url.Values { return url.Values{"sn": {"never" + strconv.Itoa(i)}} }, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			queries := make([]string, apps)
			for i := range queries {
				queries[i] = c.query(i).Encode()
			}
			rand.Shuffle(apps, func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
			st := newStage(b, queries, 1)
			for _, window := range []int{1, 64} {
				b.Run(strconv.Itoa(window)+" events a round", func(b *testing.B) { st.run(b, window, records(c.devices)) })
			}
		})
	}
}

// BenchmarkBatches is how much a batch saves: so many frames in one writev to
// each of 1,000 connections.
func BenchmarkBatches(b *testing.B) {
	st := newStage(b, make([]string, 1000), 1)
	for _, window := range []int{1, 4, 16, 64, 256} {
		st.shard.window = make([]*gatecast.Event, 0, window)
		b.Run(strconv.Itoa(window), func(b *testing.B) { st.run(b, window, records(100)) })
	}
}

// BenchmarkShards publishes one event after another, each when all of 1,000
// clients have the one before, or 256 back to back. It counts the CPU time of
// the whole process, which its clients are not part of, and how often a shard
// wakes and finds events.
func BenchmarkShards(b *testing.B) {
	for _, shards := range []int{1, 2, 4} {
		b.Run(strconv.Itoa(shards), func(b *testing.B) {
			st := newStage(b, make([]string, 1000), shards)
			ctx, cancel := context.WithCancel(b.Context())
			var work sync.WaitGroup
			for _, sh := range st.server.shards {
				work.Go(func() { sh.run(ctx) })
			}
			for _, burst := range []int{1, 256} {
				b.Run(strconv.Itoa(burst)+" back to back", func(b *testing.B) { st.publish(b, burst) })
			}
			cancel()
			work.Wait()
		})
	}
}

func (st *stage) publish(b *testing.B, burst int) {
	event, n := records(100), 0
	windows, began := st.tape.windows.Load(), cpu(ofProcess)
	for b.Loop() {
		for range burst {
			st.tape.add(event(n))
			n++
		}
		st.await(uint64(burst) * uint64(st.server.Connections()))
		st.tape.cut(1024)
	}
	b.ReportMetric(float64((cpu(ofProcess)-began).Nanoseconds())/float64(n*st.server.Connections()), "cpu-ns/delivery")
	b.ReportMetric(float64(st.tape.windows.Load()-windows)/float64(n), "rounds/event")
}

// await returns when the clients have read so many events more.
func (st *stage) await(deliveries uint64) {
	ev := records(100)(0)
	st.base += deliveries * uint64(encode(ev, plain, "").Size())
	_ = binary.Write(st.ask, binary.LittleEndian, st.base-st.greeting)
	st.recv()
}
