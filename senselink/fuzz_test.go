package senselink

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/websocket/record/0123456789abcdef/1763350834090/4ed75ef570a2f8326587677f16b3aa37",
		"/websocket/record/a%2Fb/1/2", "/websocket/record/a//b", "/websocket/record/%zz/1/2", "?", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		RedactPath(path)
		c, err := ParsePath(path)
		if err != nil {
			if gatecast.CodeOf(err) != gatecast.NotFound {
				t.Fatalf("%q: %v", path, err)
			}
			return
		}
		again, err := ParsePath(Path(c))
		if err != nil || again != c {
			t.Fatalf("%q: %+v became %+v, %v", path, c, again, err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("1763350834090", "4ed75ef570a2f8326587677f16b3aa37", int64(1763350834090), int64(30*time.Minute))
	f.Add("1569460051", "", int64(0), int64(-1))
	f.Fuzz(func(t *testing.T, ts, sign string, now, window int64) {
		app := testApp()
		app.Window = gatecast.Window(window)
		clock := time.UnixMilli(now)
		for _, c := range []Credentials{{AppKey: app.Key, Timestamp: ts, Sign: sign}, signed(ts, newSecret)} {
			err := Verify(c, app, clock)
			var r *Refusal
			if err != nil && (!errors.As(err, &r) || r.Desc == "" || r.Reason == "" || gatecast.CodeOf(err) == gatecast.Internal) {
				t.Fatalf("%+v: incomplete refusal %#v", c, err)
			}
			if err == nil && !bytes.EqualFold([]byte(c.Sign), []byte(Sign(ts, newSecret))) &&
				!bytes.EqualFold([]byte(c.Sign), []byte(Sign(ts, oldSecret))) {
				t.Fatalf("%+v: accepted without a secret", c)
			}
			if err != nil && !json.Valid(Denied(r.Desc)) {
				t.Fatalf("%q makes no valid message", r.Desc)
			}
			if err := Verify(c, nil, clock); err == nil || err.Error() != DescUnknownKey {
				t.Fatalf("%+v: unknown key answered with %v", c, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"record.push.json", "record.subscription.json", "record.old-shape.json", "alarm.push.json"} {
		f.Add([]byte(golden(f, name)), false)
		f.Add([]byte("["+golden(f, name)+"]"), false)
	}
	f.Add([]byte("{\"eventType\":30000,\"data\":{}}\n{\"data\":{\"groups\":[{\"id\":1}]},\"code\":\"30100\"}"), true)
	f.Add([]byte(`{"eventType":30000,"messageId":"x","sendTime":1583726626015,"data":{"signTime":1e5,"\u0069d":3}}`), false)
	f.Add([]byte(`{"eventType":30000,"data":{"id":1,"avatar":"data:image/jpeg;base64,`+b64(jpegLike(1))+`","signAvatar":"`+b64(jpegLike(2))+`"}}`), false)
	o := Options{MaxBody: 64 << 10, MaxEvent: 16 << 10, MaxBatch: 50, MaxDepth: 8}
	decoder := NewDecoder(o)
	o.Photos = &album{}
	keeper := NewDecoder(o)
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		format := JSON
		if lines {
			format = NDJSON
		}
		original := bytes.Clone(body)
		taken, err := keeper.Decode(bytes.NewReader(body), format, testNow)
		if err != nil {
			checkRefused(t, taken, err)
		}
		for i := range taken {
			if push := jsontext.Value(AppendPush(nil, &taken[i])); !push.IsValid() {
				t.Fatalf("without its photos pushed as %s", push)
			}
		}
		events, err := decoder.Decode(bytes.NewReader(body), format, testNow)
		if err != nil {
			checkRefused(t, events, err)
			return
		}
		for i := range events {
			checkAccepted(t, original, &events[i])
		}
	})
}

func checkRefused(t *testing.T, events []gatecast.Event, err error) {
	var e *gatecast.Error
	if !errors.As(err, &e) || e.Message == "" || events != nil {
		t.Fatalf("%d events with error %#v", len(events), err)
	}
	switch e.Code {
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge:
	default:
		t.Fatalf("code %v: %v", e.Code, err)
	}
	if e.At != nil && (!utf8.ValidString(e.At.Path) || e.Code == gatecast.Invalid && !utf8.ValidString(e.At.Found)) {
		t.Fatalf("place %+v is not UTF-8", e.At)
	}
}

func checkAccepted(t *testing.T, body []byte, e *gatecast.Event) {
	if !e.Kind.Valid() || e.ID == "" || !validID(e.ID) || !validDevice(e.Device) {
		t.Fatalf("bad event %+v", e)
	}
	push := jsontext.Value(AppendPush(nil, e))
	if !push.IsValid() { // strict: UTF-8, no duplicate names
		t.Fatalf("pushed as %s", push)
	}
	// Data is a stretch of the body, but for one insertion before its brace.
	end := len(e.Data)
	for end > 0 && !bytes.Contains(body, e.Data[:end]) {
		end--
	}
	if rest := bytes.TrimLeft(e.Data[end:], " \t\r\n"); len(rest) > 0 && rest[len(rest)-1] != '}' || end == 0 {
		t.Fatalf("data %s is not from the body", e.Data)
	}
	again, err := NewDecoder(Options{}).Decode(bytes.NewReader(push), JSON, testNow)
	if err != nil {
		t.Fatalf("not decoded again: %v", err)
	}
	if len(again) != 1 || !bytes.Equal(again[0].Data, e.Data) || again[0].Kind != e.Kind || again[0].Device != e.Device {
		t.Fatalf("%s became %s", e.Data, again[0].Data)
	}
}
