package pull

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// beat sends four heartbeats and no more.
func beat(s session, every time.Duration) {
	for range 4 {
		pass(every)
		s.text(senselink.HeartBeat)
	}
}

func TestAConnectionThatIsSilentIsDialledAnew(t *testing.T) {
	for name, test := range map[string]struct {
		script func(s session) // of the first connection
		after  time.Duration   // until the second
	}{
		"nothing at all after the upgrade": {func(s session) { s.drain(func(ws.Frame) {}) }, 90 * time.Second},
		"a hung machine": {func(s session) {
			s.welcome()
			for ok := true; ok; { // takes Pings, and answers nothing
				_, ok = s.frame()
			}
		}, 90 * time.Second},
		"a hung program whose library answers Pings": {func(s session) {
			s.welcome()
			go beat(s, 20*time.Second)
			s.drain(func(ws.Frame) {})
		}, 80*time.Second + 90*time.Second},
		"heartbeats that come seldom": {func(s session) {
			s.welcome()
			go beat(s, 5*time.Minute)
			s.drain(func(ws.Frame) {})
		}, 20*time.Minute + 15*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := make(chan time.Time, 1)
				b := follow(t, serve(t, sessions(t, func(s session) {
					if s.n == 1 {
						test.script(s)
						return
					}
					second <- s.at
					s.welcome()
					s.hold()
				})), Options{Rand: func() float64 { return 0 }})
				start := time.Now()
				if took := (<-second).Sub(start); took != test.after {
					t.Errorf("dialled anew after %v, want %v", took, test.after)
				}
				b.stop()
				if !strings.Contains(b.log.String(), "silent for") {
					t.Errorf("log: %s", b.log)
				}
			})
		})
	}
}

func TestAServerWithoutHeartbeatsIsKeptWhileItAnswersPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := follow(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			s.drain(func(ws.Frame) {})
		})), Options{})
		pass(24 * time.Hour)
		b.status(t, gatecast.SourceLive, "")
		if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "connected")); n != 1 {
			t.Errorf("%v logins", n)
		}
	})
}

func TestASuspectedServerIsStalledUntilItPushesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		push := make(chan string)
		b := follow(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			if s.n == 2 {
				go func() { s.text(<-push) }()
			}
			s.hold()
		})), Options{})
		b.Suspect("nobody", "?") // does nothing
		b.status(t, gatecast.SourceLive, "")
		pass(time.Minute)
		b.Suspect("hq", "3 events were not pushed")
		pass(10 * time.Second)
		b.status(t, gatecast.SourceStalled, "3 events were not pushed")
		if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "connected")); n != 2 {
			t.Errorf("%v logins", n)
		}
		push <- record(1)
		b.status(t, gatecast.SourceLive, "")

		b.Suspect("hq", "again")
		pass(9 * time.Minute)
		b.status(t, gatecast.SourceStalled, "again")
		pass(time.Minute)
		b.status(t, gatecast.SourceLive, "") // nobody has said it again
		if since := time.Since(b.State("hq").Since); since != 0 {
			t.Errorf("live since %v ago", since)
		}
	})
}

func TestAStallLastsForTwoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := upstream("hq")
		src.Settings.REST.Every = time.Hour
		b := follow(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			s.hold()
		})), Options{}, src)
		b.status(t, gatecast.SourceLive, "")
		b.Suspect("hq", "?")
		pass(2*time.Hour - 1)
		b.status(t, gatecast.SourceStalled, "?")
		pass(1)
		b.status(t, gatecast.SourceLive, "")
	})
}

func TestWhatTheConnectionThatWasGivenUpStillBringsClearsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := follow(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			s.drain(func(f ws.Frame) {
				if f.Header.OpCode == ws.OpClose {
					s.text(record(1))
				}
			})
		})), Options{})
		b.status(t, gatecast.SourceLive, "")
		b.Suspect("hq", "?")
		b.status(t, gatecast.SourceStalled, "?")
		if b.journal.stored() != "hq:record:1" {
			t.Errorf("stored %s", b.journal.stored())
		}
	})
}

func TestAnAttemptToConnectIsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := follow(t, serve(t, sessions(t, func(s session) {
			if s.n == 1 {
				s.welcome()
				return
			}
			s.drain(func(ws.Frame) {})
		})), Options{})
		pass(time.Second)
		b.status(t, gatecast.SourceConnecting, "cut the connection")
		b.Suspect("hq", "?")
		b.status(t, gatecast.SourceConnecting, "cut the connection")
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Paused = "for a test"; return &s })
		b.status(t, gatecast.SourcePaused, "for a test")
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Paused = ""; return &s })
		b.status(t, gatecast.SourceConnecting, "")
	})
}

func TestWhoIsNotConnectedIsNotSuspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, http.NotFoundHandler())
		network.refuse(true)
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceConnecting, "cannot be reached")
		b.Suspect("hq", "3 events were not pushed")
		b.status(t, gatecast.SourceConnecting, "cannot be reached")
	})
}
