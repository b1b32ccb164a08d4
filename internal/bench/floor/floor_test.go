//go:build linux

package floor_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/internal/bench/floor"
	"github.com/gatecast/gatecast/internal/bench/swarm"
)

// asLoop in the environment makes this test's program a bare loop.
const asLoop = "FLOOR_TEST_LOOP"

func TestMain(m *testing.M) {
	switch os.Getenv(asLoop) {
	case "":
		goleak.VerifyTestMain(m)
	case "fails":
		os.Exit(3)
	case "chatters":
		fmt.Println("hello")
	default:
		if err := floor.WriteLoop(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// start runs the loop in a process of its own.
func start(t testing.TB) *floor.Loop {
	t.Helper()
	l, err := floor.Start(command(t, "yes"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func command(t testing.TB, how string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), asLoop+"="+how)
	cmd.Stderr = os.Stderr
	return cmd
}

// audience counts what clients get and tells when they have all of it.
type audience struct {
	left  atomic.Int64
	sum   atomic.Int64 // bytes of payload
	wrong atomic.Int64
	head  atomic.Pointer[string] // that every frame is to begin with
	done  chan struct{}
}

func (a *audience) Open(int)          {}
func (a *audience) Closed(int, error) {}
func (a *audience) Frame(_ int, head []byte, size int) {
	if want := a.head.Load(); want != nil && string(head) != *want {
		a.wrong.Add(1)
	}
	a.sum.Add(int64(size))
	if a.left.Add(-1) == 0 {
		a.done <- struct{}{}
	}
}

// crowd connects clients to a loop.
func crowd(t testing.TB, addr string, clients int) (*audience, *swarm.Swarm) {
	t.Helper()
	if err := swarm.Limit(clients + 100); err != nil {
		t.Skip(err)
	}
	a := &audience{done: make(chan struct{}, 1)}
	s, err := swarm.New(a, swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Connect(t.Context(), addr, clients, request); err != nil {
		t.Fatal(err)
	}
	return a, s
}

func request(int) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }

func TestEveryClientGetsEveryFrameWhole(t *testing.T) {
	const clients = 500
	l := start(t)
	a, s := crowd(t, l.Addr(), clients)
	if n, err := l.Clients(); err != nil || n < clients-1 { // the last one may still be on its way in
		t.Fatalf("%d clients, %v", n, err)
	}
	for n, _ := l.Clients(); n < clients; n, _ = l.Clients() {
	}
	for _, size := range []int{0, 1, 125, 126, 128, 65_535, 65_536, 70_000} {
		payload := []byte(strings.Repeat("0123456789", size/10+1)[:size])
		for writers := 1; writers <= 3; writers++ {
			head := string(payload[:min(size, 128)])
			a.head.Store(&head)
			a.left.Store(clients)
			a.sum.Store(0)
			spent, err := l.Write(payload, writers)
			if err != nil {
				t.Fatal(err)
			}
			<-a.done
			if a.wrong.Load() > 0 || a.sum.Load() != int64(clients*size) {
				t.Errorf("frames of %d bytes by %d writers: %d bytes, %d wrong ones", size, writers, a.sum.Load(), a.wrong.Load())
			}
			if spent.Wall <= 0 || spent.CPU <= 0 {
				t.Errorf("it took %+v", spent)
			}
		}
	}
	if s.Stats().Open != clients {
		t.Errorf("stats are %+v", s.Stats())
	}
}

func TestClientsThatHaveGoneAreLeftOut(t *testing.T) {
	l := start(t)
	_, s := crowd(t, l.Addr(), 20)
	stays, _ := crowd(t, l.Addr(), 5)
	for n, _ := l.Clients(); n < 25; n, _ = l.Clients() {
	}
	s.Close()
	for round := 0; ; round++ { // the first write to a client that has gone may still be taken
		stays.left.Store(5)
		if _, err := l.Write([]byte("x"), 2); err != nil {
			t.Fatal(err)
		}
		<-stays.done
		n, err := l.Clients()
		if err != nil || n < 5 {
			t.Fatalf("%d clients, %v", n, err)
		}
		if n == 5 {
			return
		}
	}
}

// TestASocketThatIsFullIsWaitedFor has a client that reads only when the loop
// has to wait for it.
func TestASocketThatIsFullIsWaitedFor(t *testing.T) {
	l := start(t)
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(request(0))
	r := bufio.NewReader(c)
	for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
	}
	for n, _ := l.Clients(); n < 1; n, _ = l.Clients() {
	}
	const size, frames = 1 << 20, 7
	written := make(chan error, 1)
	go func() {
		for range frames {
			if _, err := l.Write(make([]byte, size), 1); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	select {
	case err := <-written:
		t.Fatalf("7 MiB were taken without a reader, %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if n, err := io.CopyN(io.Discard, r, frames*(size+10)); err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// inside runs the loop in this process, over pipes.
func inside(t *testing.T, ctx context.Context) (in io.WriteCloser, out *bufio.Scanner, result <-chan error) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		done <- floor.WriteLoop(ctx, inR, outW)
		inR.Close()
		outW.Close()
	})
	t.Cleanup(func() { inW.Close(); outR.Close(); running.Wait() })
	out = bufio.NewScanner(outR)
	if !out.Scan() || !strings.HasPrefix(out.Text(), "listen 127.0.0.1:") {
		t.Fatalf("the first line is %q", out.Text())
	}
	return inW, out, done
}

func TestTheLoopEndsWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ends := map[string]func(io.WriteCloser){
		"quit": func(in io.WriteCloser) { _, _ = io.WriteString(in, "quit\n") },
		"EOF":  func(in io.WriteCloser) { in.Close() },
		"ctx":  func(io.WriteCloser) { cancel() },
	}
	for _, how := range []string{"quit", "EOF", "ctx"} {
		in, out, result := inside(t, ctx)
		addr := strings.TrimPrefix(out.Text(), "listen ")
		a, _ := crowd(t, addr, 3)
		for out.Text() != "clients 3" {
			_, _ = io.WriteString(in, "clients\n")
			out.Scan()
		}
		a.left.Store(3)
		_, _ = io.WriteString(in, "write 2 "+base64.StdEncoding.EncodeToString([]byte("hello"))+"\n")
		if !out.Scan() || !strings.HasPrefix(out.Text(), "done ") {
			t.Errorf("the answer is %q", out.Text())
		}
		<-a.done
		ends[how](in)
		if err := <-result; (err != nil) != (how == "ctx") || err != nil && err != context.Canceled {
			t.Errorf("%s: %v", how, err)
		}
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Errorf("%s: it still listens", how)
		}
	}
}

func TestCommandsThatMakeNoSenseEndTheLoop(t *testing.T) {
	for _, line := range []string{"", "writ 1 x", "write", "write x aGVsbG8=", "write 0 aGVsbG8=", "write 1 *", "write 1 " + strings.Repeat("A", 6<<20)} {
		in, _, result := inside(t, t.Context())
		_, _ = io.WriteString(in, line+"\n")
		in.Close()
		if err := <-result; err == nil {
			t.Errorf("%.40q was obeyed", line)
		}
	}
}

func TestAProgramThatIsNoLoopIsToldOf(t *testing.T) {
	for _, how := range []string{"fails", "chatters"} {
		if _, err := floor.Start(command(t, how)); err == nil {
			t.Errorf("a program that %s is a loop", how)
		}
	}
	if _, err := floor.Start(exec.Command(filepath.Join(t.TempDir(), "nothing"))); err == nil {
		t.Error("no program is a loop")
	}
	l, err := floor.Start(command(t, "yes"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(l.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("x"), 1); err == nil {
		t.Error("a loop that was killed writes")
	}
	var exit *exec.ExitError
	if err := l.Close(); !errors.As(err, &exit) {
		t.Errorf("its end is told as %v", err)
	}
}

func TestSyncTellsHowLongAppendsTake(t *testing.T) {
	dir := t.TempDir()
	r, err := floor.Sync(t.Context(), dir, 1000, 0, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Count < 1 || r.PerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("got %+v", r)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if _, err := floor.Sync(t.Context(), filepath.Join(dir, "nowhere"), 1, 0, time.Hour); err == nil {
		t.Error("there is no such directory")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := floor.Sync(ctx, dir, 1, 0, time.Hour); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// BenchmarkDelivery is one push of usual size to 5,000 clients by the bare loop:
// what it costs the loop's process, and what the swarm's.
func BenchmarkDelivery(b *testing.B) {
	const clients = 5000
	for writers := 1; writers <= 2; writers++ {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l := start(b)
			a, _ := crowd(b, l.Addr(), clients)
			payload := make([]byte, 1000)
			var loop time.Duration
			rounds := 0
			before := cpu(b)
			for b.Loop() {
				a.left.Store(clients)
				s, err := l.Write(payload, writers)
				if err != nil {
					b.Fatal(err)
				}
				<-a.done
				loop += s.CPU
				rounds++
			}
			per := float64(rounds * clients)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/frame")
			b.ReportMetric(float64(cpu(b)-before)/per, "swarm-ns/frame")
			b.ReportMetric(float64(loop.Nanoseconds())/per, "loop-ns/frame")
		})
	}
}

func cpu(t testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
