package sse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
)

// brokenHistory fails while it is told to.
type brokenHistory struct {
	History
	mu    sync.Mutex
	err   error
	tries int
}

func (b *brokenHistory) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *brokenHistory) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	return b.err
}

func (b *brokenHistory) tried() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

func (b *brokenHistory) Extent(ctx context.Context) (gatecast.Extent, error) {
	if err := b.fault(); err != nil {
		return gatecast.Extent{}, err
	}
	return b.History.Extent(ctx)
}

func (b *brokenHistory) Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	if err := b.fault(); err != nil {
		return nil, err
	}
	return b.History.Read(ctx, after, buf)
}

// simulated runs a test over HTTP/1.1 and over HTTP/2, in time and on a network
// of its own.
func simulated(t *testing.T, test func(*testing.T, front)) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%t", http2), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, front{http2: http2, pipes: newPipes()}) })
		})
	}
}

func TestAReaderThatTakesNothingIsCutAndHoldsUpNobody(t *testing.T) {
	simulated(t, func(t *testing.T, f front) {
		s := newSite(t, plan{front: f, ring: 64, opts: Options{Stall: time.Minute, Heartbeat: time.Hour, Readers: 1}})
		stalled := s.read("since=latest")
		stalled.wantResumed(0, 0, s.epoch())
		good := s.read("since=latest")
		good.wantResumed(0, 0, s.epoch())
		began := time.Now()
		for range 20 { // more than all buffers between the two hold
			s.publish(records(50, 10_000)...)
			for _, e := range s.events[len(s.events)-50:] {
				good.want(numbered(e, s.epoch(), false))
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the other reader waited for %v", took)
		}
		good.cut()
		s.settle()
		if n := s.metric("gatecast_sse_cut_total", "reason", "stalled"); n != 1 {
			t.Errorf("%v cut as stalled, want 1", n)
		}
		if took := time.Since(began); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("it was cut after %v, want a minute", took)
		}
		got, err := stalled.end()
		if clean(err) || len(got) == 1000 {
			t.Errorf("%d events, then %v", len(got), err)
		}
	})
}

func TestAReaderThatIsSlowButTakesSomethingIsNotCut(t *testing.T) {
	simulated(t, func(t *testing.T, f front) {
		s := newSite(t, plan{front: f, ring: 64, opts: Options{Stall: time.Minute}})
		r := s.read("since=latest")
		r.wantResumed(0, 0, s.epoch())
		s.publish(records(600, 10_000)...)
		for _, e := range s.events {
			<-time.After(10 * time.Second) // all together a hundred times longer than Stall
			r.want(numbered(e, s.epoch(), false))
		}
	})
}

func TestAReaderOvertakenByRetentionIsToldAndGoesOn(t *testing.T) {
	gate := &gatedHistory{open: make(chan struct{})}
	s := newSite(t, plan{ring: 16, history: func(h History) History { gate.History = h; return gate }})
	s.awaitHead(s.publish(records(900, 0)...))
	r := s.read("since=100")
	r.wantResumed(100, 900, s.epoch())
	s.journal.Expire(500)
	close(gate.open) // the stream has been waiting for its first page
	r.want(message{"gap", fmt.Sprintf(`{"from":100,"to":500,"reason":"retention","head":900,"epoch":%q}`, s.epoch()), "500"})
	for _, e := range s.events[500:] {
		r.want(numbered(e, s.epoch(), true))
	}
	if n := s.metric("gatecast_sse_lost_positions_total"); n != 400 {
		t.Errorf("%v positions lost, want 400", n)
	}
}

// gatedHistory lets readers wait, and counts them.
type gatedHistory struct {
	History
	open        chan struct{}
	inside, top atomic.Int64
}

func (g *gatedHistory) Read(ctx context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	n := g.inside.Add(1)
	defer g.inside.Add(-1)
	for top := g.top.Load(); n > top && !g.top.CompareAndSwap(top, n); top = g.top.Load() {
	}
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return g.History.Read(ctx, after, buf)
}

func TestOnlySoManyStreamsReadTheJournalAtOnceAndTheOthersStayAlive(t *testing.T) {
	gate := &gatedHistory{open: make(chan struct{})}
	s := newSite(t, plan{ring: 16, opts: Options{Readers: 2, Heartbeat: beats}, history: func(h History) History { gate.History = h; return gate }})
	s.awaitHead(s.publish(records(300, 0)...))
	var readers []*reader
	for range 6 {
		r := s.read("since=earliest")
		r.wantResumed(0, 300, s.epoch())
		readers = append(readers, r)
	}
	beating := 0
	for beating < 4 { // the two at the gate have no heart to beat
		beating = 0
		for _, st := range s.server.roster.all() {
			if st.out.bytes.Load() > 500 {
				beating++
			}
		}
	}
	for _, c := range s.server.List() {
		if c.Mode == gatecast.ModeLive || c.LagEvents != 300 { // a write that lasts, on a busy machine, looks stalled
			t.Errorf("%+v", c)
		}
	}
	close(gate.open)
	for _, r := range readers {
		for _, e := range s.events {
			r.want(numbered(e, s.epoch(), true))
		}
	}
	if top := gate.top.Load(); top != 2 {
		t.Errorf("%d streams read the journal at once, want 2", top)
	}
}

func TestAJournalThatFailsForAWhileDelaysAStreamAndNoMore(t *testing.T) {
	broken := &brokenHistory{}
	s := newSite(t, plan{ring: 16, history: func(h History) History { broken.History = h; return broken }})
	s.awaitHead(s.publish(records(300, 0)...))
	s.server.library.readers.free = 0 // until the stream has begun
	r := s.read("since=earliest")
	r.wantResumed(0, 300, s.epoch())
	broken.set(errors.New("no answer"))
	before := broken.tried()
	s.server.library.readers.leave(&ticket{})
	for broken.tried() < before+2 {
		<-time.After(time.Millisecond)
	}
	broken.set(nil)
	for _, e := range s.events {
		r.want(numbered(e, s.epoch(), true))
	}
}

func TestLargeEventsAreNotHeldByTheHundred(t *testing.T) {
	large := make([]*gatecast.Event, page)
	for i := range large {
		large[i] = &gatecast.Event{Seq: gatecast.Seq(i + 1), Data: make([]byte, 256<<10)}
	}
	b := &backlog{}
	b.fetched(large)
	if len(b.events) != 4 || large[4] != nil {
		t.Errorf("%d events of 256 KiB are held, the next one: %v", len(b.events), large[4] != nil)
	}
	b.sent(1)
	if len(b.events) != 3 || large[0] != nil || b.events[0].Seq != 2 {
		t.Errorf("after one was sent, %d are held", len(b.events))
	}
	huge := []*gatecast.Event{{Data: make([]byte, 2*held)}, {}}
	if b.fetched(huge); len(b.events) != 1 {
		t.Errorf("%d events are held, want the one that is larger than the limit", len(b.events))
	}
}

func TestEventsLargerThanAnyBufferComeWhole(t *testing.T) {
	s := newSite(t, plan{ring: 4})
	s.awaitHead(s.publish(records(20, 150_000)...))
	r := s.read("since=earliest")
	r.wantResumed(0, 20, s.epoch())
	for _, e := range s.events {
		r.want(numbered(e, s.epoch(), true))
	}
}

func TestTheJournalIsReadNoFasterThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, streams = 100_000, 7
		l := newLibrary(nil, Options{Readers: 4, ReadRate: rate})
		began, longest, total := time.Now(), time.Duration(0), 0
		for i := range streams {
			bytes := 150_000 + i
			total += bytes
			longest = max(longest, l.pay(bytes))
		}
		<-time.After(longest)
		// The first second's worth is there from the start.
		if want := float64(total-rate) / rate; math.Abs(time.Since(began).Seconds()-want) > 0.001 {
			t.Errorf("%d bytes after %v, want %v s", total, time.Since(began), want)
		}
		if newLibrary(nil, Options{Readers: 4}).pay(1<<40) != 0 {
			t.Error("without a limit there is something to wait for")
		}
	})
}

func TestAPageIsPaidForByWhatTheLastOneTook(t *testing.T) {
	b := &backlog{price: guess}
	var paid, took int
	for _, bytes := range []int{500_000, 1_000, 2_000, 700_000, 700_000, 100} {
		paid += max(0, b.price+b.debt)
		b.paid(bytes)
		took += bytes
		if diff := took - paid - b.debt; diff > 0 {
			t.Errorf("%d of %d bytes were not paid for, nor ever will be", diff, took)
		}
	}
}

func TestAReadRateDelaysEventsAndLosesNone(t *testing.T) {
	s := newSite(t, plan{ring: 16, opts: Options{ReadRate: 2_000_000, Heartbeat: beats}})
	s.awaitHead(s.publish(records(700, 1000)...))
	r := s.read("since=earliest")
	r.wantResumed(0, 700, s.epoch())
	for _, e := range s.events {
		r.want(numbered(e, s.epoch(), true))
	}
}

func turns(q []*ticket) string {
	s := ""
	for _, t := range q {
		select {
		case <-t.turn:
			s += "x"
		default:
			s += "."
		}
	}
	return s
}

func TestTheQueueGoesByOrderAndPassesOverWhoIsAway(t *testing.T) {
	q := newQueue(2)
	var line []*ticket
	for range 6 {
		line = append(line, q.enter())
	}
	var got []string
	note := func() { got = append(got, turns(line)) }
	note()
	if q.away(line[0]) || !q.away(line[2]) || !q.away(line[3]) {
		t.Error("only who waits can be away")
	}
	q.leave(line[0])
	note() // 2 and 3 are away
	q.back(line[3])
	note() // no place is free
	q.leave(line[1])
	note() // 3 is before 5, and 2 still away
	q.leave(line[5])
	q.leave(line[3])
	note() // nobody is there to have it
	q.back(line[2])
	note()
	q.leave(line[2])
	q.leave(line[4])
	want := []string{"xx....", "xx..x.", "xx..x.", "xx.xx.", "xx.xx.", "xxxxx."}
	if diff := cmp.Diff(want, got); diff != "" || q.free != 2 || len(q.waiting) != 0 {
		t.Errorf("%d free, %d waiting: %s", q.free, len(q.waiting), diff)
	}
}

func TestAStreamWithNothingToSayIsNotTakenForStalled(t *testing.T) {
	simulated(t, func(t *testing.T, f front) {
		s := newSite(t, plan{front: f, opts: Options{Stall: time.Minute, Heartbeat: time.Hour}})
		r := s.read("")
		r.wantResumed(0, 0, s.epoch())
		<-time.After(30 * time.Minute)
		s.publish(records(1, 0)...)
		r.want(numbered(s.events[0], s.epoch(), false))
	})
}
