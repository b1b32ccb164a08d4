package ws

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestStrangersDoNotTakeTheTurnsOfAnAppsClients(t *testing.T) {
	s := newSite(t, 16, Options{HandshakeRate: 0.0001}) // one of each sort, and none for hours
	wrong := path(key, strings.Repeat("0", 32), time.Now())
	s.dial(wrong).expectText(string(senselink.Denied(`sign wrong: it must be md5(timestamp + "#" + app_secret) in hexadecimal`)))
	for range 3 {
		if got := s.status(wrong); got != http.StatusServiceUnavailable {
			t.Errorf("one stranger more is answered %d, want 503", got)
		}
	}
	s.connect()
	if got := s.status(path(key, secret, time.Now())); got != http.StatusServiceUnavailable {
		t.Errorf("one client more is answered %d, want 503", got)
	}
}

// status returns what a handshake is answered with.
func (s *site) status(path string) int {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil))
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestWhatARefusedClientSaysIsHardlyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds = 5
		s := openSite(t, front{pipes: newPipes()}, 16, Options{Conn: wsconn.Options{CloseTimeout: seconds * time.Second}})
		p := s.dial(path(key, strings.Repeat("0", 32), time.Now()))
		if text := p.text(); !strings.Contains(text, "20002") {
			t.Errorf("got %s", text)
		}
		synctest.Wait() // it is told before it is listed
		refused := s.server.turned.all()
		go func() { _, _ = io.Copy(io.Discard, p.conn) }()
		pong := gows.MustCompileFrame(gows.MaskFrame(gows.NewPongFrame([]byte("0"))))
		flood := []byte(strings.Repeat(string(pong), 1000))
		for {
			if _, err := p.conn.Write(flood); err != nil {
				break // it has been cut
			}
		}
		s.server.door.close()
		<-s.server.turned.empty()
		// What it may at once is what a second brings; the read in which it went
		// beyond that has not been longer than 4 KiB.
		if n := refused[0].sock.Stats().BytesIn; n > (seconds+1)*lastWords+4<<10 || n == 0 {
			t.Errorf("%d bytes of it were read, want %d a second at most", n, lastWords)
		}
	})
}

func TestNamedClientThatWasAwayForAMomentIsServedFromTheRing(t *testing.T) {
	s := newSite(t, 64, Options{})
	url := path(key, secret, time.Now()) + "?client=desk-1"
	p := s.dial(url)
	p.expectText(senselink.Connected)
	p.cut()
	<-s.server.roster.empty()
	s.publish(1, 5, 0, gatecast.Record)
	s.awaitHead(5)
	extent := must(s.journal.Extent(t.Context()))
	replays := testutil.ToFloat64(s.server.metrics.replays)
	back := s.dial(url)
	back.expectText(senselink.Connected)
	back.expectText(string(senselink.Resumed(0, 5, extent.Epoch)))
	back.expectEvents(1, 5, 0, gatecast.Record)
	if more := testutil.ToFloat64(s.server.metrics.replays) - replays; more != 0 {
		t.Errorf("the journal was read %v times", more)
	}
}
