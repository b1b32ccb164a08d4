package ws

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	gows "github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// reader is a client that reads as long as it is let.
type reader struct {
	peer   *peer
	alarms bool       // sees alarms only
	start  int        // events published before it had read 20000
	gate   sync.Mutex // held by the test: it reads no more
	paused bool
	seen   []int // owned by its goroutine until done is closed
	bad    string
	done   chan struct{}
}

// kindOf makes every third event an alarm.
func kindOf(i int) gatecast.Kind {
	if i%3 == 0 {
		return gatecast.Alarm
	}
	return gatecast.Record
}

// next returns the event that a reader must see after event i.
func (r *reader) next(i int) int {
	if r.alarms {
		return i - i%3 + 3
	}
	return i + 1
}

// run reads until the event with the number last, or until the end.
func (r *reader) run(t *testing.T, last func() int) {
	defer close(r.done)
	for {
		r.waitAtGate()
		f, err := r.peer.frame()
		if err != nil {
			r.bad = err.Error()
			return
		}
		if f.Header.OpCode != gows.OpText {
			continue
		}
		id := eventID(t, string(f.Payload))
		r.seen = append(r.seen, id)
		if id == last() {
			return
		}
	}
}

// waitAtGate returns once the test lets the client read.
func (r *reader) waitAtGate() {
	r.gate.Lock()
	defer r.gate.Unlock()
}

func (r *reader) pause(yes bool) {
	if yes == r.paused {
		return
	}
	r.paused = yes
	if yes {
		r.gate.Lock()
	} else {
		r.gate.Unlock()
	}
}

// check holds what a reader saw against the journal.
func (r *reader) check(t *rapid.T) {
	for i, id := range r.seen {
		switch {
		case i == 0 && id > r.next(r.start):
			t.Fatalf("first saw event %d, though it was connected before %d was published", id, r.start+1)
		case i > 0 && id != r.next(r.seen[i-1]):
			t.Fatalf("saw event %d after %d", id, r.seen[i-1])
		}
	}
}

// TestEveryClientSeesAContiguousRunOfTheJournal lets clients come, stall, go on
// and go in any order while events are published, over a ring and kernel
// buffers so small that all hand-overs happen: level, blocked, replaying.
func TestEveryClientSeesAContiguousRunOfTheJournal(t *testing.T) {
	alarms := anApp()
	alarms.Key, alarms.Kinds = "00000000000000a1", []gatecast.Kind{gatecast.Alarm}
	keys := []string{key, alarms.Key}
	const end = 300_000 // number of the last event, an alarm: everybody sees it
	replays := 0.0
	rapid.Check(t, func(rt *rapid.T) {
		f := front{narrow: true, tls: rapid.Bool().Draw(rt, "tls")}
		s := openSite(t, f, rapid.IntRange(1, 40).Draw(rt, "ring"), Options{
			Shards: rapid.IntRange(1, 2).Draw(rt, "shards"), Replayers: rapid.IntRange(1, 2).Draw(rt, "replayers"),
		}, anApp(), alarms)
		defer s.stop()
		published := 0
		var live, all []*reader
		connect := func() {
			r := &reader{alarms: rapid.Bool().Draw(rt, "alarms only"), done: make(chan struct{})}
			k := keys[0]
			if r.alarms {
				k = keys[1]
			}
			r.peer = s.dial(path(k, secret, time.Now()))
			r.peer.text()
			r.start = published
			live, all = append(live, r), append(all, r)
			go r.run(t, func() int { return end })
		}
		connect()
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			var r *reader
			if len(live) > 0 {
				r = live[rapid.IntRange(0, len(live)-1).Draw(rt, "client")]
			}
			switch op := rapid.SampledFrom([]string{"publish", "publish", "publish", "pause", "resume", "connect", "leave"}).Draw(rt, "op"); {
			case op == "publish":
				n, padding := rapid.IntRange(1, 120).Draw(rt, "events"), rapid.IntRange(0, 3000).Draw(rt, "size")
				for range n {
					published++
					s.publish(published, 1, padding, kindOf(published))
				}
			case op == "connect":
				connect()
			case r == nil:
			case op == "leave":
				r.pause(false)
				r.peer.conn.Close()
				live = slices.DeleteFunc(live, func(l *reader) bool { return l == r })
			default:
				r.pause(op == "pause")
			}
		}
		// Everybody who is still there goes on, up to the last event.
		for _, r := range live {
			r.pause(false)
		}
		for published%3 != 2 {
			published++
			s.publish(published, 1, 0, kindOf(published))
		}
		s.publish(end, 1, 0, gatecast.Alarm)
		for _, r := range all {
			<-r.done
		}
		for _, r := range live {
			if r.bad != "" {
				rt.Fatalf("a client that stayed was lost after %d events: %s", len(r.seen), r.bad)
			}
			r.seen[len(r.seen)-1] = published + 1 // the end, by its place
		}
		for _, r := range all {
			r.check(rt)
		}
		replays += testutil.ToFloat64(s.server.metrics.replays)
	})
	if replays == 0 {
		t.Error("nothing was read from the journal: the test proves too little")
	}
}
