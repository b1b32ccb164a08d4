package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
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

	mu   sync.Mutex
	down bool // connections are refused
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

func (p *pipes) refuse(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
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

// serve runs h on pipes until the test ends.
func serve(t *testing.T, h http.Handler) *pipes {
	t.Helper()
	network := newPipes()
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(network)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return network
}

// session is the server's side of one connection.
type session struct {
	t    *testing.T
	conn net.Conn
	n    int // which connection it is, from 1
	path string
	at   time.Time // when it began
}

// sessions upgrades every request and hands it to script.
func sessions(t *testing.T, script func(s session)) http.Handler {
	var mu sync.Mutex
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		s := session{t: t, n: n, path: r.URL.EscapedPath(), at: time.Now()}
		mu.Unlock()
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // the client has gone meanwhile
		}
		defer conn.Close()
		s.conn = conn
		script(s)
	})
}

func (s session) send(f ws.Frame)  { _ = ws.WriteFrame(s.conn, f) } // the client may be gone, as some tests want
func (s session) text(body string) { s.send(ws.NewTextFrame([]byte(body))) }
func (s session) welcome()         { s.text(senselink.Connected) }

// frame reads the client's next frame, which must be masked; ok is false at the
// end of the connection.
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

// drain answers Pings and reads until the client is gone, and returns its close
// code, 0 without. each is called for every frame.
func (s session) drain(each func(ws.Frame)) ws.StatusCode {
	for {
		f, ok := s.frame()
		if !ok {
			return 0
		}
		each(f)
		switch f.Header.OpCode {
		case ws.OpPing:
			s.send(ws.NewPongFrame(f.Payload))
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(f.Payload)
			s.send(ws.NewCloseFrame(f.Payload))
			return code
		}
	}
}

// hold keeps a well-behaved connection until the client goes.
func (s session) hold() {
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.drain(func(ws.Frame) {})
	}()
	beat := time.NewTicker(30 * time.Second)
	defer beat.Stop()
	for {
		select {
		case <-over:
			return
		case <-beat.C:
			s.text(senselink.HeartBeat)
		}
	}
}

// bench is a Follower with all that it works with.
type bench struct {
	*Follower
	sources *registry
	journal *journal
	shelf   *shelf
	log     *logs
	stop    func() // ends Run and waits for it
}

// logs is a log that can be read while it is written.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func upstream(name string) *gatecast.Source {
	return &gatecast.Source{Name: name, Settings: gatecast.SourceSettings{
		Kind: gatecast.SourceWebSocket, URL: "ws://gate.example:9000", AppKey: testKey, AppSecret: testSecret,
	}}
}

// follow runs a Follower of one source, "hq", until the test ends.
func follow(t *testing.T, network *pipes, o Options, sources ...*gatecast.Source) *bench {
	t.Helper()
	if len(sources) == 0 {
		sources = []*gatecast.Source{upstream("hq")}
	}
	b := &bench{sources: newRegistry(sources...), journal: &journal{}, shelf: &shelf{}, log: &logs{}}
	return b.run(t, network, o)
}

func (b *bench) run(t *testing.T, network *pipes, o Options) *bench {
	t.Helper()
	if network != nil {
		o.Dial = network.dial
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0.999 } // the longest pauses
	}
	o.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.Follower = New(Parts{b.sources, b.journal, b.shelf}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}()
	var once sync.Once
	b.stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(b.stop)
	return b
}

// status waits until all is quiet and checks how the source stands.
func (b *bench) status(t *testing.T, want gatecast.SourceStatus, reason string) {
	t.Helper()
	synctest.Wait()
	st := b.State("hq")
	if st.Status != want || (reason == "") != (st.Reason == "") || !strings.Contains(st.Reason, reason) {
		t.Errorf("%s (%s), want %s (%s)", st.Status, st.Reason, want, reason)
	}
}

// pass lets simulated time go by.
func pass(d time.Duration) { <-time.After(d) }

func record(id int) string {
	return fmt.Sprintf(`{"code":30000,"desc":"","message":"push record","data":%s}`, recordData(id))
}

func recordData(id int) string {
	return fmt.Sprintf(`{"id":%d,"name":"山田 太郎","groups":[{"id":7,"name":"g","type":1}],"sn":"SPSP-1","signDate":"2019-09-29","signTime":1569725174}`, id)
}

func alarm(id, status int) string {
	return fmt.Sprintf(`{"code":30100,"desc":"","message":"push alarm","data":{"id":%d,"status":%d,"code":10002,"deviceSn":"SPSE-1","alarmTime":"2023-09-01 09:00:00"}}`, id, status)
}
