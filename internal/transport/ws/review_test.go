package ws

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
)

// gated counts how often the journal is read, and keeps those who read it for
// the second time or later waiting until it is opened.
type gated struct {
	History
	reads *atomic.Int64
	open  chan struct{}
}

func (h gated) Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	if h.reads.Add(1) > 1 {
		select {
		case <-h.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return h.History.Read(ctx, after, buf)
}

// gate puts a gated history in. It must be called before anybody reads.
func (s *site) gate() gated {
	h := gated{s.hub, new(atomic.Int64), make(chan struct{})}
	s.server.replays.history = h // no race: its workers wait: nobody reads the journal
	return h
}

// rounds has the one shard of a site go round n times, and seen by a peer that
// is level.
func (s *site) rounds(p *peer, first, n int) {
	s.t.Helper()
	for i := first; i < first+n; i++ {
		s.publish(i, 1, 0, gatecast.Alarm)
		for p.text() == senselink.HeartBeat {
		}
	}
}

func TestClientThatOwesAcknowledgementsDoesNotHaveTheJournalReadOverAndOver(t *testing.T) {
	o := quick()
	o.Shards = 1
	s := newSite(t, 4, o)
	h := s.gate()
	close(h.open)
	s.ask("client=hr&ack=manual").cut()
	<-s.server.roster.empty()
	s.publish(1, 50, 0, gatecast.Record)
	s.awaitHead(50)
	p := s.ask("client=hr&ack=manual&inflight=1")
	expectResumed(t, p.text(), 0)
	if got := eventID(t, p.text()); got != 1 {
		t.Fatalf("got event %d, want 1", got)
	}
	other := s.ask("since=latest")
	expectResumed(t, other.text(), 50)
	s.rounds(other, 51, 200)
	if n := h.reads.Load(); n > 5 {
		t.Errorf("the journal was read %d times for a client that is to be sent nothing", n)
	}
	p.write(gows.NewTextFrame([]byte(`{"ack":1}`)))
	if got := eventID(t, p.text()); got != 2 {
		t.Fatalf("got event %d, want 2", got)
	}
}

func TestConnectionThatIsBeingClosedDoesNotReadTheJournalOverAndOver(t *testing.T) {
	second := anApp()
	second.Key = "0123456789abcdef"
	o := quick()
	o.Shards, o.Conn.CloseTimeout = 1, time.Minute
	s := newSite(t, 4, o, anApp(), second)
	s.settled(5)
	h := s.gate()
	s.publish(6, 600, 0, gatecast.Record)
	s.awaitHead(605)
	other := s.dial(path(second.Key, secret, time.Now()))
	other.expectText(senselink.Connected)
	p := s.connect()
	p.expectEvents(6, 261, 0, gatecast.Record)
	for h.reads.Load() < 2 { // it stands in the journal now, before its second page
	}
	off := anApp()
	off.Enabled = false
	s.apps.set(off)
	for f := must(p.frame()); f.Header.OpCode != gows.OpClose; f = must(p.frame()) {
	} // which it does not answer
	close(h.open)
	s.rounds(other, 606, 200)
	if n := h.reads.Load(); n > 5 {
		t.Errorf("the journal was read %d times for a client that is sent nothing more", n)
	}
}

func TestWhatAClientAcknowledgesWhileItReadsTheJournalIsKeptThoughItLeaves(t *testing.T) {
	s := newSite(t, 4, quick())
	h := s.gate()
	defer close(h.open)
	s.ask("client=hr&ack=manual").cut()
	<-s.server.roster.empty()
	s.publish(1, 600, 0, gatecast.Record)
	s.awaitHead(600)
	p := s.ask("client=hr&ack=manual")
	expectResumed(t, p.text(), 0)
	for want := 1; want <= page; want++ {
		if got := eventID(t, p.text()); got != want {
			t.Fatalf("got event %d, want %d", got, want)
		}
	}
	for h.reads.Load() < 2 { // it is in the replayer's hands
	}
	p.write(gows.NewTextFrame([]byte(`{"ack":` + strconv.Itoa(page) + `}`)))
	p.write(gows.NewCloseFrame(gows.NewCloseFrameBody(gows.StatusNormalClosure, "")))
	s.awaitCursor(gatecast.NamedConsumer(key, "hr"), page)
}

// plant has another node make a cursor in a journal of another epoch.
func (s *site) plant(c gatecast.Consumer, epoch string, at gatecast.Seq) {
	s.t.Helper()
	node := cursor.OpenMem(cursor.Options{Mem: s.disk, Epoch: epoch})
	ctx, cancel := context.WithCancel(s.t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = node.Run(ctx) })
	_, _, err := node.Begin(ctx, c, at)
	cancel()
	work.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	for there := false; !there; {
		_, there = s.cursors.Cursor(c)
	}
}

// failing is a journal that cannot tell what it holds the first time.
type failing struct {
	History
	asked *atomic.Int64
	again chan struct{} // closed when it is asked again
}

func (h failing) Extent(ctx context.Context) (gatecast.Extent, error) {
	if h.asked.Add(1) == 1 {
		return gatecast.Extent{}, io.ErrUnexpectedEOF
	}
	close(h.again)
	<-ctx.Done()
	return gatecast.Extent{}, ctx.Err()
}

func TestPositionOfAnotherJournalIsNotTakenForOneOfThisWhileTheJournalCannotBeRead(t *testing.T) {
	s := newSite(t, 4, quick())
	s.publish(1, 100, 0, gatecast.Record)
	s.awaitHead(100)
	hr := gatecast.NamedConsumer(key, "hr")
	s.plant(hr, "another", 90)
	h := failing{s.hub, new(atomic.Int64), make(chan struct{})}
	s.server.replays.history = h // no race: nobody is connected
	s.ask("client=hr&ack=manual")
	<-h.again
	if cur, _ := s.cursors.Cursor(hr); cur.Epoch != "another" {
		t.Errorf("the cursor is %+v, and of what this journal holds nothing was sent", cur)
	}
}

func TestAWishForAPlaceThatIsNotThereDoesNotTakeANameBack(t *testing.T) {
	for name, query := range map[string]string{
		"ahead":         "client=hr&since=99999",
		"another epoch": "client=hr&since=2&epoch=ANOTHER",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 64, quick())
			hr := gatecast.NamedConsumer(key, "hr")
			p := s.ask("client=hr")
			expectResumed(t, p.text(), 0)
			s.publish(1, 5, 0, gatecast.Record)
			p.expectEvents(1, 5, 0, gatecast.Record)
			for p.pong() != "5" {
			}
			s.awaitCursor(hr, 5)
			s.ask(query).text() // the gap
			if cur, _ := s.cursors.Cursor(hr); cur.Seq != 5 || cur.Lost != 0 {
				t.Errorf("the cursor is %+v, and the name has confirmed 5", cur)
			}
		})
	}
}

// TestShardActsOnEveryNoteThatWasThereWhenItEnds: what a connection was known
// to have at its end is otherwise sent again after an orderly stop.
func TestShardActsOnEveryNoteThatWasThereWhenItEnds(t *testing.T) {
	for range 20 { // it must not be a matter of chance
		var stop atomic.Bool // the shard, once, in the middle of a round
		in, out := make(chan struct{}), make(chan struct{})
		now := func() time.Time {
			if stop.CompareAndSwap(true, false) {
				in <- struct{}{}
				<-out
			}
			return time.Now()
		}
		server := New(newFakeApps(), quiet{}, nil, nil, Options{Shards: 1, Now: now})
		sh := server.shards[0]
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); sh.run(ctx) }()
		c := &conn{shard: sh, view: &view{}, seat: seat{index: -1, beat: -1}}
		c.enter(blocked)
		stop.Store(true)
		sh.reached(0) // has it go round
		<-in
		sh.post(note{conn: c, what: left})
		cancel()
		close(out)
		<-done
		if c.state() != dead {
			t.Fatal("a connection's end was not heeded")
		}
	}
}

// quiet is a ring that stands still.
type quiet struct{ endless }

func (quiet) Window(_ gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	return buf, true
}

func TestClientThatNeverAcknowledgesHasConfirmedNothing(t *testing.T) {
	s := newSite(t, 4, quick())
	hr := gatecast.NamedConsumer(key, "hr")
	s.ask("client=hr&ack=manual").cut()
	<-s.server.roster.empty()
	s.publish(1, 50, 0, gatecast.Record)
	s.awaitHead(50)
	p := s.ask("client=hr&ack=manual&inflight=10")
	expectResumed(t, p.text(), 0)
	for range 10 {
		p.text()
	}
	s.awaitInFlight(10)
	if cur, _ := s.cursors.Cursor(hr); !cur.Confirmed.IsZero() {
		t.Errorf("the cursor is %+v, and the client has not said a word", cur)
	}
}
