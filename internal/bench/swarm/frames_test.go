//go:build linux

package swarm

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sizes are those around every border: of the header's forms, and of a head of
// 128 bytes.
var sizes = []int{0, 1, 125, 126, 127, 128, 129, 1000, 65_535, 65_536, 70_000}

func TestFramesOfEverySizeArriveWhole(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		var all []byte
		var want []seen
		for _, n := range sizes {
			all = append(all, encode(0x81, text(n))...)
			all = append(all, encode(0x89, "ping")...)
			want = append(want, seen{text(min(n, 128)), n})
		}
		portions := []int{1, 3, 127, 4096, len(all)}
		addr := d.serve(t, func(n int, g *guest) {
			part := portions[n%len(portions)]
			if !g.upgrade() {
				return
			}
			for rest := all; len(rest) > 0; {
				k := min(part, len(rest))
				if part < 100 && len(rest) < len(all)-5000 && len(rest) > 1000 {
					k = min(8192, len(rest)) // the payloads are long
				}
				if _, err := g.Write(rest[:k]); err != nil {
					return
				}
				rest = rest[k:]
			}
			g.linger()
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{Workers: 2, Dialing: 1}))
		if err := s.Connect(t.Context(), addr, len(portions), request); err != nil {
			t.Fatal(err)
		}
		for c := range portions {
			if got := w.got(t, c, len(want)); !slices.Equal(got, want) {
				t.Errorf("client %d: wrong frames", c)
			}
		}
	})
}

func TestFramesBehindTheAnswerAreNotLost(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		behind := append(encode(0x81, "first"), encode(0x82, text(300))...)
		addr := d.serve(t, func(n int, g *guest) {
			if n == 0 {
				if g.upgrade(append(behind, encode(0x81, "third")...)[:len(behind)+3]...) {
					_, _ = g.Write(encode(0x81, "third")[3:])
				}
			} else if g.hear() {
				for _, b := range append([]byte(accepted), append(behind, encode(0x81, "third")...)...) {
					_, _ = g.Write([]byte{b})
				}
			}
			g.linger()
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{}))
		for c := range 2 {
			if err := s.Connect(t.Context(), addr, 1, request); err != nil {
				t.Fatal(err)
			}
			want := []seen{{"first", 5}, {text(128), 300}, {"third", 5}}
			if got := w.got(t, c, 3); !slices.Equal(got, want) {
				t.Errorf("client %d got %v", c, got)
			}
		}
	})
}

// orderly checks that each client gets its frames in order, and that the calls
// of one worker do not overlap.
type orderly struct {
	next    []int
	busy    [3]atomic.Bool
	overlap atomic.Int64
	wrong   atomic.Int64
	left    atomic.Int64
	done    chan struct{}
}

func (o *orderly) Open(int)          {}
func (o *orderly) Closed(int, error) {}
func (o *orderly) Frame(c int, head []byte, size int) {
	if o.busy[c%3].Swap(true) {
		o.overlap.Add(1)
	}
	if string(head) != fmt.Sprint(o.next[c]) || size != len(head) {
		o.wrong.Add(1)
	}
	o.next[c]++
	if o.left.Add(-1) == 0 {
		close(o.done)
	}
	o.busy[c%3].Store(false)
}

func TestThousandsOfClientsGetEverythingInOrder(t *testing.T) {
	const frames = 20
	everyDoor(t, func(t *testing.T, d door) {
		clients := 3000
		if d.tls {
			clients = 60
		}
		if err := Limit(2*clients + 100); err != nil {
			t.Skip(err)
		}
		addr := d.serve(t, func(_ int, g *guest) {
			if !g.upgrade() {
				return
			}
			for i := range frames {
				if _, err := g.Write(encode(0x81, fmt.Sprint(i))); err != nil {
					return
				}
			}
			g.linger()
		})
		o := &orderly{next: make([]int, clients), done: make(chan struct{})}
		o.left.Store(int64(clients * frames))
		s := gather(t, o, d.options(Options{Workers: 3, Dialing: 300}))
		for range 2 { // the second half has numbers behind the first
			if err := s.Connect(t.Context(), addr, clients/2, request); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Stats().Open; got != int64(clients) {
			t.Errorf("%d clients are open, want %d", got, clients)
		}
		<-o.done
		if o.wrong.Load() > 0 || o.overlap.Load() > 0 {
			t.Errorf("%d wrong frames, %d calls of one worker at the same time", o.wrong.Load(), o.overlap.Load())
		}
		s.Close()
		if got := s.Stats(); got.Frames != int64(clients*frames) || got.Open != 0 || got.Bytes != int64(clients*(10*3+10*4)) {
			t.Errorf("stats are %+v", got)
		}
	})
}

func TestAFloodToOneClientDoesNotStarveAnother(t *testing.T) {
	flood := []byte(strings.Repeat(string(encode(0x81, text(1000))), 1000))
	second := make(chan struct{})
	addr := door{}.serve(t, func(n int, g *guest) {
		if !g.upgrade() {
			return
		}
		if n == 1 {
			<-second
			_, _ = g.Write(encode(0x81, "hello"))
			g.linger()
		}
		for {
			if _, err := g.Write(flood); err != nil {
				return
			}
		}
	})
	w := &few{got: make(chan int, 1)}
	s := gather(t, w, Options{Dialing: 1})
	if err := s.Connect(t.Context(), addr, 2, request); err != nil {
		t.Fatal(err)
	}
	close(second)
	if size := <-w.got; size != 5 {
		t.Errorf("client 1 got %d bytes", size)
	}
}

// few tells of what client 1 gets.
type few struct{ got chan int }

func (f *few) Open(int)          {}
func (f *few) Closed(int, error) {}
func (f *few) Frame(c int, _ []byte, size int) {
	if c == 1 {
		f.got <- size
	}
}

// TestMoreThanOneTurnBringsIsReadInTheNext has all of it in the socket before
// the worker looks, so that nothing new wakes it.
func TestMoreThanOneTurnBringsIsReadInTheNext(t *testing.T) {
	const frames, size = 800, 1000
	wire := []byte(strings.Repeat(string(encode(0x81, text(size))), frames))
	held := make(chan struct{})
	addr := door{}.serve(t, func(_ int, g *guest) {
		if g.upgrade() {
			<-held
			_, _ = g.Write(wire)
			g.linger()
		}
	})
	w := newWitness()
	s := gather(t, w, Options{ReceiveBuffer: 4 << 20})
	if err := s.Connect(t.Context(), addr, 1, request); err != nil {
		t.Fatal(err)
	}
	one := s.crew.(*crowd).workers[0]
	one.mail.post(func() {
		close(held)
		for limit := time.Now().Add(patience); time.Now().Before(limit); <-time.After(time.Millisecond) {
			if n, err := unix.IoctlGetInt(int(one.clients[0].fd), unix.TIOCINQ); err != nil || n == len(wire) {
				return
			}
		}
		t.Error("the socket does not take it all")
	})
	w.got(t, 0, frames)
	if len(wire) <= turns*readSize {
		t.Errorf("one turn is enough for %d bytes", len(wire))
	}
}

func TestNoHeadIsShownIfNoneIsWanted(t *testing.T) {
	addr := door{}.serve(t, func(_ int, g *guest) {
		g.upgrade(encode(0x81, text(1000))...)
		g.linger()
	})
	w := newWitness()
	if err := gather(t, w, Options{Head: -1}).Connect(t.Context(), addr, 1, request); err != nil {
		t.Fatal(err)
	}
	if got := w.got(t, 0, 1)[0]; got != (seen{"", 1000}) {
		t.Errorf("got %v", got)
	}
}

func TestDeflatedFramesAreTakenWhereBothSidesAgreed(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		const extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
		addr := d.serve(t, func(_ int, g *guest) {
			if g.hear() {
				_, _ = g.Write(append([]byte(strings.TrimSuffix(accepted, "\r\n")+extension), encode(0xc1, "packed")...))
			}
			g.linger()
		})
		w := newWitness()
		s := gather(t, w, d.options(Options{}))
		offer := func(int) []byte { return []byte("GET / HTTP/1.1\r\nHost: x\r\n" + extension) }
		if err := s.Connect(t.Context(), addr, 1, offer); err != nil {
			t.Fatal(err)
		}
		w.got(t, 0, 1)
		if err := s.Connect(t.Context(), addr, 1, request); err != nil {
			t.Fatal(err)
		}
		if err := w.end(t, 1); !strings.Contains(err.Error(), "reserved bits") {
			t.Errorf("a client that had not offered it ends with %v", err)
		}
	})
}

func TestAClientThatIsIdleIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(client{}); n > 256 {
		t.Errorf("a client has %d bytes", n)
	}
}
