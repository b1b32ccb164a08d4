package wsconn

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The environment of the process that plays the clients.
const (
	idleAddr  = "WSCONN_IDLE_ADDR"
	idleTLS   = "WSCONN_IDLE_TLS"
	idleCount = "WSCONN_IDLE_COUNT"
)

// idleHandler is as small as a handler can be.
type idleHandler struct{ heard chan<- struct{} }

func (h idleHandler) Message(bool, []byte) { h.heard <- struct{}{} }
func (idleHandler) Pong([]byte)            {}
func (idleHandler) Drained()               {}

// BenchmarkIdleMemory has another process open connections. On each a frame
// is pushed and a message taken; then it reports what this process, the
// server, keeps for each, in bytes.
func BenchmarkIdleMemory(b *testing.B) {
	for _, d := range doors() {
		b.Run(d.name, func(b *testing.B) { idleMemory(b, d, 5000) })
	}
}

func idleMemory(b *testing.B, d door, count int) {
	heard := make(chan struct{}, count)
	var serving sync.WaitGroup
	hello := NewText([]byte(text(400)))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, Options{})
		if err != nil {
			b.Error(err)
			return
		}
		serving.Go(func() { _ = c.Serve(idleHandler{heard}) })
		_, _ = c.Push([]*Frame{hello})
	}))
	if d.tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	before := measure()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleAddr+"="+srv.Listener.Addr().String(),
		idleTLS+"="+strconv.FormatBool(d.tls), idleCount+"="+strconv.Itoa(count))
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for range count {
		receive(b, heard, "the message")
	}
	after := measure()
	for b.Loop() { // the figures are of the state, not of an operation
		runtime.Gosched()
	}
	b.ReportMetric(float64(after.rss-before.rss)/float64(count), "RSS/conn")
	b.ReportMetric(float64(after.heap-before.heap)/float64(count), "heap/conn")
	b.ReportMetric(float64(after.stack-before.stack)/float64(count), "stack/conn")
	_ = stop.Close()
	_ = cmd.Wait()
	serving.Wait()
}

// memory is what this process has, in bytes.
type memory struct{ rss, heap, stack int64 }

func measure() memory {
	debug.FreeOSMemory() // twice: what pools hold survives the first
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rss := int64(0)
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
		rss = pages * int64(os.Getpagesize())
	}
	return memory{rss, int64(m.HeapInuse), int64(m.StackInuse)}
}

// idleClients opens connections, exchanges one message on each, and keeps
// them until standard input ends.
func idleClients(addr string) {
	count, _ := strconv.Atoi(os.Getenv(idleCount))
	for range count {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			log.Fatal(err)
		}
		if os.Getenv(idleTLS) == "true" {
			nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, goodHandshake); err != nil {
			log.Fatal(err)
		}
		r := bufio.NewReader(nc)
		if _, err := http.ReadResponse(r, nil); err != nil {
			log.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, 404); err != nil {
			log.Fatal(err)
		}
		if _, err := nc.Write(client(0x81, "hello")); err != nil {
			log.Fatal(err)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
