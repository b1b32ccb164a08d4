package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. It decides only how
// late a broken test fails.
const patience = 5 * time.Minute

const (
	key    = "27e1ff7e60f58b4b"
	secret = "e30af86f8f4e75d128ba4288597dea3c"
)

// fakeApps is a list of apps that tests change.
type fakeApps struct {
	mu      sync.Mutex
	apps    map[string]*gatecast.App
	changed chan string
}

func newFakeApps(apps ...gatecast.App) *fakeApps {
	f := &fakeApps{apps: make(map[string]*gatecast.App), changed: make(chan string, 10)}
	for _, a := range apps {
		f.apps[a.Key] = &a
	}
	return f
}

func (f *fakeApps) App(key string) (*gatecast.App, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[key]
	return a, ok
}

func (f *fakeApps) set(a gatecast.App) {
	f.mu.Lock()
	f.apps[a.Key] = &a
	f.mu.Unlock()
	f.changed <- a.Key
}

func (f *fakeApps) Changes(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case key := <-f.changed:
				if !yield(key) {
					return
				}
			}
		}
	}
}

func anApp() gatecast.App {
	return gatecast.App{
		Key: key, Name: "desk", Enabled: true, Window: gatecast.DefaultWindow,
		Secrets: []gatecast.Secret{{Value: secret}},
	}
}

// site is a whole push side: a journal in memory, a hub and a server.
type site struct {
	t       testing.TB
	journal *journal.Mem
	hub     *hub.Hub
	cursors *cursor.Store
	disk    *bucket.Mem   // what is committed of them
	moved   chan struct{} // a token after a cursor was moved
	apps    *fakeApps
	server  *Server
	url     string // "http://127.0.0.1:…"
	front   front
	stop    func()
}

func newSite(t testing.TB, ring int, o Options, apps ...gatecast.App) *site {
	t.Helper()
	return openSite(t, front{}, ring, o, apps...)
}

// front is how a site meets the network.
type front struct {
	tls    bool
	narrow bool   // small socket buffers: a client that does not read is noticed soon
	pipes  *pipes // in place of sockets
}

func (f front) open(h http.Handler) *httptest.Server {
	if f.pipes != nil {
		server := &httptest.Server{Listener: f.pipes, Config: &http.Server{Handler: h}}
		server.Start()
		return server
	}
	server := httptest.NewUnstartedServer(h)
	if f.narrow {
		server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			_ = c.(*net.TCPConn).SetWriteBuffer(32 << 10)
			return ctx
		}
	}
	if f.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	return server
}

func openSite(t testing.TB, f front, ring int, o Options, apps ...gatecast.App) *site {
	t.Helper()
	if len(apps) == 0 {
		apps = []gatecast.App{anApp()}
	}
	s := &site{t: t, journal: journal.OpenMem(journal.MemOptions{}), apps: newFakeApps(apps...)}
	var err error
	if s.hub, err = hub.New(t.Context(), s.journal, hub.Options{Ring: ring}); err != nil {
		t.Fatal(err)
	}
	extent, err := s.journal.Extent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Epoch = extent.Epoch
	s.disk = &bucket.Mem{}
	s.cursors = cursor.OpenMem(cursor.Options{Mem: s.disk, Epoch: extent.Epoch, Last: s.last})
	s.moved = make(chan struct{}, 1)
	s.server = New(s.apps, s.hub, s.hub, signalling{s.cursors, s.moved}, o)
	front := f.open(s.server)
	s.url, s.front = front.URL, f
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.cursors.Run(ctx) })
	work.Go(func() { _ = s.hub.Run(ctx) })
	work.Go(func() { _ = s.server.Run(ctx) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		front.Close()
		_ = s.journal.Close(context.Background())
	})
	t.Cleanup(s.stop)
	return s
}

// signalling tells when a cursor was moved.
type signalling struct {
	*cursor.Store
	moved chan struct{}
}

func (s signalling) tell() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

func (s signalling) Confirm(c gatecast.Consumer, seq gatecast.Seq) {
	s.Store.Confirm(c, seq)
	s.tell()
}

func (s signalling) Pass(c gatecast.Consumer, seq gatecast.Seq) {
	s.Store.Pass(c, seq)
	s.tell()
}

func (s signalling) Lose(c gatecast.Consumer, gap gatecast.GapNotice, complete time.Time) {
	s.Store.Lose(c, gap, complete)
	s.tell()
}

// awaitCursor returns when a consumer's cursor has reached seq.
func (s *site) awaitCursor(c gatecast.Consumer, seq gatecast.Seq) {
	s.t.Helper()
	for {
		if cur, ok := s.cursors.Cursor(c); ok && cur.Seq >= seq {
			return
		}
		select {
		case <-s.moved:
		case <-time.After(patience):
			s.t.Fatalf("the cursor of %v does not get to %d", c, seq)
		}
	}
}

// listed returns the list once it has so many connections: a client is told
// that it is connected before it is listed.
func (s *site) listed(n int) []gatecast.Connection {
	for {
		if list := s.server.List(); len(list) == n {
			return list
		}
		runtime.Gosched()
	}
}

// lead is a server's clock that is ahead of the machine's by what tests say.
type lead struct{ ahead atomic.Int64 }

func (l *lead) add(d time.Duration) { l.ahead.Add(int64(d)) }
func (l *lead) now() time.Time      { return time.Now().Add(time.Duration(l.ahead.Load())) }

// publish appends n events whose data carries their number and padding.
func (s *site) publish(first, n, padding int, kind gatecast.Kind) {
	s.t.Helper()
	for n > 0 {
		batch := make([]gatecast.Event, min(n, 500))
		for i := range batch {
			batch[i] = makeEvent(first, padding, kind)
			first++
		}
		if _, err := s.journal.Append(s.t.Context(), batch); err != nil {
			s.t.Fatal(err)
		}
		n -= len(batch)
	}
}

func makeEvent(i, padding int, kind gatecast.Kind) gatecast.Event {
	return gatecast.Event{
		ID: "e" + strconv.Itoa(i), Kind: kind,
		Data: fmt.Appendf(nil, `{"id":%d,"remark":"%s"}`, i, strings.Repeat("x", padding)),
	}
}

// awaitHead returns when the hub has all events up to seq.
func (s *site) awaitHead(seq gatecast.Seq) {
	moved, stop := s.hub.Listen()
	defer stop()
	for s.hub.Head() < seq {
		<-moved
	}
}

// path signs a request the way clients do.
func path(key, secret string, at time.Time) string {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	return senselink.Path(senselink.Credentials{AppKey: key, Timestamp: ts, Sign: senselink.Sign(ts, secret)})
}

// peer is a client that sees every frame.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    io.Reader
	mute bool // answers no Ping
}

func (s *site) dial(path string) *peer {
	s.t.Helper()
	return s.dialFrom("127.0.0.1", path)
}

// dialFrom dials from an address of this machine.
func (s *site) dialFrom(ip, path string) *peer {
	s.t.Helper()
	d := gows.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is made by the test
	d.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if s.front.pipes != nil {
			return s.front.pipes.dial(ctx, network, addr)
		}
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		conn, err := from.DialContext(ctx, network, addr)
		if err == nil && s.front.narrow {
			_ = conn.(*net.TCPConn).SetReadBuffer(32 << 10)
		}
		return conn, err
	}
	conn, buffered, _, err := d.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	var r io.Reader = conn
	if buffered != nil {
		r = io.MultiReader(bytes.NewReader(must(io.ReadAll(io.LimitReader(buffered, int64(buffered.Buffered()))))), conn)
	}
	return &peer{t: s.t, conn: conn, r: r}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// cut ends the connection without a word.
func (p *peer) cut() {
	_ = p.conn.(interface{ SetLinger(int) error }).SetLinger(0)
	_ = p.conn.Close()
}

// pong reads until the next Ping, past texts, and answers it.
func (p *peer) pong() string {
	p.t.Helper()
	for {
		f, err := p.frame()
		if err != nil {
			p.t.Fatalf("waiting for a Ping: %v", err)
		}
		if f.Header.OpCode == gows.OpPing {
			p.write(gows.NewPongFrame(f.Payload))
			return string(f.Payload)
		}
	}
}

// connect dials as the usual app and takes the first message in.
func (s *site) connect() *peer {
	s.t.Helper()
	p := s.dial(path(key, secret, time.Now()))
	p.expectText(senselink.Connected)
	return p
}

func (p *peer) frame() (gows.Frame, error) {
	//lint:ignore SA1019 the peer is the server under test
	return gows.ReadFrame(p.r)
}

// text returns the next text message. Pings on the way are answered.
func (p *peer) text() string {
	p.t.Helper()
	for {
		f, err := p.frame()
		if err != nil {
			p.t.Fatalf("reading a message: %v", err)
		}
		switch f.Header.OpCode {
		case gows.OpText:
			return string(f.Payload)
		case gows.OpPing:
			if !p.mute {
				p.write(gows.NewPongFrame(f.Payload))
			}
		default:
			p.t.Fatalf("unexpected frame %v %q", f.Header.OpCode, f.Payload)
		}
	}
}

func (p *peer) expectText(want string) {
	p.t.Helper()
	if got := p.text(); got != want {
		p.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (p *peer) write(f gows.Frame) {
	p.t.Helper()
	if err := gows.WriteFrame(p.conn, gows.MaskFrame(f)); err != nil {
		p.t.Fatal(err)
	}
}

// expectClose reads up to the close frame, and then the end.
func (p *peer) expectClose(code gows.StatusCode) string {
	p.t.Helper()
	for {
		f, err := p.frame()
		if err != nil {
			p.t.Fatalf("the connection ended without a close frame: %v", err)
		}
		if f.Header.OpCode != gows.OpClose {
			continue
		}
		got, reason := gows.ParseCloseFrameData(f.Payload)
		if got != code {
			p.t.Fatalf("closed with %d %q, want %d", got, reason, code)
		}
		_ = gows.WriteFrame(p.conn, gows.MaskFrame(gows.NewCloseFrame(f.Payload)))
		if _, err := io.Copy(io.Discard, p.r); err != nil {
			p.t.Fatalf("after the closing handshake: %v", err)
		}
		return reason
	}
}

// expectEvents reads events first to last, and nothing else but heartbeats.
func (p *peer) expectEvents(first, last, padding int, kind gatecast.Kind) {
	p.t.Helper()
	for i := first; i <= last; i++ {
		ev := makeEvent(i, padding, kind)
		want, got := string(senselink.AppendPush(nil, &ev)), p.text()
		for got == senselink.HeartBeat {
			got = p.text()
		}
		if got != want {
			p.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// last is the journal's newest event.
func (s *site) last(ctx context.Context) (gatecast.Seq, error) {
	extent, err := s.journal.Extent(ctx)
	return extent.Last, err
}
