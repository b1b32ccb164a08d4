package standin_test

import (
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

func TestAClientIsPushedWhatHappensWhileItIsConnected(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.record(1) // nobody is there: it is missed
		a, b := w.join(), w.join()
		r, al := w.record(2), w.alarm(1, 1)
		a.expectEvents(r, al)
		b.expectEvents(r, al)
		a.expectNothing(soon)
	})
}

func TestAWrongSignatureIsToldAfterTheUpgradeAndThenClosed(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		unknown := w.credentials()
		unknown.AppKey = "ffffffffffffffff"
		c := w.call(unknown)
		c.expect(`{"code":20002,"message":"Permission Denied!","desc":"app key not exist"}`)
		w.record(1) // is not for it
		c.expectEnd(1000)

		wrong := w.credentials()
		wrong.Sign = strings.Repeat("0", 32)
		w.call(wrong).expectDenied("sign wrong")
		w.call(sign(w.Server, time.Now().Add(-31*time.Minute))).expectDenied("timestamp expired")
		w.call(sign(w.Server, time.Now().Add(-30*time.Minute))).expect(senselink.Connected)
	})
}

// expectDenied wants 20002 with this text, and then the end.
func (c *client) expectDenied(desc string) {
	c.t.Helper()
	_, got, err := c.read(soon)
	if err != nil || !strings.HasPrefix(string(got), `{"code":20002,`) || !strings.Contains(string(got), desc) {
		c.t.Fatalf("got %s, %v, want a refusal with %q", got, err, desc)
	}
	c.expectEnd(1000)
}

func TestAHeartbeatComesAtItsInterval(t *testing.T) {
	inWorld(t, standin.Options{Heartbeat: 30 * time.Second}, func(w *world) {
		c := w.join()
		for range 3 {
			c.expectNothing(29 * time.Second)
			c.expect(senselink.HeartBeat)
		}
	})
}

func TestAClientThatDoesNotReadIsCutAndDelaysNobody(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		slow, quick := w.join(), w.join()
		for i := range 3000 {
			quick.expectEvents(w.record(i))
		}
		synctest.Wait()
		if n := w.Connections(); n != 1 {
			t.Fatalf("%d clients are connected, want the one that reads", n)
		}
		for {
			if _, _, err := slow.read(soon); err != nil {
				if errors.Is(err, errSilence) {
					t.Fatal("the one that does not read was not cut")
				}
				return
			}
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.Close()
		c.expectEnd(0)
		if status, _ := w.get("/api/v5/record/list", nil, false); status != 503 {
			t.Fatalf("status %d, want 503", status)
		}
	})
}

func TestNumbersRiseWithRoomForOthers(t *testing.T) {
	inWorld(t, standin.Options{Numbers: standin.Numbers{First: 500, Others: 3}, Company: 7}, func(w *world) {
		last, gaps := int64(499), 0
		for i := range 100 {
			e := w.record(i)
			if e.ID <= last || e.ID > last+4 {
				t.Fatalf("number %d after %d", e.ID, last)
			}
			if e.ID > last+1 {
				gaps++
			}
			last = e.ID
			if !strings.Contains(string(e.Data), `"companyId":7`) {
				t.Fatalf("no company in %s", e.Data)
			}
		}
		if gaps == 0 {
			t.Fatal("there is no number of others")
		}
	})
}

func TestStatesOfOneAlarmShareItsNumber(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		one, other, again := w.alarm(1, 1), w.alarm(2, 1), w.alarm(1, 3)
		if one.ID != again.ID || one.ID == other.ID || again.Status != 3 {
			t.Fatalf("got %d/%d, %d/%d, %d/%d", one.ID, one.Status, other.ID, other.Status, again.ID, again.Status)
		}
	})
}

func TestTheTruthIsBounded(t *testing.T) {
	inWorld(t, standin.Options{Most: 10}, func(w *world) {
		for i := range 25 {
			w.record(i)
		}
		events := w.Events()
		if len(events) != 10 || events[0].ID != 16 || events[9].ID != 25 {
			t.Fatalf("got %d events from %d on", len(events), events[0].ID)
		}
	})
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		if _, err := w.Add(gatecast.Record, []byte(`[1]`)); gatecast.CodeOf(err) != gatecast.Malformed {
			t.Fatalf("an array: %v", err)
		}
		if _, err := w.Add(gatecast.Record, []byte(`{"a":`)); gatecast.CodeOf(err) != gatecast.Malformed {
			t.Fatalf("half an object: %v", err)
		}
		if _, err := w.Add(7, []byte(`{}`)); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Fatalf("kind 7: %v", err)
		}
		if _, err := w.AddMessage([]byte(`{"code":30000}`)); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Fatalf("no data: %v", err)
		}
		if n := len(w.Events()); n != 0 {
			t.Fatalf("%d events, want none", n)
		}
	})
}

// Over TCP, what the pipes cannot show: a reset, and that a hanging server
// holds its bytes back and not its clients up.
func TestARestartRefusesWithAReset(t *testing.T) {
	s := standin.New(standin.Options{})
	srv := httptest.NewServer(s)
	defer srv.Close()
	defer s.Close()
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
	c := shake(t, dial(), sign(s, time.Now()))
	c.expect(senselink.Connected)
	if err := s.Misbehave(standin.Misbehaviour{Mode: standin.Restart, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	c.expectEnd(1001)
	nc := dial()
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write([]byte("GET /api/v5/record/list HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("got %d bytes, %v, want a reset", n, err)
	}
	s.Behave(standin.Restart)
	again := shake(t, dial(), sign(s, time.Now()))
	again.expect(senselink.Connected)
}
