package wsconn

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(idleAddr); addr != "" {
		idleClients(addr) // this process is the other side of BenchmarkIdleMemory
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come. It decides only how
// late a broken test fails.
const patience = 2 * time.Minute

// session is the server's side of one connection under test.
type session struct {
	conn     *Conn
	messages chan string // "t:..." or "b:..."
	pongs    chan string
	drained  chan struct{}
	result   chan error // of Serve
}

func (s *session) Message(binary bool, p []byte) {
	kind := "t:"
	if binary {
		kind = "b:"
	}
	s.messages <- kind + string(p)
}
func (s *session) Pong(p []byte) { s.pongs <- string(p) }
func (s *session) Drained() {
	select {
	case s.drained <- struct{}{}:
	default:
	}
}

// end waits for Serve.
func (s *session) end(t testing.TB) error {
	t.Helper()
	return receive(t, s.result, "the end of Serve")
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// peer is the client's side: raw bytes.
type peer struct {
	net.Conn
	r *bufio.Reader
	t testing.TB
}

// door is one way to get at a connection.
type door struct {
	name string
	tls  bool
}

func doors() []door { return []door{{"tcp", false}, {"tls", true}} }

// everyDoor runs a test over plain TCP and over TLS.
func everyDoor(t *testing.T, f func(t *testing.T, d door)) {
	for _, d := range doors() {
		t.Run(d.name, func(t *testing.T) { f(t, d) })
	}
}

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	testAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// server starts an HTTP server whose every request becomes a session.
func (d door) server(t testing.TB, o Options) (*httptest.Server, <-chan *session) {
	t.Helper()
	o.CloseTimeout = cmp.Or(o.CloseTimeout, patience) // a client on a busy machine takes its time
	sessions := make(chan *session, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, o)
		if err != nil {
			return
		}
		s := &session{
			conn: c, messages: make(chan string, 1024), pongs: make(chan string, 1024),
			drained: make(chan struct{}, 1), result: make(chan error, 1),
		}
		go func() { s.result <- c.Serve(s) }()
		sessions <- s
	}))
	srv.Config.ErrorLog = nil
	if d.tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, sessions
}

// dial opens a raw connection to the server.
func (d door) dial(t testing.TB, srv *httptest.Server, prepare ...func(*net.TCPConn)) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(nc.(*net.TCPConn))
	}
	if d.tls {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * patience))
	return &peer{nc, bufio.NewReader(nc), t}
}

// open makes a session with a client that has finished its handshake. What
// is in extra is sent in the same write as the handshake.
func (d door) open(t testing.TB, o Options, headers string, extra ...byte) (*peer, *session) {
	t.Helper()
	srv, sessions := d.server(t, o)
	p := d.dial(t, srv)
	p.handshake(headers, extra...)
	s := receive(t, sessions, "the session")
	t.Cleanup(s.conn.Abort)
	return p, s
}

func (p *peer) handshake(headers string, extra ...byte) *http.Response {
	p.t.Helper()
	p.write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+testKey+"\r\n"+headers+"\r\n"), extra...))
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != testAccept {
		p.t.Fatalf("handshake answered with %v", resp)
	}
	return resp
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// got is a frame that came from the server.
type got struct {
	head    byte // FIN, RSV, opcode
	payload []byte
}

func (p *peer) read() (got, error) {
	h, err := ws.ReadHeader(p.r)
	if err != nil {
		return got{}, err
	}
	if h.Masked {
		return got{}, errors.New("the server masks")
	}
	b := make([]byte, h.Length)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return got{}, err
	}
	head := h.Rsv<<4 | byte(h.OpCode)
	if h.Fin {
		head |= 0x80
	}
	return got{head, b}, nil
}

func (p *peer) expect(head byte, payload string) {
	p.t.Helper()
	f, err := p.read()
	if err != nil {
		p.t.Fatalf("want frame %#x %.40q, got %v", head, payload, err)
	}
	if f.head != head || string(f.payload) != payload {
		p.t.Fatalf("want frame %#x %.40q, got %#x %.40q", head, payload, f.head, f.payload)
	}
}

// expectClose wants a Close frame with this code and then the end of TCP.
func (p *peer) expectClose(code Status) {
	p.t.Helper()
	f, err := p.read()
	if err != nil || f.head != 0x88 {
		p.t.Fatalf("want close %d, got frame %#x %q, %v", code, f.head, f.payload, err)
	}
	have := StatusNone
	if len(f.payload) >= 2 {
		have = Status(binary.BigEndian.Uint16(f.payload))
	}
	if have != code {
		p.t.Fatalf("want close %d, got %d %q", code, have, f.payload[2:])
	}
	if n, err := p.r.Read(make([]byte, 1)); err != io.EOF {
		p.t.Fatalf("want end of stream after close, got %d bytes and %v", n, err)
	}
}

// mask is the key of every frame the tests send.
var mask = [4]byte{0x12, 0xab, 0x00, 0xff}

// client encodes a frame as a client does. head is FIN, RSV and opcode.
func client(head byte, payload string) []byte {
	b := appendLength([]byte{head}, 0x80, len(payload))
	return append(append(b, mask[:]...), masked(payload)...)
}

func masked(payload string) []byte {
	m := []byte(payload)
	for i := range m {
		m[i] ^= mask[i%4]
	}
	return m
}

func appendLength(b []byte, bit byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, bit|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
}

func closing(code Status, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

func frames(bs ...[]byte) []byte { return bytes.Join(bs, nil) }

// say is what a table shows of an error.
func say(err error) string {
	var c *CloseError
	if errors.As(err, &c) {
		return fmt.Sprintf("%d remote=%v clean=%v", c.Code, c.Remote, c.Clean)
	}
	return err.Error()
}

func text(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }

func (p *peer) readFull(b []byte) (int, error) { return io.ReadFull(p.r, b) }
