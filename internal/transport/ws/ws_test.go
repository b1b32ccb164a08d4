package ws

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestClientGets20000ThenEachEventByteForByte(t *testing.T) {
	s := newSite(t, 64, Options{})
	p := s.connect()
	s.publish(1, 3, 0, gatecast.Record)
	s.publish(4, 1, 0, gatecast.Alarm)
	p.expectEvents(1, 3, 0, gatecast.Record)
	p.expectEvents(4, 4, 0, gatecast.Alarm)
}

func TestRefusedClientIsUpgradedToldWhyAndClosed(t *testing.T) {
	disabled := anApp()
	disabled.Key, disabled.Enabled = "00000000000000d0", false
	s := newSite(t, 64, Options{}, anApp(), disabled)
	now := time.Now()
	for name, c := range map[string]struct{ path, desc string }{
		"unknown key":   {path("ffffffffffffffff", secret, now), `"desc":"app key not exist"}`},
		"wrong sign":    {path(key, "another secret", now), "sign"},
		"expired":       {path(key, secret, now.Add(-31*time.Minute)), "expired"},
		"future":        {path(key, secret, now.Add(31*time.Minute)), "expired"},
		"no timestamp":  {"/websocket/record/" + key + "/now/" + senselink.Sign("now", secret), "timestamp"},
		"disabled":      {path(disabled.Key, secret, now), "disabled"},
		"sign too long": {path(key, secret, now) + "00", "sign"},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			p := s.dial(c.path)
			got := p.text()
			if !strings.HasPrefix(got, `{"code":20002,"message":"Permission Denied!","desc":"`) || !strings.Contains(got, c.desc) {
				t.Errorf("got %s, want 20002 with %q", got, c.desc)
			}
			p.expectClose(gows.StatusPolicyViolation)
		})
	}
	if n := s.server.Connections(); n != 0 {
		t.Errorf("%d refused clients count as connections", n)
	}
}

func TestSignatureIsAcceptedInUpperCaseAndAgain(t *testing.T) {
	s := newSite(t, 64, Options{})
	url := path(key, secret, time.Now())
	at := strings.LastIndexByte(url, '/')
	for _, u := range []string{url, url, url[:at] + strings.ToUpper(url[at:])} {
		s.dial(u).expectText(senselink.Connected)
	}
}

func TestAppOverItsLimitIsToldAndAPlaceThatIsFreedCanBeTaken(t *testing.T) {
	app := anApp()
	app.MaxConns = 1
	s := newSite(t, 64, Options{}, app)
	first := s.connect()
	over := s.dial(path(key, secret, time.Now()))
	if got := over.text(); !strings.Contains(got, `"code":20002`) || !strings.Contains(got, "too many connections") {
		t.Errorf("got %s, want 20002 and the reason", got)
	}
	first.write(gows.NewCloseFrame(gows.NewCloseFrameBody(gows.StatusNormalClosure, "")))
	if f, err := first.frame(); err != nil || f.Header.OpCode != gows.OpClose {
		t.Errorf("got %v %v, want the answer to the close frame", f.Header.OpCode, err)
	}
	<-s.server.roster.empty()
	s.connect()
}

func TestServerThatIsFullOrPacedAnswersBeforeTheUpgrade(t *testing.T) {
	for name, o := range map[string]Options{
		"full":  {MaxConns: 1},
		"paced": {HandshakeRate: 0.0001},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 64, o)
			s.connect()
			res, err := http.Get(s.url + path(key, secret, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
				t.Errorf("status %d, Retry-After %q; want 503 and some seconds", res.StatusCode, res.Header.Get("Retry-After"))
			}
		})
	}
}

func TestForeignOriginIsForbiddenWhereOriginsAreListed(t *testing.T) {
	s := newSite(t, 64, Options{Origins: []string{"https://desk.example"}})
	for origin, want := range map[string]int{
		"https://evil.example": http.StatusForbidden,
		"HTTPS://desk.example": http.StatusSwitchingProtocols,
		"":                     http.StatusSwitchingProtocols,
	} {
		d := gows.Dialer{Header: gows.HandshakeHeaderHTTP(http.Header{})}
		if origin != "" {
			d.Header = gows.HandshakeHeaderHTTP(http.Header{"Origin": {origin}})
		}
		got := http.StatusSwitchingProtocols
		d.OnStatusError = func(status int, _ []byte, _ io.Reader) { got = status }
		conn, _, _, err := d.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+path(key, secret, time.Now()))
		if err == nil {
			conn.Close()
		}
		if got != want {
			t.Errorf("origin %q: status %d, want %d", origin, got, want)
		}
	}
}

func TestWhateverAClientSaysIsReadAndIgnored(t *testing.T) {
	s := newSite(t, 64, Options{})
	p := s.connect()
	p.write(gows.NewTextFrame([]byte(`{"app_key":"x","timestamp":"1","sign":"y"}`)))
	p.write(gows.NewTextFrame([]byte("こんにちは")))
	p.write(gows.NewBinaryFrame([]byte{0, 1, 2}))
	p.write(gows.NewTextFrame([]byte(`{"code":30000,"message":"push record","data":{"id":1}}`)))
	p.write(gows.NewPingFrame([]byte("hello")))
	f, err := p.frame()
	if err != nil || f.Header.OpCode != gows.OpPong || string(f.Payload) != "hello" {
		t.Fatalf("got %v %q %v, want the Pong", f.Header.OpCode, f.Payload, err)
	}
	s.publish(1, 1, 0, gatecast.Record)
	p.expectEvents(1, 1, 0, gatecast.Record)
	if extent, _ := s.journal.Extent(t.Context()); extent.Last != 1 {
		t.Errorf("the journal holds %d events, want the one that was published", extent.Last)
	}
}

func TestAppGetsOnlyTheKindsItIsMeantToSee(t *testing.T) {
	alarms := anApp()
	alarms.Key, alarms.Kinds = "00000000000000a1", []gatecast.Kind{gatecast.Alarm}
	s := newSite(t, 64, Options{}, anApp(), alarms)
	all := s.connect()
	some := s.dial(path(alarms.Key, secret, time.Now()))
	some.expectText(senselink.Connected)
	s.publish(1, 10, 0, gatecast.Record)
	s.publish(11, 1, 0, gatecast.Alarm)
	some.expectEvents(11, 11, 0, gatecast.Alarm)
	all.expectEvents(1, 10, 0, gatecast.Record)
	all.expectEvents(11, 11, 0, gatecast.Alarm)
}

func TestSlowReaderMissesNothingThoughTheRingMovesOn(t *testing.T) {
	const n, padding = 20_000, 1000
	s := newSite(t, 128, Options{})
	slow, fast := s.connect(), s.connect()
	s.publish(1, n, padding, gatecast.Record)
	fast.expectEvents(1, n, padding, gatecast.Record)
	slow.expectEvents(1, n, padding, gatecast.Record)
	s.publish(n+1, 1, 0, gatecast.Record)
	slow.expectEvents(n+1, n+1, 0, gatecast.Record)
	if testutil.ToFloat64(s.server.metrics.replays) == 0 {
		t.Error("nothing was read from the journal: the test proves nothing")
	}
}

func TestReadersThatNeverReadDelayNobody(t *testing.T) {
	const n, padding = 5_000, 2000
	s := newSite(t, 256, Options{Shards: 1, Replayers: 1})
	for range 5 {
		s.connect() // and read no more
	}
	p := s.connect()
	s.publish(1, n, padding, gatecast.Record)
	p.expectEvents(1, n, padding, gatecast.Record)
}

func TestConnectingUnderLoadStartsSomewhereAndThenMissesNothing(t *testing.T) {
	s := newSite(t, 64, Options{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			p := s.connect()
			first := eventID(t, p.text())
			for want := first + 1; want < first+2000; want++ {
				if id := eventID(t, p.text()); id != want {
					t.Errorf("got event %d, want %d", id, want)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for i := 1; ; i += 10 {
		select {
		case <-done:
			return
		default:
			s.publish(i, 10, 0, gatecast.Record)
		}
	}
}

func eventID(t *testing.T, push string) int {
	var m struct{ Data struct{ ID int } }
	if err := json.Unmarshal([]byte(push), &m); err != nil || m.Data.ID == 0 {
		t.Errorf("no push of an event: %s", push)
	}
	return m.Data.ID
}

func TestDisabledAppLosesItsConnections(t *testing.T) {
	s := newSite(t, 64, Options{})
	p := s.connect()
	off := anApp()
	off.Enabled = false
	s.apps.set(off)
	if reason := p.expectClose(gows.StatusPolicyViolation); reason != "app disabled" {
		t.Errorf("close reason %q, want the cause", reason)
	}
}

func TestDrainPushesWhatIsLeftAndClosesWith1012(t *testing.T) {
	s := newSite(t, 4096, Options{})
	p := s.connect()
	s.publish(1, 1000, 100, gatecast.Record)
	s.awaitHead(1000)
	done := make(chan struct{})
	go func() { s.server.Drain(t.Context(), 0); close(done) }()
	p.expectEvents(1, 1000, 100, gatecast.Record)
	p.expectClose(1012)
	<-done
	res, err := http.Get(s.url + path(key, secret, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a draining server answered %d, want 503", res.StatusCode)
	}
}

func TestHeartbeatIsAMessageAndAPing(t *testing.T) {
	s := newSite(t, 64, Options{Heartbeat: 20 * time.Millisecond, DeadAfter: time.Minute})
	p := s.connect()
	for range 3 {
		text, ping := false, false
		for !text || !ping {
			f, err := p.frame()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case f.Header.OpCode == gows.OpText && string(f.Payload) == senselink.HeartBeat:
				text = true
			case f.Header.OpCode == gows.OpPing:
				ping = true
				p.write(gows.NewPongFrame(f.Payload))
			default:
				t.Fatalf("unexpected frame %v %q", f.Header.OpCode, f.Payload)
			}
		}
	}
}

func TestPeerThatIsSilentForTooLongIsCut(t *testing.T) {
	clock := &lead{}
	s := newSite(t, 64, Options{Heartbeat: 20 * time.Millisecond, Now: clock.now})
	p := s.connect()
	clock.add(time.Hour)
	for {
		if _, err := p.frame(); err != nil { // and answer nothing
			break
		}
	}
	<-s.server.roster.empty()
}

func TestNothingIsAllocatedForAnEventOnceItsFrameIsMade(t *testing.T) {
	m := newMetrics()
	f := newFrames("", m)
	sel := &selection{}
	events := make([]*gatecast.Event, batch)
	for i := range events {
		ev := makeEvent(i, 100, gatecast.Record)
		ev.Seq = gatecast.Seq(i + 1)
		events[i] = &ev
	}
	v := &view{record: true}
	sel.choose(v, 0, events, f)
	if n := testing.AllocsPerRun(100, func() { sel.choose(v, 0, events, f) }); n != 0 {
		t.Errorf("choosing frames that exist allocates %v times", n)
	}
}
