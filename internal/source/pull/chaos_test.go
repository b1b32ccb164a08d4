package pull

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// TestWhatAServerHasWrittenIsStoredOnceAndInOrder: whatever happens to the
// connections, the journal and the settings meanwhile. On a pipe, what is
// written has been read.
func TestWhatAServerHasWrittenIsStoredOnceAndInOrder(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 6))) })
		})
	}
}

// writer is a server that pushes one event after the other.
type writer struct {
	turn chan struct{} // holds a token, and who has it may write to conn

	// mu guards the fields below. Nothing is written under it.
	mu      sync.Mutex
	dice    *rand.Rand
	n       int
	written []string // the IDs of what was
	conn    *session
}

func chaos(t *testing.T, dice *rand.Rand) {
	w := &writer{dice: rand.New(rand.NewPCG(dice.Uint64(), 1)), turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	network := serve(t, sessions(t, w.serve))
	b := follow(t, network, Options{})
	for range 40 {
		pass(time.Duration(dice.IntN(20_000)) * time.Millisecond)
		switch dice.IntN(5) {
		case 0:
			w.cut()
		case 1:
			network.refuse(true)
			pass(time.Duration(dice.IntN(5_000)) * time.Millisecond)
			network.refuse(false)
		case 2:
			b.journal.set(func(j *journal) { j.full = gatecast.Errorf(gatecast.Unavailable, "no disk") })
			pass(time.Duration(dice.IntN(20_000)) * time.Millisecond)
			b.journal.set(func(j *journal) { j.full = nil })
			pass(2 * mostRetry) // who leaves while the journal is away leaves something behind
		case 3:
			b.Suspect("hq", "as a test")
		case 4:
			b.sources.change("hq", func(s gatecast.Source) *gatecast.Source {
				s.Settings.URL = fmt.Sprintf("ws://gate-%d.example", dice.IntN(3))
				return &s
			})
		}
	}
	b.stop()
	w.cut()
	synctest.Wait()
	if got, want := b.journal.stored(), strings.Join(w.written, " "); got != want {
		t.Errorf("stored  %s\nwritten %s", got, want)
	}
	if len(w.written) < 20 {
		t.Errorf("only %d events", len(w.written))
	}
}

func (w *writer) serve(s session) {
	over := make(chan struct{})
	defer close(over)
	w.take(&s)
	go w.push(s, over)
	for {
		f, ok := s.frame()
		if !ok {
			return
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			w.write(s, ws.NewPongFrame(f.Payload))
		case ws.OpClose:
			w.take(nil) // nothing may follow
			w.write(s, ws.NewCloseFrame(f.Payload))
			return
		}
	}
}

func (w *writer) take(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = s
}

func (w *writer) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.conn.Close()
		w.conn = nil
	}
}

// write reports whether all of a frame was written.
func (w *writer) write(s session, f ws.Frame) bool {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	_, err := s.conn.Write(ws.MustCompileFrame(f))
	return err == nil
}

// push pushes on s for as long as it is the newest connection.
func (w *writer) push(s session, over <-chan struct{}) {
	w.write(s, ws.NewTextFrame([]byte(senselink.Connected)))
	beat := time.Now()
	for {
		w.mu.Lock()
		pause := time.Duration(w.dice.IntN(4_000)) * time.Millisecond
		w.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-over:
			return
		}
		if time.Since(beat) > 30*time.Second {
			beat = time.Now()
			w.write(s, ws.NewTextFrame([]byte(senselink.HeartBeat)))
		}
		if !w.event(s) {
			return
		}
	}
}

func (w *writer) event(s session) bool {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.mu.Lock()
	current := w.conn != nil && w.conn.n == s.n
	w.n++
	n, text := w.n, record(w.n)
	cut := 1 + w.dice.IntN(len(text)-1)
	w.mu.Unlock()
	if !current {
		return false
	}
	whole := append(ws.MustCompileFrame(ws.NewFrame(ws.OpText, false, []byte(text[:cut]))),
		ws.MustCompileFrame(ws.NewFrame(ws.OpContinuation, true, []byte(text[cut:])))...)
	if _, err := s.conn.Write(whole); err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = append(w.written, fmt.Sprintf("hq:record:%d", n))
	return true
}
