package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

func TestALineTellsWhoPassedWhereAndHow(t *testing.T) {
	event := func(kind gatecast.Kind, data string) *client.Event {
		return &client.Event{Event: gatecast.Event{
			Kind: kind, Device: "SPSP-1", At: time.Date(2026, 11, 24, 9, 0, 5, 0, time.Local), Data: []byte(data),
		}}
	}
	for _, test := range []struct {
		name string
		e    *client.Event
		want string
	}{
		{
			"employee in",
			event(gatecast.Record, `{"name":"山田 太郎","type":1,"direction":0,"deviceName":"東門ゲート 入口","entryMode":1,"bodyTemperature":36.5}`),
			"09:00:05  in        東門ゲート 入口     山田 太郎         face, 36.5°C\n",
		},
		{
			"visitor out",
			event(gatecast.Record, `{"name":"Ada","type":2,"direction":1,"receptionUserName":"Bob","entryMode":2}`),
			"09:00:05  out       SPSP-1              Ada               QR code, visitor of Bob\n",
		},
		{
			"stranger",
			event(gatecast.Record, `{"type":3,"entryMode":1}`),
			"09:00:05  stranger  SPSP-1                                face\n",
		},
		{
			"somebody on the deny list",
			event(gatecast.Record, `{"name":"Eve","type":2,"groups":[{"id":90,"name":"x","type":5}],"entryMode":1,"abnormalType":20001}`),
			"09:00:05  refused   SPSP-1              Eve               face, visitor, on the deny list, visitor outside validity\n",
		},
		{
			"refused stranger with codes nobody knows",
			event(gatecast.Record, `{"type":3,"entryMode":77,"abnormalType":99999}`),
			"09:00:05  refused   SPSP-1                                mode 77, abnormal 99999\n",
		},
		{
			"name with an escape sequence and a new line",
			event(gatecast.Record, `{"name":"\u001b[31m\nroot","type":1,"entryMode":1}`),
			"09:00:05  in        SPSP-1              \ufffd[31m\ufffdroot        face\n",
		},
		{
			"fields of other types than promised",
			event(gatecast.Record, `{"name":"Ada","type":"1","direction":1,"entryMode":1}`),
			"09:00:05  out       SPSP-1              Ada               face\n",
		},
	} {
		var b strings.Builder
		if err := newLines(&b).write(test.e); err != nil {
			t.Fatal(err)
		}
		if b.String() != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, b.String(), test.want)
		}
	}
}

func TestAnAlarmLineNamesTheAlarmAndItsState(t *testing.T) {
	var b strings.Builder
	e := &client.Event{Event: gatecast.Event{Kind: gatecast.Alarm, Data: []byte(`{"code":10002,"status":3,"deviceName":"裏口"}`)}}
	if err := newLines(&b).write(e); err != nil {
		t.Fatal(err)
	}
	if want := "alarm     裏口                door forced open  door forced open, released\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %q, want it to end in %q", b.String(), want)
	}
}

func TestEveryCodeHasOneExitStatus(t *testing.T) {
	want := map[gatecast.Code]int{
		gatecast.Internal: 1, gatecast.Invalid: 1, gatecast.Malformed: 1, gatecast.TooLarge: 1, gatecast.Conflict: 1,
		gatecast.Gap: 1, gatecast.Unauthenticated: 3, gatecast.Forbidden: 3, gatecast.NotFound: 4,
		gatecast.TooMany: 5, gatecast.Unavailable: 5,
	}
	for code, status := range want {
		if got := exitStatus(gatecast.Errorf(code, "x")); got != status {
			t.Errorf("%v: exit status %d, want %d", code, got, status)
		}
	}
}

func TestContentTypeTellsOneValueFromSeveral(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1}`: client.JSON, ` [{"a":1},{"a":2}] `: client.JSON, "{\n}\n": client.JSON, `{"a":`: client.JSON, "": client.JSON,
		"{}\n{}\n": client.NDJSON, "{} {}": client.NDJSON,
	} {
		if got := contentType([]byte(body)); got != want {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
}
