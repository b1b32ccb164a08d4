package sse

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDrainBringsEachStreamLevelAndTellsItWhenToComeBack(t *testing.T) {
	for _, f := range []front{{}, {http2: true}} {
		gate := &gatedHistory{open: make(chan struct{})}
		s := newSite(t, plan{front: f, ring: 16, history: func(h History) History { gate.History = h; return gate }})
		s.awaitHead(s.publish(records(2000, 100)...))
		var readers []*reader
		for range 4 {
			r := s.read("since=earliest")
			r.wantResumed(0, 2000, s.epoch())
			readers = append(readers, r)
		}
		level := s.read("kinds=alarm")
		level.wantResumed(2000, 2000, s.epoch())
		var work sync.WaitGroup
		work.Go(func() { s.server.Drain(t.Context()) })
		if got, err := level.end(); !clean(err) || len(got) > 0 || level.lastID != "2000" {
			t.Errorf("the level one got %v, ended with %v after %s", got, err, level.lastID)
		}
		close(gate.open)
		pauses := map[time.Duration]bool{}
		for _, r := range append(readers, level) {
			if r != level {
				for _, e := range s.events {
					r.want(numbered(e, s.epoch(), true))
				}
				if got, err := r.end(); !clean(err) || len(got) > 0 || r.lastID != "2000" {
					t.Errorf("got %v, ended with %v after %s", got, err, r.lastID)
				}
			}
			if r.retry < reconnect || r.retry >= reconnect+homecoming {
				t.Errorf("retry %v", r.retry)
			}
			pauses[r.retry] = true
		}
		work.Wait()
		if len(pauses) == 1 {
			t.Errorf("all come back after %v", pauses)
		}
		doc, h := s.refused("", "Authorization: Bearer "+token)
		if doc.Status != 503 || !strings.Contains(doc.Detail, "stopping") || h.Get("Retry-After") == "" {
			t.Errorf("a new stream while the server stops: %+v", doc)
		}
		if n := s.metric("gatecast_sse_refused_total", "reason", "closing"); n != 1 {
			t.Errorf("%v refusals were counted", n)
		}
		s.server.Drain(t.Context()) // nobody is left
		s.stop()
	}
}

// stalled returns a site with a stream whose reader takes nothing, and which
// is stuck in a write.
func stalled(t *testing.T, f front) (*site, *reader) {
	f.narrow = true
	s := newSite(t, plan{front: f, opts: Options{Stall: time.Hour, Heartbeat: time.Hour}})
	r := s.read("")
	r.wantResumed(0, 0, s.epoch())
	s.publish(records(1000, 10_000)...)
	stuck := func() bool {
		list := s.server.List()
		return len(list) == 1 && list[0].Mode == "stalled" && list[0].Lag > 0 && list[0].LagEvents > 0
	}
	for !stuck() {
		<-time.After(time.Millisecond)
	}
	return s, r
}

func TestWhoIsStillBehindWhenTheTimeIsOverIsBrokenOff(t *testing.T) {
	for _, f := range []front{{}, {http2: true}} {
		s, r := stalled(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.server.Drain(ctx)
		s.settle()
		if n := s.metric("gatecast_sse_cut_total", "reason", "drain"); n != 1 {
			t.Errorf("%v cut by the drain", n)
		}
		if _, err := r.end(); clean(err) {
			t.Error("a stream that was broken off looks as if it had ended gently")
		}
		s.stop()
	}
}

func TestRunEndsWithTheLastStreamAndWaitsForNoReader(t *testing.T) {
	s, r := stalled(t, front{})
	s.stop() // returns after Run
	if n := s.metric("gatecast_sse_cut_total", "reason", "closing"); n != 1 || s.server.Connections() != 0 {
		t.Errorf("%v cut, %d streams are left", n, s.server.Connections())
	}
	if _, err := r.end(); clean(err) {
		t.Error("a stream that was broken off looks as if it had ended gently")
	}
}

func TestAStreamThatIsJustBeginningWhenTheServerEndsIsEndedToo(t *testing.T) {
	r := newRoster(10)
	if err := r.admit("", 0); err != nil {
		t.Fatal(err)
	}
	gone := r.end(cutClosing)
	ctx, cancel := context.WithCancelCause(t.Context())
	st := &stream{cancel: cancel}
	r.add(st)
	if context.Cause(ctx) != cutClosing {
		t.Errorf("its context: %v", context.Cause(ctx))
	}
	select {
	case <-gone:
		t.Error("all are said to have left while one is there")
	default:
	}
	r.remove(st)
	r.leave("")
	<-gone
	<-r.end(cutDrain)
}
