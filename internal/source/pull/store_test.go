package pull

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestAServerThatDoesNotAnswerTheGoodbyeIsLeftAllTheSame(t *testing.T) {
	for name, each := range map[string]func(session){
		"it says nothing": func(session) {},
		"it goes on": func(s session) {
			for {
				pass(100 * time.Millisecond)
				if ws.WriteFrame(s.conn, ws.NewTextFrame([]byte(senselink.HeartBeat))) != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := follow(t, serve(t, sessions(t, func(s session) {
					s.welcome()
					go each(s)
					for ok := true; ok; {
						_, ok = s.frame()
					}
				})), Options{})
				b.status(t, gatecast.SourceLive, "")
				start := time.Now()
				b.stop()
				if took := time.Since(start); took != goodbye {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestWhileTheJournalIsAwayTheServerIsHeldBackAndNothingIsLost(t *testing.T) {
	const events = 4 * maxWaiting
	synctest.Test(t, func(t *testing.T) {
		var written int
		network := serve(t, sessions(t, func(s session) {
			go func() {
				s.welcome()
				for written = range events {
					s.text(record(written + 1))
				}
			}()
			for ok := true; ok; { // without answers: two may not write to a pipe at once
				_, ok = s.frame()
			}
		}))
		b := follow(t, network, Options{})
		down := gatecast.Errorf(gatecast.Unavailable, "no disk")
		b.journal.set(func(j *journal) { j.full = down })
		pass(5 * time.Minute) // far beyond DeadAfter: it is we who do not listen
		b.status(t, gatecast.SourceLive, "")
		if written > 2*maxWaiting+50 { // the rest lies in buffers
			t.Errorf("%d events were read meanwhile", written)
		}
		b.journal.set(func(j *journal) { j.full = nil })
		pass(10 * time.Second)
		synctest.Wait()
		var want []string
		for i := range events {
			want = append(want, fmt.Sprintf("hq:record:%d", i+1))
		}
		if got := b.journal.stored(); got != strings.Join(want, " ") {
			t.Errorf("stored %d events: %.200s", len(b.journal.all()), got)
		}
		if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "connected")); n != 1 {
			t.Errorf("%v logins", n)
		}
		if log := b.log.String(); strings.Count(log, "held up") != 1 || strings.Count(log, "takes events again") != 1 {
			t.Errorf("log: %s", log)
		}
		b.stop()
	})
}

func TestEventsThatComeWhileTheJournalWritesGoInTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{sources: newRegistry(upstream("hq")), journal: &journal{wait: make(chan struct{})}, shelf: &shelf{}, log: &logs{}}
		b.run(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			for i := range 100 {
				s.text(record(i + 1))
				if i == 0 {
					pass(time.Second)
				}
			}
			s.hold()
		})), Options{})
		pass(2 * time.Second)
		close(b.journal.wait)
		synctest.Wait()
		if diff := cmp.Diff([]int{1, 99}, b.journal.sizes); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnEventThatTheJournalWillNeverTakeKeepsNoOtherOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{sources: newRegistry(upstream("hq")), journal: &journal{wait: make(chan struct{})}, shelf: &shelf{}, log: &logs{}}
		b.journal.fail = func(events []gatecast.Event) error {
			for _, e := range events {
				if e.ID == "hq:record:3" {
					return gatecast.Errorf(gatecast.TooLarge, "the event is too large")
				}
			}
			return nil
		}
		b.run(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			for i := range 5 {
				s.text(record(i + 1))
			}
			s.hold()
		})), Options{})
		synctest.Wait()
		close(b.journal.wait)
		synctest.Wait()
		if got := b.journal.stored(); got != "hq:record:1 hq:record:2 hq:record:4 hq:record:5" {
			t.Errorf("stored %s", got)
		}
		if got := b.shelf.all(); len(got) != 1 || !strings.Contains(got[0], `the event is too large: "{\"code\":30000`) {
			t.Errorf("set aside %q", got)
		}
	})
}

func TestWhatWasReceivedBeforeTheEndIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code ws.StatusCode
		network := serve(t, sessions(t, func(s session) {
			s.welcome()
			code = s.drain(func(f ws.Frame) {
				if f.Header.OpCode == ws.OpClose { // it had pushed this before it knew
					s.text(record(1))
				}
			})
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		b.journal.set(func(j *journal) { j.wait = make(chan struct{}) })
		time.AfterFunc(3*time.Second, func() { close(b.journal.wait) })
		b.stop()
		if got := b.journal.stored(); got != "hq:record:1" || code != 1000 {
			t.Errorf("stored %q, closed with %d", got, code)
		}
	})
}

func TestTheEndDoesNotWaitForAJournalThatDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(record(1))
			s.hold()
		}))
		b := follow(t, network, Options{})
		b.journal.set(func(j *journal) { j.full = errors.New("broken") })
		synctest.Wait()
		start := time.Now()
		b.stop()
		if took := time.Since(start); took > farewell+goodbye || b.journal.stored() != "" {
			t.Errorf("it took %v", took)
		}
		if n := testutil.ToFloat64(b.metrics.unstored.WithLabelValues("hq")); n != 1 {
			t.Errorf("%v unstored events counted", n)
		}
	})
}
