package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/senselink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = "0123456789abcdef"
	testSecret = "e30af86f8f4e75d128ba4288597dea3c"
)

// pipes is a network of net.Pipe connections, which simulated time understands.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve runs h on pipes until the test ends and returns a client for it.
func serve(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	network := newPipes()
	srv := &http.Server{Handler: h}
	transport := &http.Transport{DialContext: network.dial}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(network)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		<-done
	})
	return &http.Client{Transport: transport}
}

// session is the server's side of one connection.
type session struct {
	t    *testing.T
	conn net.Conn
	n    int // which connection it is, from 1
	path string
	asks url.Values // what its URL asks for
}

// sessions upgrades every request and hands it to script, one at a time.
func sessions(t *testing.T, script func(s session)) http.Handler {
	var mu sync.Mutex
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		s := session{t: t, n: n, path: r.URL.EscapedPath(), asks: r.URL.Query()}
		mu.Unlock()
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer conn.Close()
		s.conn = conn
		script(s)
	})
}

func (s session) send(f ws.Frame) { _ = ws.WriteFrame(s.conn, f) } // the client may be gone, as some tests want
func (s session) text(body string) {
	s.send(ws.NewTextFrame([]byte(body)))
}
func (s session) welcome() { s.text(senselink.Connected) }

// frame reads the client's next frame, which must be masked; ok is false at
// the end of the connection.
func (s session) frame() (f ws.Frame, ok bool) {
	//lint:ignore SA1019 the peer is the one under test
	f, err := ws.ReadFrame(s.conn)
	if err != nil {
		return f, false
	}
	if !f.Header.Masked {
		s.t.Errorf("the client sent an unmasked frame: %v", f.Header.OpCode)
	}
	return ws.UnmaskFrame(f), true
}

// drain reads until the client is gone and returns its close code, 0 without.
func (s session) drain() ws.StatusCode {
	for {
		f, ok := s.frame()
		if !ok {
			return 0
		}
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			_, _ = io.Copy(io.Discard, s.conn)
			return code
		}
	}
}

func newClient(t *testing.T, h *http.Client, o Options) *Client {
	t.Helper()
	o.URL, o.AppKey, o.AppSecret, o.HTTPClient = "http://gate.example", testKey, testSecret, h
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pass lets simulated time go by.
func pass(d time.Duration) { <-time.After(d) }

func record(id string) string {
	return `{"code":30000,"desc":"","message":"push record","data":{"id":` + id +
		`,"name":"山田 太郎","groups":[{"id":7,"name":"g","type":1}],"sn":"SPSP-1","signDate":"2019-09-29","signTime":1569725174}}`
}
