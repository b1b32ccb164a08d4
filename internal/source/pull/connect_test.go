package pull

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestAServerThatBreaksTheFramingIsDialledAnew(t *testing.T) {
	huge := make([]byte, 10)
	huge[0], huge[1] = 0x81, 127
	binary.BigEndian.PutUint64(huge[2:], 1<<40)
	for name, test := range map[string]struct {
		raw []byte
		why string
	}{
		"reserved bits":        {[]byte{0xc1, 0}, "broke the WebSocket protocol"},
		"an odd opcode":        {[]byte{0x83, 0}, "broke the WebSocket protocol"},
		"a stray continuation": {[]byte{0x80, 0}, "broke the WebSocket protocol"},
		"a masked frame":       {[]byte{0x81, 0x80, 1, 2, 3, 4}, "broke the WebSocket protocol"},
		"a TiB":                {huge, "more than 67108864 bytes"},
		"a close":              {ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, "bye\nbye"))), "closed the connection (1001 bye bye)"},
		"a cut":                {nil, "cut the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := serve(t, sessions(t, func(s session) {
					s.welcome()
					s.text(record(s.n))
					if s.n == 1 {
						go func() { _, _ = s.conn.Write(test.raw); _ = s.conn.Close() }()
						s.drain(func(ws.Frame) {})
						return
					}
					s.hold()
				}))
				b := follow(t, network, Options{Rand: func() float64 { return 0.5 }})
				b.status(t, gatecast.SourceConnecting, test.why)
				pass(time.Second)
				b.status(t, gatecast.SourceLive, "")
				if got := b.journal.stored(); got != "hq:record:1 hq:record:2" {
					t.Errorf("stored %s", got)
				}
			})
		})
	}
}

func TestARefusedFollowerComesBackSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logins []time.Time
		network := serve(t, sessions(t, func(s session) {
			logins = append(logins, s.at)
			if s.n < 6 {
				_, sign, _ := strings.Cut(strings.TrimPrefix(s.path, senselink.PathPrefix+testKey+"/"), "/")
				s.send(ws.NewTextFrame(senselink.Denied("login too frequent\x00 " + sign)))
				s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
				s.drain(func(ws.Frame) {})
				return
			}
			s.welcome()
			s.hold()
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceRefused, "refuses us: login too frequent  ***")
		pass(20 * time.Minute)
		b.status(t, gatecast.SourceLive, "")
		for i := range logins[1:] {
			if gap := logins[i+1].Sub(logins[i]); gap < time.Minute || gap > 5*time.Minute {
				t.Errorf("%v after the refusal before", gap)
			}
		}
		if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "refused")); n != 5 {
			t.Errorf("%v refusals counted", n)
		}
	})
}

func TestAClockThatIsWrongIsNamedInTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := func(w http.ResponseWriter, r *http.Request) {
			header := http.Header{"Date": {time.Now().Add(-2 * time.Hour).UTC().Format(http.TimeFormat)}}
			conn, _, _, err := ws.HTTPUpgrader{Header: header}.Upgrade(r, w)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = ws.WriteFrame(conn, ws.NewTextFrame(senselink.Denied("timestamp expired")))
		}
		b := follow(t, serve(t, http.HandlerFunc(up)), Options{})
		b.status(t, gatecast.SourceRefused, "timestamp expired (its clock is 2h0m0s behind ours)")
	})
}

func TestAnAnswerThatIsNoUpgradeIsToldByItsStatus(t *testing.T) {
	for code, want := range map[int]struct {
		status gatecast.SourceStatus
		reason string
	}{
		401: {gatecast.SourceRefused, "HTTP 401"},
		403: {gatecast.SourceRefused, "HTTP 403"},
		404: {gatecast.SourceConnecting, "HTTP 404 Not Found"},
		503: {gatecast.SourceConnecting, "HTTP 503 Service Unavailable"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var tries []time.Time
			b := follow(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				tries = append(tries, time.Now())
				w.Header().Set("Retry-After", "40")
				w.WriteHeader(code)
			})), Options{})
			b.status(t, want.status, want.reason)
			pass(61 * time.Second)
			b.stop()
			if gap := tries[1].Sub(tries[0]); len(tries) != 2 || gap < 40*time.Second {
				t.Errorf("%d: tried at %v", code, tries)
			}
			if strings.Contains(b.log.String(), senselink.PathPrefix) {
				t.Errorf("the log tells the signed path: %s", b.log)
			}
		})
	}
}

func TestAServerThatCutsWhoItLetsInIsNotLoggedInToMoreOftenThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logins []time.Time
		network := serve(t, sessions(t, func(s session) {
			logins = append(logins, s.at)
			s.welcome()
			s.text(record(s.n))
		}))
		b := follow(t, network, Options{Rand: func() float64 { return 0.01 }})
		pass(10*time.Minute + 30*time.Second)
		b.stop()
		for i := range logins {
			if i >= 6 && logins[i].Sub(logins[i-6]) < time.Minute {
				t.Errorf("login %d comes %v after the sixth before it", i, logins[i].Sub(logins[i-6]))
			}
		}
		if len(logins) < 40 || len(b.journal.all()) != len(logins) {
			t.Errorf("%d logins, %d events", len(logins), len(b.journal.all()))
		}
	})
}

func TestAServerThatRestartsIsFollowedSoonAfterItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now session
		network := serve(t, sessions(t, func(s session) {
			mu.Lock()
			now = s
			mu.Unlock()
			s.welcome()
			s.hold()
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		pass(time.Hour)
		for _, away := range []time.Duration{time.Second, time.Minute, time.Hour} {
			network.refuse(true)
			mu.Lock()
			_ = now.conn.Close()
			mu.Unlock()
			pass(away)
			b.status(t, gatecast.SourceConnecting, "connection refused")
			network.refuse(false)
			pass(min(away+time.Second, mostPause))
			b.status(t, gatecast.SourceLive, "")
			pass(time.Minute)
		}
	})
}

func TestWhoWaitsForLongTriesAtOnceWhenTheSettingsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, sessions(t, func(s session) {
			if !strings.Contains(s.path, "fedcba9876543210") {
				s.send(ws.NewTextFrame(senselink.Denied(senselink.DescUnknownKey)))
				return
			}
			s.welcome()
			s.hold()
		}))
		b := follow(t, network, Options{})
		refusals := func() float64 { return testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "refused")) }
		pass(time.Hour)
		b.status(t, gatecast.SourceRefused, "app key not exist")
		if age := time.Since(b.State("hq").Since); age != time.Hour {
			t.Errorf("refused for %v", age)
		}
		before := refusals()
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Settings.AppKey = "wrong too"; return &s })
		pass(time.Minute)
		b.status(t, gatecast.SourceRefused, "app key not exist")
		if n := refusals() - before; n != 2 { // at once, and the shortest pause later
			t.Errorf("%v more attempts", n)
		}
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Settings.AppKey = "fedcba9876543210"; return &s })
		b.status(t, gatecast.SourceLive, "")
	})
}

func TestHowASourceStandsIsToldSinceThatBeganAlsoIfTheReasonChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, http.NotFoundHandler())
		network.refuse(true)
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceConnecting, "cannot be reached")
		pass(time.Minute)
		network.refuse(false)
		pass(time.Minute)
		b.status(t, gatecast.SourceConnecting, "HTTP 404")
		if age := time.Since(b.State("hq").Since); age != 2*time.Minute {
			t.Errorf("connecting for %v", age)
		}
	})
}
