package ws

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// appFor is an app with a key of its own that sees the kinds.
func appFor(n int, kinds ...gatecast.Kind) gatecast.App {
	app := anApp()
	app.Key, app.Kinds = fmt.Sprintf("%016x", n), kinds
	return app
}

// drawFilter draws a client's filter out of few values, so that they meet.
func drawFilter(rt *rapid.T) gatecast.Filter {
	return gatecast.Filter{
		Kinds:   rapid.SliceOfNDistinct(rapid.SampledFrom(gatecast.Kinds()), 0, 2, rapid.ID).Draw(rt, "kinds"),
		Devices: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID).Draw(rt, "devices"),
		Groups:  rapid.SliceOfNDistinct(rapid.Int64Range(1, 4), 0, 3, rapid.ID).Draw(rt, "groups"),
	}
}

func drawEvents(rt *rapid.T) []*gatecast.Event {
	events := make([]*gatecast.Event, rapid.IntRange(1, 6).Draw(rt, "events"))
	for i := range events {
		events[i] = &gatecast.Event{
			Seq: gatecast.Seq(i + 1), Kind: rapid.SampledFrom(gatecast.Kinds()).Draw(rt, "kind"), Data: []byte("{}"),
			Device: rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(rt, "device"),
			Groups: rapid.SliceOfN(rapid.Int64Range(1, 5), 0, 3).Draw(rt, "groups of persons"), // perhaps one twice
		}
	}
	return events
}

func TestIndexFindsExactlyTheGroupsWhoseViewSeesAnEvent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x, f := newIndex(), newFrames("", newMetrics())
		var all []*conn
		for range rapid.IntRange(0, 8).Draw(rt, "connections") {
			c := &conn{view: newView(gatecast.Filter{}, drawFilter(rt), rapid.Bool().Draw(rt, "numbered")), seat: seat{index: -1}}
			x.add(c)
			all = append(all, c)
		}
		for _, c := range slices.Clone(all) {
			if rapid.Bool().Draw(rt, "leaves") {
				x.drop(c)
				all = slices.DeleteFunc(all, func(o *conn) bool { return o == c })
				if rapid.Bool().Draw(rt, "for good") {
					x.forget(c.view)
				}
			}
		}
		events := drawEvents(rt)
		found := x.choose(events, f)
		for _, c := range all {
			var want []gatecast.Seq
			for _, ev := range events {
				if c.view.sees(ev) {
					want = append(want, ev.Seq)
				}
			}
			g := x.groups[c.view.key]
			if !slices.Equal(g.chosen.seqs, want) || slices.Contains(found, g) != (len(want) > 0) {
				rt.Fatalf("view %+v (%+v) is to be sent %v, want %v", *c.view, c.view.narrow, g.chosen.seqs, want)
			}
		}
		for _, c := range all {
			x.drop(c)
		}
		for _, g := range x.groups {
			x.forget(g.view)
		}
		if len(x.groups)+len(x.wide)+len(x.devices)+len(x.persons) > 0 {
			rt.Fatalf("nobody is left, and the index still holds %+v", *x)
		}
	})
}

func TestConnectionThatSeesNothingIsNotTouchedAndMovesAllTheSame(t *testing.T) {
	h := openByHand(t, front{}, Options{}, appFor(1, gatecast.Alarm))
	_, c := h.connectAs(appFor(1).Key, "")
	h.settle(c)
	h.write(100, gatecast.Record)
	h.settle(c)
	if pos, own := c.position(), c.trail.pos.Load(); pos != 100 || own != 0 {
		t.Errorf("position %d, of its own %d; want 100 and 0", pos, own)
	}
	if list := h.server.List(); list[0].Position != 100 || list[0].LagEvents != 0 || list[0].Mode != gatecast.ModeLive {
		t.Errorf("the list shows %+v", list[0])
	}
}

// TestCursorOfAnAppThatSawNothingForAnHour: its next connection must not look
// at the hour again.
func TestCursorOfAnAppThatSawNothingForAnHourMovesAtHeartbeatsAndAtItsEnd(t *testing.T) {
	var past atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(past.Load())) }
	h := openByHand(t, front{}, Options{Now: now, DeadAfter: 24 * time.Hour}, appFor(1, gatecast.Alarm))
	app := gatecast.Consumer{App: appFor(1).Key}
	p, c := h.connectAs(app.App, "")
	h.settle(c)
	h.write(100, gatecast.Record)
	h.settle(c)
	past.Add(int64(time.Hour))
	h.settle(c)
	if cur, _ := h.cursors.Cursor(app); cur.Seq != 100 {
		t.Errorf("after a heartbeat the cursor is at %d, want 100", cur.Seq)
	}
	h.write(100, gatecast.Record)
	h.settle(c)
	p.cut()
	for c.state() != dead {
		<-h.shard.mail.flag
		h.shard.round()
	}
	if cur, _ := h.cursors.Cursor(app); cur.Seq != 200 {
		t.Errorf("after its end the cursor is at %d, want 200", cur.Seq)
	}
}

// fill writes events to a client that reads nothing until it has left the
// level ones.
func (h *byHand) fill(c *conn) {
	for c.state() == level {
		ev := makeEvent(int(h.tape.Head())+1, 60_000, gatecast.Alarm)
		h.tape.add(&ev)
		h.shard.advance()
	}
}

func TestConnectionThatSawNothingForLongStaysInMemoryWhenItsSocketFills(t *testing.T) {
	ends := map[string]func(h *byHand, p *peer, c *conn){
		"its socket fills": func(h *byHand, p *peer, c *conn) {
			h.fill(c)
			from := int(c.trail.start.Load()) + 1001
			var work sync.WaitGroup
			work.Go(func() { h.settle(c) })
			p.expectEvents(from, int(h.tape.Head()), 60_000, gatecast.Alarm)
			work.Wait()
		},
		"its app changes": func(h *byHand, _ *peer, c *conn) {
			app := appFor(1)
			h.apps.apps[app.Key] = &app
			h.shard.post(note{conn: c, what: changed})
			h.shard.round()
			if n := len(h.shard.level.groups); n != 1 {
				h.t.Errorf("there are %d groups, and one connection", n)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			h := openByHand(t, front{narrow: true}, Options{}, appFor(1, gatecast.Alarm))
			p, c := h.connectAs(appFor(1).Key, "")
			h.settle(c)
			h.write(1000, gatecast.Record)
			h.settle(c)
			h.tape.cut(10)
			end(h, p, c)
			if n := testutil.ToFloat64(h.server.metrics.replays); n != 0 || c.position() < 1000 {
				t.Errorf("at %d it was sent to the journal %v times, for what it does not see", c.position(), n)
			}
		})
	}
}

// TestPositionNeverGoesBackNorPastAnEventThatWasNotSent has others look at a
// connection that sees every third event and cannot take them all, while its
// shard pushes.
func TestPositionNeverGoesBackNorPastAnEventThatWasNotSent(t *testing.T) {
	h := openByHand(t, front{narrow: true}, Options{}, appFor(1, gatecast.Alarm))
	p, c := h.connectAs(appFor(1).Key, "")
	h.settle(c)
	stop := make(chan struct{})
	var watchers sync.WaitGroup
	for range 2 {
		watchers.Go(func() {
			for last := gatecast.Seq(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				pos := c.position()
				sent := gatecast.Seq(c.trail.sent.Load()) // is written first
				if seen := pos - pos%3; pos < last || seen > sent {
					t.Errorf("position %d after %d, and event %d was not sent: only %d", pos, last, seen, sent)
					return
				}
				last = pos
			}
		})
	}
	left := 0
	for read, round := 0, 0; round < 120; round++ {
		for range 1 + round%20 {
			n := int(h.tape.Head()) + 1
			ev := makeEvent(n, 4000, kindOf(n))
			h.tape.add(&ev)
		}
		for h.shard.round() {
		}
		if c.state() == level {
			continue
		}
		for left++; read+3 <= int(c.trail.sent.Load()); read += 3 {
			p.expectEvents(read+3, read+3, 4000, gatecast.Alarm)
		}
		h.settle(c)
	}
	close(stop)
	watchers.Wait()
	if left == 0 {
		t.Error("the connection was level all the time: the test proves nothing")
	}
}

func TestConnectionThatEndsBeforeItsTurnIsNotBroughtOn(t *testing.T) {
	h := openByHand(t, front{}, Options{}, appFor(1))
	p, c := h.connectAs(appFor(1).Key, "")
	p.cut()
	<-h.server.roster.empty()
	h.shard.round() // hears that it has joined and that it has left
	if c.state() != dead || len(h.shard.level.groups) > 0 {
		t.Errorf("it is gone, and in state %d", c.state())
	}
}

func TestPositionNeverGoesBackWhileAConnectionLeavesTheLevelOnesAndReturns(t *testing.T) {
	sh := New(nil, &tape{}, nil, nil, Options{Shards: 1}).shards[0]
	c := &conn{shard: sh, view: &view{}, seat: seat{index: -1, beat: -1}}
	var watchers sync.WaitGroup
	var over atomic.Bool
	for range 2 {
		watchers.Go(func() {
			for last := gatecast.Seq(0); !over.Load(); {
				pos := c.position()
				if pos < last {
					t.Errorf("position %d after %d", pos, last)
					return
				}
				last = pos
			}
		})
	}
	for range 200_000 {
		sh.level.add(c)
		c.enter(level)
		sh.pos.Add(1) // nothing that it sees
		sh.leave(c)
	}
	over.Store(true)
	watchers.Wait()
}

// TestAppWhoseConnectionsAllCatchUpDoesNotKeepTheOthersWaiting counts events,
// not time: of 40,000 that one app is behind by, a level connection waits for a
// share, and another app that is behind for one turn.
func TestAppWhoseConnectionsAllCatchUpDoesNotKeepTheOthersWaiting(t *testing.T) {
	const crowd, missed = 40, 1000
	h := openByHand(t, front{}, Options{}, appFor(1), appFor(2), appFor(3))
	for _, app := range []int{1, 2} { // they begin at zero
		p, _ := h.connectAs(appFor(app).Key, "")
		p.cut()
	}
	<-h.server.roster.empty()
	_, up := h.connectAs(appFor(3).Key, "")
	h.settle(up)
	h.write(missed, gatecast.Record)
	h.settle(up)
	var many []*conn
	for range crowd {
		_, c := h.connectAs(appFor(1).Key, "")
		many = append(many, c)
	}
	_, one := h.connectAs(appFor(2).Key, "")
	before := up.trail.events.Load()
	for round := 1; one.state() != level; round++ {
		h.write(1, gatecast.Record)
		h.shard.round()
		if got := up.trail.events.Load() - before; got != uint64(round) {
			t.Fatalf("the level connection has %d events after %d rounds", got, round)
		}
		var sum uint64
		for _, c := range many {
			sum += c.trail.events.Load()
		}
		if most := uint64(round * (share + stretch*batch)); sum > most {
			t.Fatalf("in %d rounds the crowd was sent %d events, and others waited for them; want at most %d", round, sum, most)
		}
		if round > missed/(stretch*batch)+2 {
			t.Fatalf("after %d rounds the app with one connection is still behind, at %d", round, one.position())
		}
	}
	h.settle(many...)
}

// TestFanOutDoesNotAllocate counts what a round of eight events allocates: in
// taking them, finding who sees them and writing them to six connections. Their
// frames are made before; that is once for each event, whoever sees it.
func TestFanOutDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, query := range map[string]string{
		"plain": "", "by device": "?sn=d0&sn=d1", "by group": "?group=0&group=1", "by both": "?sn=d1&group=1&group=2", "nothing": "?sn=other",
	} {
		t.Run(name, func(t *testing.T) {
			h := openByHand(t, front{}, Options{}, appFor(1))
			var conns []*conn
			for range 6 {
				p, c := h.connectAs(appFor(1).Key, query)
				go func() {
					for buf := make([]byte, 4096); ; {
						if _, err := p.conn.Read(buf); err != nil {
							return
						}
					}
				}()
				conns = append(conns, c)
			}
			h.settle(conns...)
			const runs, window = 50, 8
			events := make([]*gatecast.Event, (runs+1)*window)
			for i := range events {
				ev := makeEvent(i+1, 0, gatecast.Record)
				ev.Device, ev.Groups = "d"+strconv.Itoa(i%3), []int64{int64(i % 3), 1}
				h.tape.add(&ev)
				h.shard.frames.of(&ev, plain)
				events[i] = &ev
			}
			whole := h.tape.events
			h.tape.events = whole[:0]
			per := testing.AllocsPerRun(runs, func() {
				h.tape.events = whole[:len(h.tape.events)+window]
				h.shard.advance()
			})
			if per > 0 {
				t.Errorf("a round allocates %v times", per)
			}
			if n := conns[0].trail.events.Load(); (n == 0) != (name == "nothing") || conns[0].position() != events[len(events)-1].Seq {
				t.Errorf("%d events were delivered, up to %d: the test proves nothing", n, conns[0].position())
			}
		})
	}
}
