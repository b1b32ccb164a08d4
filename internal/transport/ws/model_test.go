package ws

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	gows "github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// world is an app, its events and its clients over the lives of several
// servers. The journal and what is committed of the cursors survive; nothing
// else does.
type world struct {
	rt        *rapid.T
	t         *testing.T
	journal   *journal.Mem
	disk      *bucket.Mem
	ring      int
	site      *site
	published int
	expired   int // up to here retention has removed everything
	clients   []*listener
	live      []*listener
}

// listener is a client of the old kind: it reads, and its library answers
// Pings.
type listener struct {
	peer   *peer
	after  int // the app's cursor before it connected
	latest int // and when it was connected
	gate   sync.Mutex
	paused bool
	done   chan struct{}

	mu   sync.Mutex // guards seen
	seen []int
}

func (l *listener) run(t *testing.T) {
	defer close(l.done)
	for {
		l.waitAtGate()
		f, err := l.peer.frame()
		switch {
		case err != nil:
			return
		case f.Header.OpCode == gows.OpPing:
			if gows.WriteFrame(l.peer.conn, gows.MaskFrame(gows.NewPongFrame(f.Payload))) != nil {
				return
			}
		case f.Header.OpCode == gows.OpText:
			l.see(t, f.Payload)
		}
	}
}

func (l *listener) see(t *testing.T, text []byte) {
	var m struct {
		Code int
		Data struct{ ID int }
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Error(err)
	}
	if gatecast.Kind(m.Code).Valid() {
		l.mu.Lock()
		l.seen = append(l.seen, m.Data.ID)
		l.mu.Unlock()
	}
}

func (l *listener) waitAtGate() {
	l.gate.Lock()
	defer l.gate.Unlock()
}

func (l *listener) pause(yes bool) {
	if yes != l.paused {
		l.paused = yes
		if yes {
			l.gate.Lock()
		} else {
			l.gate.Unlock()
		}
	}
}

// boot starts a server on what has survived.
func (w *world) boot() {
	var err error
	s := &site{t: w.t, journal: w.journal, apps: newFakeApps(anApp()), disk: w.disk, moved: make(chan struct{}, 1)}
	if s.hub, err = hub.New(w.t.Context(), w.journal, hub.Options{Ring: w.ring}); err != nil {
		w.rt.Fatal(err)
	}
	extent, err := w.journal.Extent(w.t.Context())
	if err != nil {
		w.rt.Fatal(err)
	}
	s.cursors = cursor.OpenMem(cursor.Options{Mem: w.disk, Epoch: extent.Epoch, Last: s.last, Interval: 5 * time.Millisecond})
	o := quick()
	o.Epoch, o.Shards = extent.Epoch, rapid.IntRange(1, 2).Draw(w.rt, "shards")
	s.server = New(s.apps, s.hub, s.hub, signalling{s.cursors, s.moved}, o)
	s.front = front{narrow: true}
	server := s.front.open(s.server)
	s.url = server.URL
	w.site, s.stop = s, run(s, server)
}

func run(s *site, server *httptest.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.cursors.Run(ctx) })
	work.Go(func() { _ = s.hub.Run(ctx) })
	work.Go(func() { _ = s.server.Run(ctx) })
	return sync.OnceFunc(func() {
		cancel()
		work.Wait()
		server.Close()
	})
}

// crash ends the server as kill -9 does: of the cursors only what is on disk
// at that moment counts.
func (w *world) crash() {
	w.disk = w.disk.Crash()
	w.site.stop()
	for _, l := range w.live {
		l.pause(false)
		<-l.done
	}
	w.live = nil
	w.boot()
}

func (w *world) connect() {
	l := &listener{done: make(chan struct{})}
	l.after = w.cursor()
	l.peer = w.site.connect()
	l.latest = w.cursor()
	w.clients, w.live = append(w.clients, l), append(w.live, l)
	go l.run(w.t)
}

func (w *world) cursor() int {
	cur, _ := w.site.cursors.Cursor(whole)
	return int(cur.Seq)
}

func (w *world) leave(l *listener) {
	l.peer.cut()
	l.pause(false)
	<-l.done
	w.live = slices.DeleteFunc(w.live, func(x *listener) bool { return x == l })
}

func (w *world) publish(n, padding int) {
	for range n {
		w.published++
		w.site.publish(w.published, 1, padding, kindOf(w.published))
	}
}

// step does one thing, chosen at random.
func (w *world) step() {
	var l *listener
	if len(w.live) > 0 {
		l = w.live[rapid.IntRange(0, len(w.live)-1).Draw(w.rt, "client")]
	}
	ops := []string{"publish", "publish", "publish", "connect", "connect", "leave", "leave", "pause", "resume", "crash", "expire"}
	switch op := rapid.SampledFrom(ops).Draw(w.rt, "op"); {
	case op == "publish":
		w.publish(rapid.IntRange(1, 60).Draw(w.rt, "events"), rapid.IntRange(0, 2000).Draw(w.rt, "size"))
	case op == "connect":
		w.connect()
	case op == "crash":
		w.crash()
	case op == "expire":
		w.expired = rapid.IntRange(w.expired, w.published).Draw(w.rt, "up to")
		w.journal.Expire(gatecast.Seq(w.expired))
	case l == nil:
	case op == "leave":
		w.leave(l)
	default:
		l.pause(op == "pause")
	}
}

// finish lets everything arrive at the clients that are there.
func (w *world) finish() {
	w.connect()
	w.publish(1, 0)
	for _, l := range w.live {
		l.pause(false)
	}
	w.site.awaitCursor(whole, gatecast.Seq(w.published))
	w.site.stop()
	for _, l := range w.live {
		<-l.done
	}
}

// check holds what the clients saw against the contract: each saw the journal
// from the app's cursor on, in order and without a hole but for what retention
// took; and together they saw everything that was accepted after the first of
// them had connected.
func (w *world) check() {
	together := map[int]bool{}
	for i, l := range w.clients {
		last := l.latest
		for n, id := range l.seen {
			together[id] = true
			switch {
			case id <= last && n > 0:
				w.rt.Fatalf("client %d saw event %d after %d", i, id, last)
			case id <= l.after:
				w.rt.Fatalf("client %d was sent event %d, though everything up to %d was confirmed", i, id, l.after)
			case id > last+1 && id > w.expired+1:
				w.rt.Fatalf("client %d saw event %d after %d, and retention took only what is up to %d", i, id, last, w.expired)
			}
			last = id
		}
	}
	for id := w.clients[0].after + 1; id <= w.published; id++ {
		if !together[id] && id > w.expired {
			w.rt.Fatalf("nobody was sent event %d of %d (retention took up to %d)", id, w.published, w.expired)
		}
	}
}

// TestTogetherTheClientsOfAnAppSeeEverything lets unmodified clients come, be
// cut, stall and go on, the server crash and the journal lose its oldest
// events, in any order.
func TestTogetherTheClientsOfAnAppSeeEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{rt: rt, t: t, journal: journal.OpenMem(journal.MemOptions{}), disk: &bucket.Mem{}}
		w.ring = rapid.IntRange(1, 60).Draw(rt, "ring")
		w.boot()
		defer func() { w.site.stop() }()
		w.connect()
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			w.step()
		}
		w.finish()
		w.check()
	})
}
