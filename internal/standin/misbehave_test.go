package standin_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

func TestDropCutsEveryConnectionOnce(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		a, b := w.join(), w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Drop})
		a.expectEnd(0)
		b.expectEnd(0)
		c := w.join()
		c.expectEvents(w.record(1))
	})
}

func TestStallForgetsTheConnectionsOfNowButForHeartbeats(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Stall})
		w.record(1)
		c.expectNothing(29 * time.Second)
		c.expect(senselink.HeartBeat)
		renewed := w.join()
		renewed.expectEvents(w.record(2))
		c.expectNothing(soon)
		w.Behave()
		e := w.record(3)
		c.expectEvents(e) // and not what it missed
		renewed.expectEvents(e)
	})
}

func TestStallForAllForgetsLaterConnectionsTooForItsTime(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.misbehave(standin.Misbehaviour{Mode: standin.Stall, All: true, For: 10 * time.Second})
		c := w.join()
		w.record(1)
		c.expectNothing(9 * time.Second)
		<-time.After(time.Second)
		c.expectEvents(w.record(2))
	})
}

func TestASilentServerDoesNotEvenAnswerPings(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		c.ping()
		if op, _, err := c.read(soon); err != nil || op != opPong {
			t.Fatalf("got opcode %d, %v, want a Pong while it behaves", op, err)
		}
		w.misbehave(standin.Misbehaviour{Mode: standin.Silent})
		w.record(1)
		c.ping()
		c.expectNothing(5*time.Minute - soon)
		w.Behave(standin.Silent)
		if op, _, err := c.read(soon); err != nil || op != opPong {
			t.Fatalf("got opcode %d, %v, want the Pong when it is over", op, err)
		}
		c.expectEvents(w.record(2))
	})
}

func TestSilenceEndsWithItsTime(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Silent, For: 45 * time.Second})
		c.expectNothing(59 * time.Second)
		c.expect(senselink.HeartBeat)
		c.expectEvents(w.record(1))
	})
}

func TestRestartClosesAllAndRefusesForItsTime(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Restart, For: 5 * time.Second})
		c.expectEnd(1001)
		if _, err := w.http.Do(w.question("/api/v5/record/list", nil, false)); err == nil {
			t.Fatal("it answers while it is away")
		}
		<-time.After(5 * time.Second)
		w.join().expectEvents(w.record(1))
	})
}

func TestRenameCallsAFieldSomethingElseAndTheTruthStays(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Rename, From: "sn", To: "serial"})
		e := w.record(1)
		c.expect(strings.Replace(string(e.Pushed()), `"sn":`, `"serial":`, 1))
		if !strings.Contains(string(w.Events()[0].Data), `"sn":`) {
			t.Fatal("the truth was renamed")
		}
	})
}

func TestRubbishComesBeforeEveryNthEventAndIsNoEvent(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Rubbish, N: 2})
		kinds := make(map[string]bool)
		for i := range 14 {
			e := w.record(i)
			if i%2 == 1 {
				op, got, err := c.read(soon)
				if err != nil {
					t.Fatal(err)
				}
				d := senselink.NewDecoder(senselink.Options{})
				if _, err := d.Decode(bytes.NewReader(got), senselink.JSON, time.Now()); err == nil {
					t.Errorf("%.100q is an event", got)
				}
				kinds[fmt.Sprintf("%d %.80q %d", op, got, len(got)>>20)] = true
			}
			c.expectEvents(e)
		}
		if len(kinds) != 7 {
			t.Errorf("got %d kinds of rubbish, want 7: %v", len(kinds), kinds)
		}
	})
}

func TestTwiceSendsEverythingTwice(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Twice})
		e := w.record(1)
		c.expectEvents(e, e)
		if n := len(w.Events()); n != 1 {
			t.Fatalf("the truth has %d events, want 1", n)
		}
	})
}

func TestDisorderReversesAndLosesNothing(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		w.misbehave(standin.Misbehaviour{Mode: standin.Disorder, N: 3})
		e := []standin.Event{w.record(1), w.record(2), w.record(3), w.record(4), w.record(5)}
		c.expectEvents(e[2], e[1], e[0])
		c.expectNothing(soon)
		w.Behave()
		c.expectEvents(e[3], e[4])
	})
}

func TestLoginsBeyondTheLimitAreRefused(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.misbehave(standin.Misbehaviour{Mode: standin.Logins, N: 2})
		w.join()
		w.join()
		w.call(w.credentials()).expectDenied("login too frequent")
		<-time.After(time.Minute)
		w.join()
	})
}

func TestAWrongClockRefusesThoseWhoAreRight(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.misbehave(standin.Misbehaviour{Mode: standin.Clock, By: -time.Hour})
		w.call(w.credentials()).expectDenied("timestamp expired")
		w.call(sign(w.Server, time.Now().Add(-time.Hour))).expect(senselink.Connected)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("GET", "/sl/api/v5/records", nil))
		if date, err := http.ParseTime(rec.Header().Get("Date")); err != nil || time.Since(date)-time.Hour < 0 || time.Since(date)-time.Hour > time.Second {
			t.Errorf("the answer is of %v, %v", date, err)
		}
	})
}

func TestRESTFailsInEveryWay(t *testing.T) {
	const path = "/api/v5/record/list"
	inWorld(t, standin.Options{}, func(w *world) {
		w.record(1)
		w.record(2)
		_, whole := w.get(path, nil, false)

		w.misbehave(standin.Misbehaviour{Mode: standin.REST500})
		if status, body := w.get(path, nil, false); status != 500 || bytes.HasPrefix(body, []byte("{")) {
			t.Errorf("500: got %d %s", status, body)
		}
		w.Behave()
		w.misbehave(standin.Misbehaviour{Mode: standin.REST498})
		if _, body := w.get(path, nil, false); string(body) != `{"code":498,"message":"Param Invalid","desc":"system busy","data":{}}` {
			t.Errorf("498: got %s", body)
		}
		w.Behave()
		w.misbehave(standin.Misbehaviour{Mode: standin.RESTSlow, By: 20 * time.Second})
		start := time.Now()
		if _, body := w.get(path, nil, false); time.Since(start) != 20*time.Second || !bytes.Equal(body, whole) {
			t.Errorf("slow: got it after %v", time.Since(start))
		}
		w.Behave()
		w.misbehave(standin.Misbehaviour{Mode: standin.RESTCut})
		resp, err := w.http.Do(w.question(path, nil, false))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil || len(body) != len(whole)/2 {
			t.Errorf("cut: got %d of %d bytes, %v", len(body), len(whole), err)
		}
		_ = resp.Body.Close()
		w.Behave()
		w.misbehave(standin.Misbehaviour{Mode: standin.RESTShort})
		if rows := w.list(path, nil, false); len(rows) != 1 {
			t.Errorf("short: got %d rows of 2", len(rows))
		}
		w.Behave()
		if _, body := w.get(path, nil, false); !bytes.Equal(body, whole) {
			t.Errorf("it does not behave again: %s", body)
		}
	})
}

func TestASlowAnswerDoesNotHoldCloseUp(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.misbehave(standin.Misbehaviour{Mode: standin.RESTSlow, By: time.Hour})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := w.http.Do(w.question("/api/v5/record/list", nil, false)); err == nil {
				_ = resp.Body.Close()
			}
		}()
		synctest.Wait()
		start := time.Now()
		w.Close()
		<-ended
		if d := time.Since(start); d > soon {
			t.Fatalf("it took %v", d)
		}
	})
}

func TestUnknownModesAndNegativeNumbersAreErrors(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		for _, m := range []standin.Misbehaviour{
			{Mode: "sulk"}, {}, {Mode: standin.Rubbish, N: -1}, {Mode: standin.Stall, For: -1}, {Mode: standin.RESTSlow, By: -1},
		} {
			if w.Misbehave(m) == nil {
				t.Errorf("%+v was taken", m)
			}
		}
		if got := w.Misbehaving(); len(got) != 0 {
			t.Errorf("misbehaving: %v", got)
		}
	})
}

func TestTheLeversWorkOverHTTP(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		c := w.join()
		if status, body := w.pull("misbehave", `{"mode":"twice","for":"1m"}`); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		if status, body := w.pull("events", string(standin.Event{Kind: 30100, Data: standin.SampleAlarm(1, 1, time.Now())}.Posted())); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		e := w.Events()[0]
		c.expectEvents(e, e)
		st := decode[standin.Status](t, w.lever("status"))
		if st.Events != 1 || st.Connections != 1 || !slices.Equal(st.Misbehaving, []standin.Mode{standin.Twice}) {
			t.Errorf("status: %+v", st)
		}
		if _, body := w.pull("behave", ``); len(decode[standin.Status](t, body).Misbehaving) != 0 {
			t.Errorf("after behave: %s", body)
		}
		truth := decode[struct {
			Events []struct {
				Kind   string
				ID     int64
				Status int64
			}
		}](t, w.lever("events"))
		if len(truth.Events) != 1 || truth.Events[0].Kind != "alarm" || truth.Events[0].ID != e.ID || truth.Events[0].Status != 1 {
			t.Errorf("truth: %+v", truth)
		}
		for lever, body := range map[string]string{"misbehave": `{"mode":"sulk"}`, "behave": `{`, "events": `{}`} {
			if status, _ := w.pull(lever, body); status < 400 {
				t.Errorf("%s took %s", lever, body)
			}
		}
		if status, body := w.pull("misbehave", `{"mode":"stall","for":"soon"}`); status != 422 || !bytes.Contains(body, []byte("no duration such as 30s")) {
			t.Errorf("got %d %s", status, body)
		}
	})
}

// A page in somebody's browser must not pull levers.
func TestALeverWantsJSON(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://standin/standin/misbehave", strings.NewReader(`{"mode":"drop"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		resp, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 422 {
			t.Fatalf("got %d, want 422", resp.StatusCode)
		}
	})
}

func (w *world) lever(name string) []byte {
	w.t.Helper()
	_, body := w.get("/standin/"+name, url.Values{}, false)
	return body
}
