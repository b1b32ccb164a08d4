//go:build linux

package swarm

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. It decides only how
// late a broken test fails.
const patience = 2 * time.Minute

// witness is a handler that writes down what it is told.
type witness struct {
	mu      sync.Mutex // guards all; changed gets a token after each change
	opened  map[int]int
	frames  map[int][]seen
	ends    map[int][]error
	changed chan struct{}
}

type seen struct {
	head string
	size int
}

func newWitness() *witness {
	return &witness{opened: make(map[int]int), frames: make(map[int][]seen), ends: make(map[int][]error), changed: make(chan struct{}, 1)}
}

func (w *witness) note(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *witness) Open(c int) { w.note(func() { w.opened[c]++ }) }
func (w *witness) Frame(c int, head []byte, size int) {
	w.note(func() { w.frames[c] = append(w.frames[c], seen{string(head), size}) })
}
func (w *witness) Closed(c int, err error) { w.note(func() { w.ends[c] = append(w.ends[c], err) }) }

// await returns when what is waited for is so.
func (w *witness) await(t testing.TB, what string, so func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		ok := so()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.changed:
		case <-limit:
			t.Fatalf("%s: did not come", what)
		}
	}
}

// got returns a client's frames when it has so many.
func (w *witness) got(t testing.TB, client, n int) (all []seen) {
	t.Helper()
	w.await(t, fmt.Sprintf("%d frames of client %d", n, client), func() bool {
		all = slices.Clone(w.frames[client])
		return len(all) >= n
	})
	return all
}

// end returns why a client was closed.
func (w *witness) end(t testing.TB, client int) (err error) {
	t.Helper()
	w.await(t, "the end of a client", func() bool {
		if len(w.ends[client]) > 1 {
			t.Errorf("client %d was closed %d times", client, len(w.ends[client]))
		}
		if len(w.ends[client]) > 0 {
			err = w.ends[client][0]
		}
		return err != nil
	})
	return err
}

// guest is a client as the test's server sees it.
type guest struct {
	net.Conn
	r       *bufio.Reader
	request string // its head
}

// door is one way to get at a server.
type door struct {
	name string
	tls  bool
}

func everyDoor(t *testing.T, f func(t *testing.T, d door)) {
	for _, d := range []door{{"tcp", false}, {"tls", true}} {
		t.Run(d.name, func(t *testing.T) { f(t, d) })
	}
}

// options returns those that fit the door.
func (d door) options(o Options) Options {
	if d.tls {
		o.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if o.Retry == 0 {
		o.Retry = time.Millisecond
	}
	return o
}

// serve runs f for each connection that comes, with the number of those before
// it, until the test ends.
func (d door) serve(t testing.TB, f func(n int, g *guest)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, d.wrap(t, l), f)
	return l.Addr().String()
}

func (d door) wrap(t testing.TB, l net.Listener) net.Listener {
	if d.tls {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	}
	return l
}

func serveOn(t testing.TB, l net.Listener, f func(n int, g *guest)) {
	var mu sync.Mutex
	var conns []net.Conn
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			running.Go(func() { f(n, &guest{Conn: c, r: bufio.NewReader(c)}) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
}

const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

// hear reads the request.
func (g *guest) hear() bool {
	r, err := http.ReadRequest(g.r)
	if err == nil {
		g.request = r.Method + " " + r.RequestURI
	}
	return err == nil
}

// upgrade answers the request with 101 and what is to come right behind it.
func (g *guest) upgrade(behind ...byte) bool {
	if !g.hear() {
		return false
	}
	_, err := g.Write(append([]byte(accepted), behind...))
	return err == nil
}

// answer answers with something else.
func (g *guest) answer(text string) {
	if g.hear() {
		_, _ = io.WriteString(g, text)
	}
}

// next reads a frame of the client's.
func (g *guest) next() (first byte, payload []byte, masked bool, err error) {
	var head [6]byte
	if _, err = io.ReadFull(g.r, head[:]); err != nil {
		return 0, nil, false, err
	}
	payload = make([]byte, head[1]&0x7f)
	_, err = io.ReadFull(g.r, payload)
	for i := range payload {
		payload[i] ^= head[2+i%4]
	}
	return head[0], payload, head[1]&0x80 != 0, err
}

// linger reads until the client goes.
func (g *guest) linger() { _, _ = io.Copy(io.Discard, g.r) }

// gather makes a swarm that is closed at the test's end.
func gather(t testing.TB, h Handler, o Options) *Swarm {
	t.Helper()
	s, err := New(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func request(int) []byte { return []byte("GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n") }

// encode makes a frame of the server's. first is FIN, RSV and opcode.
func encode(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func text(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }

// certificate makes one for any name.
var certificate = func() func(testing.TB) tls.Certificate {
	var once sync.Once
	var c tls.Certificate
	return func(t testing.TB) tls.Certificate {
		once.Do(func() {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
			der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			c = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		})
		return c
	}
}()
