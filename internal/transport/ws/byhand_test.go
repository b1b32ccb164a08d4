package ws

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/cursor"
)

// tape is a ring that a test writes. It counts how often it gave events.
type tape struct {
	mu     sync.Mutex // guards the fields below
	events []*gatecast.Event
	floor  gatecast.Seq
	rung   []chan struct{}

	windows atomic.Int64
}

// add makes an event the newest.
func (t *tape) add(ev *gatecast.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ev.Seq, ev.Stored = t.floor+gatecast.Seq(len(t.events))+1, time.Now()
	t.events = append(t.events, ev)
	for _, bell := range t.rung {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

// cut leaves only the newest events in memory.
func (t *tape) cut(keep int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.events) - keep; n > 0 {
		t.floor += gatecast.Seq(n)
		t.events = append(t.events[:0], t.events[n:]...)
	}
}

func (t *tape) Head() gatecast.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.floor + gatecast.Seq(len(t.events))
}

func (t *tape) Floor() gatecast.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.floor
}

func (t *tape) Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.floor {
		return buf, false
	}
	if rest := t.events[min(int(after-t.floor), len(t.events)):]; len(rest) > 0 {
		buf = append(buf, rest[:min(len(rest), cap(buf)-len(buf))]...)
		t.windows.Add(1)
	}
	return buf, true
}

func (t *tape) Listen() (<-chan struct{}, func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bell := make(chan struct{}, 1)
	t.rung = append(t.rung, bell)
	return bell, func() {}
}

// byHand is a site with one shard, which goes round when the test says so, and
// with a tape for a ring.
type byHand struct {
	*site
	tape  *tape
	shard *shard
}

func openByHand(t testing.TB, f front, o Options, apps ...gatecast.App) *byHand {
	o.Shards, o.Epoch = 1, "e"
	s := &site{t: t, apps: newFakeApps(apps...), front: f, moved: make(chan struct{}, 1)}
	s.cursors = cursor.OpenMem(cursor.Options{Mem: &bucket.Mem{}, Epoch: o.Epoch})
	h := &byHand{site: s, tape: &tape{}}
	s.server = New(s.apps, h.tape, lossy{}, signalling{s.cursors, s.moved}, o)
	h.shard = s.server.shards[0]
	front := f.open(s.server)
	s.url = front.URL
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.cursors.Run(ctx) })
	work.Go(func() { s.server.replays.run(ctx) })
	t.Cleanup(func() {
		cancel()
		s.server.door.end()
		for _, c := range s.server.roster.all() {
			c.sock.Abort()
		}
		s.server.door.wait()
		work.Wait()
		front.Close()
	})
	return h
}

// connectAs dials as an app, and returns the client and the server's end.
func (h *byHand) connectAs(key, query string) (*peer, *conn) {
	h.t.Helper()
	p := h.dial(path(key, secret, h.shard.opts.Now()) + query)
	p.text() // 20000
	for {
		for _, c := range h.server.roster.of(key) {
			if c.sock.RemoteAddr().String() == p.conn.LocalAddr().String() {
				return p, c
			}
		}
	}
}

// settle goes round until there is nothing to do and all of conns are level.
func (h *byHand) settle(conns ...*conn) {
	h.t.Helper()
	for {
		for h.shard.round() {
		}
		behind := 0
		for _, c := range conns {
			if c.state() != level {
				behind++
			}
		}
		if behind == 0 {
			return
		}
		<-h.shard.mail.flag
	}
}

// write puts n small events on the tape.
func (h *byHand) write(n int, kind gatecast.Kind) {
	for range n {
		ev := makeEvent(int(h.tape.Head())+1, 0, kind)
		h.tape.add(&ev)
	}
}
