package egress

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// deadProxy is what the environment of every test here names as its proxy.
// Nobody listens there. It is set before anything runs, because net/http looks
// once.
const deadProxy = "http://127.0.0.1:1"

func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if err := os.Setenv(name, deadProxy); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// loopback is what tests allow that want to be answered.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// patience is the time for requests that end before. It decides only how late
// a broken test fails.
const patience = 2 * time.Minute

// patiently tries with more and more time until what comes is as it should be:
// what ends by its timeout is to end soon, but a busy machine must get that far.
func patiently(try func(timeout time.Duration, last bool) (fine bool)) {
	for timeout := 300 * time.Millisecond; ; timeout *= 10 {
		if last := timeout >= 30*time.Second; try(timeout, last) || last {
			return
		}
	}
}

// post posts, and holds every answer to being one thing or the other.
func post(t testing.TB, c *Client, url string, timeout time.Duration) Answer {
	t.Helper()
	a := c.Post(t.Context(), Request{URL: url, Body: []byte(`{"a":1}`), Timeout: timeout})
	if (a.Status != 0) == (a.Err != nil) {
		t.Errorf("%s: status %d and error %v, want one of the two", url, a.Status, a.Err)
	}
	return a
}

// rawServer is a listener whose connections are handled byte by byte.
type rawServer struct {
	net.Listener
	accepted atomic.Int64
	done     sync.WaitGroup
}

// serve listens on an address and gives each connection to handle, which must
// return when stop is closed or the connection is.
func serve(t testing.TB, address string, handle func(c *net.TCPConn, stop <-chan struct{})) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("this machine has no %s: %v", address, err)
	}
	s := &rawServer{Listener: l}
	stop := make(chan struct{})
	s.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.done.Go(func() {
				defer c.Close()
				hangUp := make(chan struct{})
				defer close(hangUp)
				s.done.Go(func() {
					select {
					case <-stop:
						c.Close()
					case <-hangUp:
					}
				})
				handle(c.(*net.TCPConn), stop)
			})
		}
	})
	t.Cleanup(func() { close(stop); l.Close(); s.done.Wait() })
	return s
}

func (s *rawServer) port() string {
	_, port, _ := net.SplitHostPort(s.Addr().String())
	return port
}

func (s *rawServer) url() string { return "http://" + s.Addr().String() + "/hook?token=verysecret" }

// readRequest reads one request whole.
func readRequest(r *bufio.Reader) (*http.Request, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	_, err = bufio.NewReader(req.Body).WriteTo(discard{})
	return req, err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// answering handles each request of a connection by writing the same bytes.
func answering(answer string) func(*net.TCPConn, <-chan struct{}) {
	return func(c *net.TCPConn, _ <-chan struct{}) {
		r := bufio.NewReader(c)
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if _, err := c.Write([]byte(answer)); err != nil {
				return
			}
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// nameServer answers questions for A records with the addresses that answer
// returns, and knows no others.
func nameServer(t testing.TB, answer func(name string) []netip.Addr) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			if n > 12 {
				_, _ = pc.WriteTo(reply(b[:n], answer), from)
			}
		}
	})
	t.Cleanup(func() { pc.Close(); done.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// reply makes the answer to a question of RFC 1035.
func reply(q []byte, answer func(string) []netip.Addr) []byte {
	var labels []string
	at := 12
	for q[at] != 0 {
		labels = append(labels, string(q[at+1:at+1+int(q[at])]))
		at += 1 + int(q[at])
	}
	kind := binary.BigEndian.Uint16(q[at+1:])
	r := slices.Concat(q[:2], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:at+5])
	if kind != 1 {
		return r
	}
	for _, a := range answer(strings.Join(labels, ".")) {
		r[7]++
		r = append(r, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		r = append(r, a.AsSlice()...)
	}
	return r
}
