package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestPublishTriesAgainWithTheSameIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if r.Method+r.URL.Path+r.Header.Get("Authorization")+r.Header.Get("Content-Type") != "POST/api/v1/eventsBearer gct_xapplication/x-ndjson" {
				t.Errorf("request %s %s %v", r.Method, r.URL, r.Header)
			}
			switch len(bodies) {
			case 1:
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(http.StatusServiceUnavailable)
			case 2:
				panic(http.ErrAbortHandler) // the answer is lost
			default:
				io.WriteString(w, `{"accepted":2,"duplicates":0,"first":41,"last":42}`)
			}
		}))
		c := newClient(t, h, Options{Token: "gct_x"})
		got, err := c.Publish(t.Context(), Record{Name: "<山田>", SN: "SPSP-1"}, Alarm{DeviceSN: "SPSP-2", MessageID: "mine"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(gatecast.Receipt{Accepted: 2, First: 41, Last: 42}, got); diff != "" {
			t.Error(diff)
		}
		if len(bodies) != 3 || bodies[0] != bodies[1] || bodies[1] != bodies[2] {
			t.Fatalf("attempts differ: %q", bodies)
		}
		events, err := senselink.NewDecoder(senselink.Options{}).Decode(strings.NewReader(bodies[0]), senselink.NDJSON, time.Now())
		if err != nil {
			t.Fatalf("the server's own decoder refuses it: %v", err)
		}
		if len(events) != 2 || len(events[0].ID) < 20 || events[1].ID != "mine" || !strings.Contains(bodies[0], "<山田>") {
			t.Errorf("sent %s", bodies[0])
		}
	})
}

// An event with an ID of its own keeps the identity that other senders of the
// same event give it.
func TestANumberedEventIsNamedByItsNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var body []byte
		h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ = io.ReadAll(r.Body)
			io.WriteString(w, `{}`)
		}))
		if _, err := newClient(t, h, Options{}).Publish(t.Context(), Record{ID: 9, SN: "SPSP-1"}); err != nil {
			t.Fatal(err)
		}
		events, err := senselink.NewDecoder(senselink.Options{}).Decode(bytes.NewReader(body), senselink.NDJSON, time.Now())
		if err != nil || len(events) != 1 || events[0].ID != "record:SPSP-1:9" {
			t.Errorf("%v, %v", events, err)
		}
	})
}

func TestARefusedEventIsPointedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"signTime is no time",
				"code":"invalid","remedy":"send seconds","index":1,"path":"/data/signTime","found":"\"x\"","expected":"a number"}`)
		}))
		_, err := newClient(t, h, Options{}).PublishRaw(t.Context(), JSON, []byte(`[]`))
		want := &gatecast.Error{
			Code: gatecast.Invalid, Message: "signTime is no time", Remedy: "send seconds",
			At: &gatecast.Place{Index: 1, Path: "/data/signTime", Found: `"x"`, Expected: "a number"},
		}
		e, _ := errors.AsType[*gatecast.Error](err)
		if diff := cmp.Diff(want, e); diff != "" || n != 1 {
			t.Errorf("%d attempts, %s", n, diff)
		}
	})
}

func TestPublishEndsWithItsContextAndTellsTheLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the disk is full", http.StatusServiceUnavailable)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := newClient(t, h, Options{}).Publish(ctx, Alarm{})
		if !errors.Is(err, context.DeadlineExceeded) || gatecast.CodeOf(err) != gatecast.Unavailable || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNothingToPublishAsksNobody(t *testing.T) {
	c := newClient(t, nil, Options{})
	if r, err := c.Publish(t.Context()); err != nil || r != (gatecast.Receipt{}) {
		t.Errorf("%v, %v", r, err)
	}
}

// The wire names are the vendor's, misspelling included, and nothing is lost.
func TestTypesHaveTheWireNamesOfTheProtocol(t *testing.T) {
	for _, tc := range []struct {
		data any
		wire string
	}{
		{&Record{}, `{"id":1364591,"userId":15,"name":"山田 太郎","type":1,"avatar":"5d79ac9f9812ae0001d7f082","direction":0,"verifyScore":0.963,"receptionUserId":0,"receptionUserName":"","groups":[{"id":1,"name":"Default group","type":1}],"deviceName":"bella pro","sn":"SPSP-f26131cf5301be29b3a6f7be150ed330","signDate":"2019-09-29","signTime":1569725174,"signAvatar":"5d901af663cdaf0001252bb9","signBgAvatar":"5d901af663cdaf0001252bba","mobile":"","icNumber":"","idNumber":"","jobNumber":"10023","remark":"","entryMode":1,"signTimeZone":"+08:00","docPhoto":"","location":"306","abnormalType":0,"bodyTemperature":36.5,"mask":2}`},
		{&Alarm{}, `{"id":88012,"level":1,"code":10002,"description":"ドアの強制開放","status":1,"traceId":"a1f0c2d4-10002-1693526400","deviceId":1561,"deviceName":"東門ゲート","deviceSn":"SPSE-6b394fa48b464d54e41f3f1895178fb0","deviceLocation":"本社 1F","alarmTime":"2023-09-01 09:00:00","releaseTime":"","alarmPhoto":"64f12b8c63cdaf0001252bbb","resloveOption":3}`},
	} {
		d := json.NewDecoder(strings.NewReader(tc.wire))
		d.DisallowUnknownFields()
		if err := d.Decode(tc.data); err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(tc.data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.wire, string(back)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestURLsOfServers(t *testing.T) {
	now := time.UnixMilli(1763350834090)
	const path = "/websocket/record/0123456789abcdef/1763350834090/4ed75ef570a2f8326587677f16b3aa37"
	for base, want := range map[string]string{
		"http://host:9000":     "ws://host:9000" + path,
		"https://host/prefix/": "wss://host/prefix" + path,
		"ws://host":            "ws://host" + path,
		"wss://[::1]:9000":     "wss://[::1]:9000" + path,
		"host:9000":            "",
		"ftp://host":           "",
		"http://":              "",
		"http://host?x=1":      "",
		"":                     "",
	} {
		got, err := SignedURL(base, testKey, testSecret, now)
		if got != want || (want == "") != (gatecast.CodeOf(err) == gatecast.Invalid) {
			t.Errorf("%q: %q, %v", base, got, err)
		}
	}
}
