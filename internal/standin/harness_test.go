package standin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a network without sockets, so that its time can be the test's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// world is a stand-in that is served, in a bubble of its own time.
type world struct {
	*standin.Server
	t    *testing.T
	net  *pipes
	http *http.Client
}

// inWorld runs a test in such a bubble.
func inWorld(t *testing.T, o standin.Options, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(27 * 365 * 24 * time.Hour) // timestamps have 13 digits since 2001
		w := &world{Server: standin.New(o), t: t, net: &pipes{make(chan net.Conn), make(chan struct{})}}
		srv := &http.Server{Handler: w.Server}
		done := make(chan struct{})
		go func() { _ = srv.Serve(w.net); close(done) }()
		w.http = &http.Client{Transport: &http.Transport{DialContext: w.net.dial, DisableKeepAlives: true}}
		defer func() {
			w.Server.Close()
			_ = srv.Close()
			<-done
		}()
		test(w)
	})
}

// credentials signs for the moment.
func (w *world) credentials() senselink.Credentials { return sign(w.Server, time.Now()) }

func sign(s *standin.Server, at time.Time) senselink.Credentials {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	return senselink.Credentials{AppKey: s.AppKey(), Timestamp: ts, Sign: senselink.Sign(ts, s.AppSecret())}
}

// client is the other end of a WebSocket connection, in raw bytes.
type client struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

// join connects and wants to be welcome.
func (w *world) join() *client {
	w.t.Helper()
	c := w.call(w.credentials())
	c.expect(senselink.Connected)
	return c
}

// call connects with these credentials.
func (w *world) call(cred senselink.Credentials) *client {
	w.t.Helper()
	nc, err := w.net.dial(w.t.Context(), "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return shake(w.t, nc, cred)
}

// shake does a client's half of the opening handshake.
func shake(t *testing.T, nc net.Conn, cred senselink.Credentials) *client {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	request := "GET " + senselink.Path(cred) + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	c := &client{nc, bufio.NewReader(nc), t}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", resp, err)
	}
	return c
}

// errSilence is what read returns when nothing has come in time.
var errSilence = errors.New("nothing came")

// read returns the next frame's opcode and payload.
func (c *client) read(within time.Duration) (op byte, payload []byte, err error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
			return 0, nil, errSilence
		}
		return 0, nil, err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		b := make([]byte, 2)
		_, err = io.ReadFull(c.r, b)
		n = uint64(binary.BigEndian.Uint16(b))
	case 127:
		b := make([]byte, 8)
		_, err = io.ReadFull(c.r, b)
		n = binary.BigEndian.Uint64(b)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return head[0] & 0x0f, payload, err
}

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPong   = 10
)

// soon is longer than anything takes that is not waited for on purpose, and
// shorter than a heartbeat.
const soon = 5 * time.Second

// expect wants this text message.
func (c *client) expect(want string) {
	c.t.Helper()
	op, got, err := c.read(soon)
	if err != nil || op != opText || string(got) != want {
		c.t.Fatalf("got opcode %d %.200q, %v\nwant %.200q", op, got, err, want)
	}
}

// expectEvents wants these events, in this order.
func (c *client) expectEvents(events ...standin.Event) {
	c.t.Helper()
	for _, e := range events {
		c.expect(string(e.Pushed()))
	}
}

// expectNothing wants silence for so long.
func (c *client) expectNothing(within time.Duration) {
	c.t.Helper()
	if op, got, err := c.read(within); !errors.Is(err, errSilence) {
		c.t.Fatalf("got opcode %d %.200q, %v, want nothing", op, got, err)
	}
}

// expectEnd wants a Close frame with this code, or with 0 the end alone.
func (c *client) expectEnd(code uint16) {
	c.t.Helper()
	op, got, err := c.read(soon)
	switch {
	case code == 0 && (err == nil || errors.Is(err, errSilence)):
		c.t.Fatalf("got opcode %d %.200q, %v, want the end", op, got, err)
	case code != 0 && (err != nil || op != opClose || binary.BigEndian.Uint16(got) != code):
		c.t.Fatalf("got opcode %d %.200q, %v, want a Close frame with %d", op, got, err, code)
	}
}

// ping sends a ping, masked with zeros.
func (c *client) ping() {
	c.t.Helper()
	if _, err := c.Write([]byte{0x89, 0x80, 0, 0, 0, 0}); err != nil {
		c.t.Fatal(err)
	}
}

// record adds an ordinary record.
func (w *world) record(n int) standin.Event {
	w.t.Helper()
	return w.add(gatecast.Record, standin.SampleRecord(n, time.Now()))
}

func (w *world) alarm(n, status int) standin.Event {
	w.t.Helper()
	return w.add(gatecast.Alarm, standin.SampleAlarm(n, status, time.Unix(1_693_526_400, 0).UTC()))
}

func (w *world) add(kind gatecast.Kind, data []byte) standin.Event {
	w.t.Helper()
	e, err := w.Add(kind, data)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) misbehave(m standin.Misbehaviour) {
	w.t.Helper()
	if err := w.Misbehave(m); err != nil {
		w.t.Fatal(err)
	}
}

// get asks the REST interface in either style, and returns the body.
func (w *world) get(path string, q url.Values, headers bool) (int, []byte) {
	w.t.Helper()
	resp, err := w.http.Do(w.question(path, q, headers))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (w *world) question(path string, q url.Values, headers bool) *http.Request {
	cred, all := w.credentials(), url.Values{}
	for k, v := range q {
		all[k] = v
	}
	if !headers {
		all.Set("app_key", cred.AppKey)
		all.Set("timestamp", cred.Timestamp)
		all.Set("sign", cred.Sign)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://standin"+path+"?"+all.Encode(), http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	if headers {
		r.Header.Set("appKey", cred.AppKey)
		r.Header.Set("timestamp", cred.Timestamp)
		r.Header.Set("sign", cred.Sign)
	}
	return r
}

// pull pulls a lever.
func (w *world) pull(lever, body string) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://standin/standin/"+lever, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}
