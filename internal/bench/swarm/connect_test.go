//go:build linux

package swarm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

func TestWhoIsRefusedForAMomentComesBack(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		refusals := map[string]func(g *guest){
			"503":              func(g *guest) { g.answer(busy); g.linger() },
			"closed at once":   func(g *guest) {},
			"closed when read": func(g *guest) { g.hear() },
			"closed in the answer": func(g *guest) {
				g.answer(accepted[:20])
			},
		}
		for how, refuse := range refusals {
			var asked atomic.Int64
			addr := d.serve(t, func(n int, g *guest) {
				defer g.Close()
				if n < 6 {
					refuse(g)
					return
				}
				g.upgrade()
				g.linger()
			})
			w := newWitness()
			s := gather(t, w, d.options(Options{Dialing: 1}))
			err := s.Connect(t.Context(), addr, 3, func(c int) []byte { asked.Add(1); return request(c) })
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if got := s.Stats(); got.Open != 3 || got.Retries != 6 {
				t.Errorf("%s: stats are %+v", how, got)
			}
			if n := asked.Load(); !d.tls && n != 9 { // over TLS some end before they ask
				t.Errorf("%s: %d requests were made for 9 tries", how, n)
			}
			if len(w.opened) != 3 || len(w.ends) > 0 {
				t.Errorf("%s: told of %v opened and %v ended", how, w.opened, w.ends)
			}
		}
	})
}

func TestAServerThatIsNotThereYetIsWaitedFor(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		addr, listen := reserve(t)
		s := gather(t, newWitness(), d.options(Options{}))
		result := make(chan error, 1)
		go func() { result <- s.Connect(t.Context(), addr, 20, request) }()
		for s.Stats().Retries < 40 {
			<-time.After(time.Millisecond)
		}
		serveOn(t, d.wrap(t, listen()), func(_ int, g *guest) {
			g.upgrade()
			g.linger()
		})
		if err := <-result; err != nil || s.Stats().Open != 20 {
			t.Errorf("%v, %+v", err, s.Stats())
		}
	})
}

// reserve takes an address on which nobody listens, and which nobody else gets,
// until listen is called.
func reserve(t *testing.T) (addr string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "reserved")
	t.Cleanup(func() { f.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port)
	return addr, func() net.Listener {
		if err := syscall.Listen(fd, 100); err != nil {
			t.Fatal(err)
		}
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

func TestAnyOtherAnswerIsFinal(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		answers := []struct {
			text   string
			status int
			body   string
		}{
			{"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno, sir", 403, "no, sir"},
			{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, ""},
			{"HTTP/1.1 404 Not Found\r\nContent-Length: 3000\r\n\r\n" + text(3000), 404, text(512)},
			{"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 9\r\n\r\ncut", 426, "cut"},
			{"HTTP/1.0 500 Oh\r\n\r\n", 500, ""},
		}
		for i, a := range answers {
			addr := d.serve(t, func(n int, g *guest) {
				if n%2 == 1 {
					if g.hear() {
						for _, b := range []byte(a.text) {
							_, _ = g.Write([]byte{b})
						}
					}
				} else {
					g.answer(a.text)
				}
				if a.body == "cut" {
					g.Close()
				}
				g.linger()
			})
			w := newWitness()
			s := gather(t, w, d.options(Options{}))
			for c := range 2 {
				err := s.Connect(t.Context(), addr, 1, request)
				var r *Refusal
				if !errors.As(err, &r) || r.Status != a.status || r.Body != a.body {
					t.Errorf("answer %d: Connect returned %v", i, err)
				}
				if told := w.end(t, c); told != err {
					t.Errorf("answer %d: the handler was told %v", i, told)
				}
			}
		}
	})
}

func TestRubbishInPlaceOfAnAnswerIsFinal(t *testing.T) {
	for _, rubbish := range []string{"SSH-2.0-OpenSSH\r\n\r\n", strings.Repeat("x", 20_000)} {
		addr := door{}.serve(t, func(_ int, g *guest) { g.answer(rubbish); g.linger() })
		if err := gather(t, newWitness(), Options{}).Connect(t.Context(), addr, 1, request); err == nil {
			t.Errorf("%.20q is an answer", rubbish)
		}
	}
}

func TestTheOthersAreGivenUpWhenOneIsRefusedForGood(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		var live atomic.Int64
		addr := d.serve(t, func(n int, g *guest) {
			defer g.Close()
			switch {
			case n < 5:
				g.upgrade(encode(0x81, "welcome")...)
				live.Add(1)
				g.linger()
				live.Add(-1)
			case n == 5:
				g.answer("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
			default:
				g.linger() // says nothing
			}
		})
		var over atomic.Bool
		w := newWitness()
		s := gather(t, w, d.options(Options{Workers: 2, Dialing: 4}))
		err := s.Connect(t.Context(), addr, 50, func(c int) []byte {
			if over.Load() {
				t.Error("the request of a client that was given up is made")
			}
			return request(c)
		})
		over.Store(true)
		var r *Refusal
		if !errors.As(err, &r) || r.Status != 401 {
			t.Fatalf("Connect returned %v", err)
		}
		if got := s.Stats().Open; got > 5 || got != int64(len(w.opened)) {
			t.Errorf("%d are open, told of %d", got, len(w.opened))
		}
		if s.Stats().Open < 5 {
			return // the refusal was quicker
		}
		for c := range w.opened {
			w.got(t, c, 1) // those that are open are not given up
		}
	})
}

func TestConnectEndsWithItsContext(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		here := make(chan struct{}, 10)
		var gone atomic.Int64
		var willing atomic.Bool
		addr := d.serve(t, func(_ int, g *guest) {
			if willing.Load() {
				g.upgrade()
			} else if g.hear() {
				here <- struct{}{}
			}
			g.linger()
			gone.Add(1)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := gather(t, newWitness(), d.options(Options{Dialing: 4}))
		result := make(chan error, 1)
		go func() { result <- s.Connect(ctx, addr, 10, request) }()
		for range 4 {
			<-here
		}
		cancel()
		if err := <-result; err != context.Canceled {
			t.Errorf("Connect returned %v", err)
		}
		if n := len(here); n > 0 {
			t.Errorf("%d of those that were given up have asked", n)
		}
		for gone.Load() < 4 {
			<-time.After(time.Millisecond)
		}
		willing.Store(true)
		if err := s.Connect(t.Context(), addr, 3, request); err != nil || s.Stats().Open != 3 {
			t.Errorf("and then %v, %+v", err, s.Stats())
		}
	})
}

func TestCloseEndsAConnect(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		here := make(chan struct{}, 10)
		addr := d.serve(t, func(_ int, g *guest) {
			g.hear()
			here <- struct{}{}
			g.linger()
		})
		s := gather(t, newWitness(), d.options(Options{Workers: 2}))
		result := make(chan error, 1)
		go func() { result <- s.Connect(t.Context(), addr, 10, request) }()
		for range 10 {
			<-here
		}
		s.Close()
		if err := <-result; err == nil {
			t.Error("Connect returned nil")
		}
	})
}

// TestATaskForAWorkerThatEndsIsDone: somebody may wait for it.
func TestATaskForAWorkerThatEndsIsDone(t *testing.T) {
	s := gather(t, newWitness(), Options{})
	w := s.crew.(*crowd).workers[0]
	done := make(chan struct{})
	w.mail.post(func() {
		w.stopped = true
		w.mail.post(func() { close(done) })
	})
	<-done
}

func TestACertificateThatTheServerWantsIsNotWaitedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	strict := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, ClientAuth: tls.RequireAnyClientCert}
	serveOn(t, tls.NewListener(l, strict), func(_ int, g *guest) {
		g.upgrade()
		g.Close()
	})
	s := gather(t, newWitness(), door{tls: true}.options(Options{}))
	if err := s.Connect(t.Context(), l.Addr().String(), 1, request); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Connect returned %v", err)
	}
}

func TestSoManyHandshakesAreUnderWayAtOnce(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		for _, limit := range []int{3, -1} {
			want := limit
			if limit < 0 {
				want = 20
			}
			var mu sync.Mutex
			var waiting, most int
			go1 := make(chan struct{}, 20)
			arrived := make(chan struct{}, 20)
			addr := d.serve(t, func(_ int, g *guest) {
				if !g.hear() {
					return
				}
				mu.Lock()
				waiting++
				most = max(most, waiting)
				mu.Unlock()
				arrived <- struct{}{}
				<-go1
				mu.Lock()
				waiting--
				mu.Unlock()
				_, _ = io.WriteString(g, accepted)
				g.linger()
			})
			s := gather(t, newWitness(), d.options(Options{Dialing: limit}))
			result := make(chan error, 1)
			go func() { result <- s.Connect(t.Context(), addr, 20, request) }()
			for range want {
				<-arrived
			}
			for range 20 {
				go1 <- struct{}{}
			}
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			if most != want {
				t.Errorf("with %d, %d were under way at once", limit, most)
			}
			mu.Unlock()
		}
	})
}

func TestClientsOfALoopbackServerHaveSourcesWithPortsEnough(t *testing.T) {
	var from atomic.Pointer[[]string]
	from.Store(&[]string{})
	addr := door{}.serve(t, func(_ int, g *guest) {
		host, _, _ := net.SplitHostPort(g.RemoteAddr().String())
		for old := from.Load(); ; old = from.Load() {
			more := append(slices.Clone(*old), host)
			if from.CompareAndSwap(old, &more) {
				break
			}
		}
		g.upgrade()
		g.linger()
	})
	s := gather(t, newWitness(), Options{Workers: 2})
	for _, w := range s.crew.(*crowd).workers {
		w.per = 4
	}
	if err := s.Connect(t.Context(), addr, 10, request); err != nil {
		t.Fatal(err)
	}
	got := *from.Load()
	slices.Sort(got)
	if want := "[127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.2 127.0.0.2 127.0.0.2 127.0.0.2 127.0.0.3 127.0.0.3]"; fmt.Sprint(got) != want {
		t.Errorf("the clients come from %v", got)
	}
}

func TestConnectSaysWhatIsWrongWithAnAddress(t *testing.T) {
	s := gather(t, newWitness(), Options{})
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:http:x", "127.0.0.1:99999", "host.invalid:80"} {
		if err := s.Connect(t.Context(), addr, 1, request); err == nil {
			t.Errorf("%q is an address", addr)
		}
	}
	if err := s.Connect(t.Context(), "nowhere", 0, request); err != nil {
		t.Errorf("no client at all: %v", err)
	}
}

func TestALimitOfFilesThatIsTooLowIsToldWithItsRemedy(t *testing.T) {
	if err := Limit(10); err != nil {
		t.Error(err)
	}
	var e *gatecast.Error
	if err := Limit(1 << 40); !errors.As(err, &e) || e.Code != gatecast.Unavailable ||
		!strings.Contains(e.Message, "RLIMIT_NOFILE") || !strings.Contains(e.Remedy, "LimitNOFILE=1099511627776") {
		t.Errorf("got %v", err)
	}
}
