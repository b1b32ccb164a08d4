package client

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestEachConnectionIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass(20 * 365 * 24 * time.Hour) // simulated time starts in 2000, when timestamps had 12 digits
		paths := make(chan string, 2)
		h := serve(t, sessions(t, func(s session) {
			paths <- s.path
			s.welcome()
			if s.n == 2 {
				s.text(record("1"))
				s.drain()
			}
		}))
		app := &gatecast.App{Key: testKey, Enabled: true, Secrets: []gatecast.Secret{{Value: testSecret}}, Window: gatecast.Window(time.Second)}
		c := newClient(t, h, Options{Backoff: Backoff{Min: time.Hour, Max: time.Hour, Rand: func() float64 { return 0.9 }}})
		for _, err := range c.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		first, second := <-paths, <-paths
		creds, err := senselink.ParsePath(second)
		if err != nil {
			t.Fatal(err)
		}
		if err := senselink.Verify(creds, app, time.Now()); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		if first == second || len(creds.Timestamp) != 13 {
			t.Errorf("paths %s and %s", first, second)
		}
	})
}

func TestWaitsDoubleToTheirLimitAndStartAgainAfterAHealthyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			if s.n == 6 {
				pass(time.Minute)
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var waits []time.Duration
		c := newClient(t, h, Options{
			Backoff: Backoff{Min: time.Second, Max: 10 * time.Second, Rand: func() float64 { return 0.5 }},
			OnState: func(s State) {
				if s.Retry > 0 {
					waits = append(waits, s.Retry)
				}
				if len(waits) == 8 {
					cancel()
				}
			},
		})
		for _, err := range c.Events(ctx) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		}
		want := []time.Duration{500, 1000, 2000, 4000, 5000, 500, 1000, 2000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASilentServerIsGivenUpAndASlowConsumerIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(record("1"))
			s.text(record("2"))
			s.drain()
		}))
		var gone time.Time
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := newClient(t, h, Options{OnState: func(s State) {
			if s.Retry > 0 {
				gone = time.Now()
				if !strings.Contains(s.Err.Error(), "silent for 1m30s") {
					t.Errorf("reason: %v", s.Err)
				}
				cancel()
			}
		}})
		var handled time.Time
		n := 0
		for _, err := range c.Events(ctx) {
			if err != nil {
				break
			}
			n++
			pass(10 * time.Minute)
			handled = time.Now()
		}
		if got := gone.Sub(handled); n != 2 || got != 90*time.Second {
			t.Errorf("%d events, then given up after %v; want 2 and 1m30s", n, got)
		}
	})
}

func TestARefusalEndsTheStreamWithItsReason(t *testing.T) {
	for desc, want := range map[string]gatecast.Code{
		"app key not exist": gatecast.Unauthenticated,
		"sign wrong: it must be md5(timestamp + \"#\" + app_secret) in hexadecimal": gatecast.Unauthenticated,
		"timestamp expired: it is 31m0s behind":                                     gatecast.Unauthenticated,
		"app is disabled":                                                           gatecast.Forbidden,
	} {
		t.Run(desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, sessions(t, func(s session) {
					s.text(string(senselink.Denied(desc)))
					s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusPolicyViolation, "")))
				}))
				n := 0
				for _, err := range newClient(t, h, Options{}).Events(t.Context()) {
					n++
					e, ok := errors.AsType[*gatecast.Error](err)
					if !ok || e.Code != want || e.Remedy == "" || !strings.Contains(e.Message, desc) {
						t.Errorf("got %v", err)
					}
				}
				if n != 1 {
					t.Errorf("the stream had %d items, want the error alone", n)
				}
			})
		})
	}
}

func TestARefusalIsRetriedWhenAskedForOrWhenItPasses(t *testing.T) {
	for desc, retry := range map[string]bool{"app is disabled": true, "too many connections: this app may have 1 at once": false} {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, sessions(t, func(s session) {
				if s.n < 4 {
					s.text(string(senselink.Denied(desc)))
					return
				}
				s.text(record("1"))
				s.drain()
			}))
			for _, err := range newClient(t, h, Options{RetryDenied: retry}).Events(t.Context()) {
				if err != nil {
					t.Errorf("%s: %v", desc, err)
				}
				break
			}
		})
	}
}

func TestARestartingServerIsAskedAgainWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan ws.StatusCode, 1)
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			if s.n == 2 {
				s.text(record("1"))
				s.drain()
				return
			}
			s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "service restart")))
			answer <- s.drain()
		}))
		start := time.Now()
		c := newClient(t, h, Options{Backoff: Backoff{Min: time.Minute, Max: time.Hour, Rand: func() float64 { return 0.75 }}})
		for _, err := range c.Events(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if got := time.Since(start); got != 750*time.Millisecond {
			t.Errorf("came back after %v, want 750ms", got)
		}
		if code := <-answer; code != 1012 {
			t.Errorf("answered the close with %d, want 1012", code)
		}
	})
}

func TestHTTPAnswersDecideWhetherToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				w.Header().Set("Retry-After", "7")
				http.Error(w, "busy", http.StatusServiceUnavailable)
				return
			}
			http.NotFound(w, r)
		}))
		start := time.Now()
		c := newClient(t, h, Options{Backoff: Backoff{Rand: func() float64 { return 0 }}})
		for _, err := range c.Events(t.Context()) {
			if gatecast.CodeOf(err) != gatecast.NotFound || strings.Contains(err.Error(), testKey) {
				t.Errorf("ended with %v", err)
			}
		}
		if got := time.Since(start); n != 2 || got != 7*time.Second {
			t.Errorf("%d requests in %v, want 2 in the 7s of Retry-After", n, got)
		}
	})
}

func TestErrorsNeverShowTheSignature(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	c, err := New(Options{URL: "http://" + address, AppKey: testKey, AppSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.dial(t.Context(), nil)
	if gatecast.CodeOf(err) != gatecast.Unavailable || strings.Contains(err.Error(), "/websocket/") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownCertificateIsNoPassingFailure(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client's complaint
	srv.StartTLS()
	defer srv.Close()
	c, err := New(Options{URL: srv.URL, AppKey: testKey, AppSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Events(t.Context()) {
		if gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("got %v", err)
		}
	}
}

// HTTP/2 has no such upgrade, so the handshake must stay with HTTP/1.1 where
// both sides would speak it.
func TestEventsComeOverTLSThatOffersHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(sessions(t, func(s session) {
		s.text(record("1"))
		s.drain()
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	c, err := New(Options{URL: srv.URL, AppKey: testKey, AppSecret: testSecret, HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Events(t.Context()) {
		if err != nil || string(e.Raw) != record("1") {
			t.Errorf("got %s, %v", e.Raw, err)
		}
		break
	}
}

// A server on real sockets that cuts, resets and closes at every turn must not
// cost an event, when it replays what was not confirmed.
func TestNothingIsMissedOverRealSocketsThatAreCut(t *testing.T) {
	const total = 200
	var confirmed atomic.Int64
	srv := httptest.NewServer(sessions(t, func(s session) { replayAndCut(s, total, &confirmed) }))
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := New(Options{
		URL: srv.URL, AppKey: testKey, AppSecret: testSecret, HTTPClient: &http.Client{Transport: transport},
		Backoff: Backoff{Min: time.Microsecond, Max: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for e, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		// The one on which the connection was cut comes until it is confirmed
		// once; move the server on, as its own deduplication would.
		id := strings.TrimPrefix(e.ID, "record:SPSP-1:")
		if n, _ := strconv.ParseInt(id, 10, 64); n%7 == 0 {
			confirmed.Store(n)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(ids) == total {
			break
		}
	}
	for i, id := range ids {
		if id != strconv.Itoa(i+1) {
			t.Fatalf("place %d holds event %s", i+1, id)
		}
	}
}

// replayAndCut pushes what comes after the confirmed event, asks for a pong
// after each, and cuts the connection at every seventh.
func replayAndCut(s session, total int64, confirmed *atomic.Int64) {
	s.welcome()
	for i := confirmed.Load() + 1; i <= total; i++ {
		s.text(record(strconv.FormatInt(i, 10)))
		if i%7 == 0 {
			if tcp, ok := s.conn.(*net.TCPConn); ok && i%2 == 0 {
				_ = tcp.SetLinger(0) // a reset instead of an end
			}
			return
		}
		s.send(ws.NewPingFrame(strconv.AppendInt(nil, i, 10)))
		f, ok := s.frame()
		if !ok {
			return
		}
		if f.Header.OpCode == ws.OpClose { // the test has all it wants
			return
		}
		n, err := strconv.ParseInt(string(f.Payload), 10, 64)
		if err != nil || f.Header.OpCode != ws.OpPong {
			s.t.Errorf("got %v %q", f.Header.OpCode, f.Payload)
		}
		confirmed.Store(n)
	}
	s.drain()
}
