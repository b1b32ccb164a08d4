package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// afterRequest handles a connection by reading a request and doing something
// with the connection.
func afterRequest(do func(c *net.TCPConn, stop <-chan struct{})) func(*net.TCPConn, <-chan struct{}) {
	return func(c *net.TCPConn, stop <-chan struct{}) {
		if _, err := readRequest(bufio.NewReader(c)); err == nil {
			do(c, stop)
		}
	}
}

func write(c net.Conn, s string) bool {
	_, err := c.Write([]byte(s))
	return err == nil
}

func TestAStatusCountsWhateverBecomesOfTheBody(t *testing.T) {
	const head = "HTTP/1.1 503 Down\r\nRetry-After: 7\r\n"
	for name, want := range map[string]struct {
		do     func(c *net.TCPConn, stop <-chan struct{})
		status int
		body   string
	}{
		"whole":      {func(c *net.TCPConn, _ <-chan struct{}) { write(c, head+"Content-Length: 4\r\n\r\nbusy") }, 503, "busy"},
		"none":       {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 204 Fine\r\n\r\n") }, 204, ""},
		"breaks off": {func(c *net.TCPConn, _ <-chan struct{}) { write(c, head+"Content-Length: 400\r\n\r\nbu") }, 503, "bu"},
		"reset in the body": {func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, head+"Content-Length: 400\r\n\r\n")
			_ = c.SetLinger(0)
		}, 503, ""},
		"hangs": {func(c *net.TCPConn, stop <-chan struct{}) { write(c, head+"Content-Length: 400\r\n\r\nbusy"); <-stop }, 503, "busy"},
		"hangs after the first chunk": {func(c *net.TCPConn, stop <-chan struct{}) {
			write(c, head+"Transfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n")
			<-stop
		}, 503, "busy"},
		"broken chunk": {func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, head+"Transfer-Encoding: chunked\r\n\r\n2\r\nbu\r\nXYZ\r\n")
		}, 503, "bu"},
		"never ends": {func(c *net.TCPConn, _ <-chan struct{}) {
			for ok := write(c, "HTTP/1.1 200 OK\r\n\r\n"); ok; ok = write(c, strings.Repeat("x", 4096)) {
			}
		}, 200, strings.Repeat("x", 1024)},
		"trickles": {func(c *net.TCPConn, stop <-chan struct{}) {
			trickle(c, stop, head+"Content-Length: 100000\r\n\r\n", "y")
		}, 503, "y"},
		"after 100": {func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"+ok)
		}, 200, "ok"},
		"a status of its own": {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 999 Huh\r\nContent-Length: 0\r\n\r\n") }, 999, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", afterRequest(want.do))
			patiently(func(timeout time.Duration, last bool) bool {
				a := post(t, newClient(t, Options{Allow: loopback()}), s.url(), timeout)
				fine := a.Status == want.status && strings.HasPrefix(string(a.Body), want.body) && len(a.Body) <= 1024 &&
					(want.status == 503) == (a.RetryAfter == 7*time.Second)
				if !fine && last {
					t.Errorf("status %d (%v), Retry-After %v, body of %d bytes: %.20q; want %d and %.20q",
						a.Status, a.Err, a.RetryAfter, len(a.Body), a.Body, want.status, want.body)
				}
				return fine
			})
		})
	}
}

// trickle writes a beginning and then a byte at a time, for ever.
func trickle(c net.Conn, stop <-chan struct{}, begin, s string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ok := write(c, begin); ok; ok = write(c, s) {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

func TestWithoutAStatusThereIsAReason(t *testing.T) {
	for name, want := range map[string]struct {
		do     func(c *net.TCPConn, stop <-chan struct{})
		reason string
	}{
		"hangs":         {func(_ *net.TCPConn, stop <-chan struct{}) { <-stop }, "no answer within TIMEOUT"},
		"trickles":      {func(c *net.TCPConn, stop <-chan struct{}) { trickle(c, stop, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") }, "no answer within TIMEOUT"},
		"closes":        {func(*net.TCPConn, <-chan struct{}) {}, "the connection was closed before an answer came"},
		"resets":        {func(c *net.TCPConn, _ <-chan struct{}) { _ = c.SetLinger(0) }, "the connection was reset"},
		"half a header": {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 200 OK\r\n") }, "the connection was closed before an answer came"},
		"huge headers":  {func(c *net.TCPConn, _ <-chan struct{}) { flood(c) }, "the answer's headers are larger than 32 KiB"},
		"no HTTP":       {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "SSH-2.0-OpenSSH_9.9\r\n\r\n") }, "the server's answer is not HTTP"},
		"status 0":      {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 000 Nil\r\nContent-Length: 0\r\n\r\n") }, "the server's answer is not HTTP"},
		"status 99":     {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n") }, "the server's answer is not HTTP"},
		"101": {func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		}, "the server's answer is not HTTP"},
		"only 1xx":     {func(c *net.TCPConn, stop <-chan struct{}) { write(c, "HTTP/1.1 102 Wait\r\n\r\n"); <-stop }, "no answer within TIMEOUT"},
		"1xx for ever": {func(c *net.TCPConn, _ <-chan struct{}) { earlyHints(c) }, "the answer's headers are larger than 32 KiB"},
		"two lengths": {func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		}, "the server's answer is not HTTP"},
		"no length at all": {func(c *net.TCPConn, _ <-chan struct{}) { write(c, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab") }, "the server's answer is not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", afterRequest(want.do))
			patiently(func(timeout time.Duration, last bool) bool {
				a := post(t, newClient(t, Options{Allow: loopback()}), s.url(), timeout)
				reason := strings.Replace(want.reason, "TIMEOUT", timeout.String(), 1)
				if a.Stale {
					t.Error("a fresh connection is called stale")
				}
				got := Reason(a.Err)
				if got != reason && last {
					t.Errorf("%q (%v), want %q", got, a.Err, reason)
				}
				return got == reason
			})
		})
	}
}

func flood(c net.Conn) {
	for ok := write(c, "HTTP/1.1 200 OK\r\n"); ok; ok = write(c, "X-A: "+strings.Repeat("b", 1000)+"\r\n") {
	}
}

func earlyHints(c net.Conn) {
	for ok := true; ok; ok = write(c, "HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("b", 1000)+"\r\n\r\n") {
	}
}

func TestNobodyThereIsConnectionRefused(t *testing.T) {
	s := serve(t, "127.0.0.1:0", answering(ok))
	s.Close()
	a := post(t, newClient(t, Options{Allow: loopback()}), s.url(), patience)
	if got := Reason(a.Err); got != "connection refused" {
		t.Errorf("%q (%v)", got, a.Err)
	}
}

func TestAnUnknownNameIsSaidToBe(t *testing.T) {
	resolver := nameServer(t, func(string) []netip.Addr { return nil })
	a := post(t, newClient(t, Options{Resolver: resolver}), "http://nowhere.test/?token=verysecret", patience)
	if got := Reason(a.Err); got != "the host name is not known" {
		t.Errorf("%q (%v)", got, a.Err)
	}
}

func TestConnectionsAreUsedAgainIfTheBodyEnded(t *testing.T) {
	for name, want := range map[string]struct {
		answer string
		conns  int64
	}{
		"short body":        {ok, 1},
		"empty body":        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		"more than is kept": {"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000), 1},
		"chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		"far too long":      {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), 5},
		"told to close":     {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", answering(want.answer))
			c := newClient(t, Options{Allow: loopback()})
			for range 5 {
				if a := post(t, c, s.url(), patience); a.Status != 200 {
					t.Fatal(a.Err)
				}
			}
			if n := s.accepted.Load(); n != want.conns {
				t.Errorf("%d connections for 5 requests, want %d", n, want.conns)
			}
		})
	}
}

// A server closes a connection while a request is on its way to it. It may
// have read the request: only the caller may send it once more.
func TestARequestIsNeverRepeatedBehindTheCallersBack(t *testing.T) {
	for _, header := range []string{"X-Plain", "Idempotency-Key", "X-Idempotency-Key"} {
		var mu sync.Mutex
		var seen []string
		s := serve(t, "127.0.0.1:0", func(c *net.TCPConn, _ <-chan struct{}) {
			r := bufio.NewReader(c)
			for i := range 2 {
				req, err := readRequest(r)
				if err != nil {
					return
				}
				mu.Lock()
				seen = append(seen, req.Header.Get(header))
				mu.Unlock()
				if i == 0 {
					write(c, ok)
				}
			}
		})
		c := newClient(t, Options{Allow: loopback()})
		req := Request{URL: s.url(), Body: []byte("{}"), Header: http.Header{header: {"once"}}, Timeout: patience}
		if a := c.Post(t.Context(), req); a.Status != 200 {
			t.Fatal(a.Err)
		}
		a := c.Post(t.Context(), req)
		if a.Err == nil || !a.Stale {
			t.Errorf("%s: status %d, error %v, stale %v; want an error on a stale connection", header, a.Status, a.Err, a.Stale)
		}
		mu.Lock()
		if strings.Join(seen, " ") != "once once" {
			t.Errorf("%s: the server saw %q, want two requests", header, seen)
		}
		mu.Unlock()
		if _, ok := req.Header[header]; !ok || len(req.Header) != 1 {
			t.Errorf("the caller's headers were changed: %v", req.Header)
		}
	}
}

func TestARequestIsThePostThatWasAskedFor(t *testing.T) {
	requests := make(chan *http.Request, 1)
	s := serve(t, "127.0.0.1:0", func(c *net.TCPConn, _ <-chan struct{}) {
		if req, err := readRequest(bufio.NewReader(c)); err == nil {
			requests <- req
			write(c, ok)
		}
	})
	c := newClient(t, Options{Allow: loopback(), Version: "1.2.3"})
	a := c.Post(t.Context(), Request{
		URL: "http://" + s.Addr().String() + "/a%2Fb?q=1", Body: []byte(`{"a":1}`), Timeout: patience,
		Header: http.Header{"Content-Type": {"application/json"}, "webhook-id": {"msg_1"}},
	})
	if a.Status != 200 || string(a.Body) != "ok" || a.Took <= 0 || a.Header.Get("Content-Length") != "2" {
		t.Fatalf("%+v", a)
	}
	req := <-requests
	if req.Method != "POST" || req.RequestURI != "/a%2Fb?q=1" || req.ContentLength != 7 || req.Header.Get("User-Agent") != "gatecast/1.2.3" ||
		req.Header.Get("Webhook-Id") != "msg_1" || req.Header.Get("Content-Type") != "application/json" || len(req.Header) != 4 {
		t.Errorf("%s %s, length %d, headers %v", req.Method, req.RequestURI, req.ContentLength, req.Header)
	}
}

func TestACanceledRequestReturnsAtOnce(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := serve(t, "127.0.0.1:0", afterRequest(func(_ *net.TCPConn, stop <-chan struct{}) { asked <- struct{}{}; <-stop }))
	c := newClient(t, Options{Allow: loopback()})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	a := c.Post(ctx, Request{URL: s.url(), Timeout: time.Minute})
	if !errors.Is(a.Err, context.Canceled) || Reason(a.Err) != "the request was canceled" {
		t.Errorf("status %d, error %v", a.Status, a.Err)
	}
}

func TestATextThatIsNoURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	c := newClient(t, Options{Allow: loopback()})
	for _, url := range []string{"", "/verysecret", "http://%zz/verysecret", "http://a b/verysecret", "ftp://127.0.0.1/verysecret", "http:///verysecret", "http://127.0.0.1:0x/verysecret"} {
		a := post(t, c, url, patience)
		if a.Err == nil || strings.Contains(a.Err.Error()+Reason(a.Err), "verysecret") {
			t.Errorf("%q: %v", url, a.Err)
		}
	}
}

func TestAClosedClientSendsNothing(t *testing.T) {
	s := serve(t, "127.0.0.1:0", answering(ok))
	c := newClient(t, Options{Allow: loopback()})
	if a := post(t, c, s.url(), patience); a.Status != 200 {
		t.Fatal(a.Err)
	}
	c.Close()
	if a := post(t, c, s.url(), patience); a.Err == nil {
		t.Errorf("status %d after Close", a.Status)
	}
}

func TestCloseEndsARequestThatIsRunning(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := serve(t, "127.0.0.1:0", afterRequest(func(_ *net.TCPConn, stop <-chan struct{}) { asked <- struct{}{}; <-stop }))
	c := newClient(t, Options{Allow: loopback()})
	go func() { <-asked; c.Close() }()
	if a := post(t, c, s.url(), patience); a.Err == nil || strings.HasPrefix(Reason(a.Err), "no answer") {
		t.Errorf("status %d, error %v, want a broken connection", a.Status, a.Err)
	}
}

// Whatever an error is made of, the query is not in what a person gets to see.
func TestNoReasonHoldsTheQuery(t *testing.T) {
	silent := serve(t, "127.0.0.1:0", afterRequest(func(*net.TCPConn, <-chan struct{}) {}))
	resolver := nameServer(t, func(string) []netip.Addr { return nil })
	c := newClient(t, Options{Allow: loopback(), Resolver: resolver})
	for _, url := range []string{
		silent.url(), "http://nowhere.test/?token=verysecret", "http://10.0.0.1/?token=verysecret",
		"https://" + silent.Addr().String() + "/?token=verysecret", "gopher://127.0.0.1/?token=verysecret", "http://[::1/?token=verysecret",
	} {
		a := post(t, c, url, patience)
		if a.Err == nil {
			t.Errorf("%s: status %d", url, a.Status)
			continue
		}
		if all := fmt.Sprint(a.Err, Reason(a.Err)); strings.Contains(all, "verysecret") || strings.Contains(all, "token") {
			t.Errorf("%s: %s", url, all)
		}
	}
}

func TestAConnectionOutlivesTheRequestThatAskedForIt(t *testing.T) {
	s := serve(t, "127.0.0.1:0", answering(ok))
	c := newClient(t, Options{Allow: loopback()})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		a := c.Post(ctx, Request{URL: s.url(), Timeout: patience})
		cancel()
		if a.Status != 200 {
			t.Fatal(a.Err)
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}
