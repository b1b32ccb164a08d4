package mqtt

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// understood is a server that is asked what a payload means, and nothing else.
func understood() *Server {
	return New(Parts{}, Options{
		Decode: senselink.Options{IDs: fixedIDs{}}, Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
}

type fixedIDs struct{}

func (fixedIDs) Next(time.Time) int64 { return 77 }

func TestAPayloadIsADataObjectOrEitherEnvelopeOfOne(t *testing.T) {
	s := understood()
	record, alarm := address{"SPS-1", gatecast.Record}, address{"SPS-1", gatecast.Alarm}
	for _, v := range []struct {
		a                 address
		payload, id, data string
	}{
		{record, `{"id":4,"sn":"SPS-1"}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, ` {"code":30000,"desc":"","data":{ "sn":"SPS-1", "id":4 }} `, "record:SPS-1:4", `{ "sn":"SPS-1", "id":4 }`},
		{record, "\xef\xbb\xbf" + `{"eventType":"30000","messageId":"m","data":{"id":4,"sn":"SPS-1"}}`, "mqtt:SPS-1:m", `{"id":4,"sn":"SPS-1"}`},
		// What an envelope does not say, the topic does.
		{record, `{"data":{"id":4,"sn":"SPS-1"}}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, `{"code":null,"data":{"id":4,"sn":"SPS-1"},"messageId":null}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, `{"id":4}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, `{"id":4 }`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1" }`},
		{record, `{"eventType":30000,"data":{"id":4}}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, `{"sn":null,"id":4}`, "record:SPS-1:4", `{"sn":"SPS-1","id":4}`},
		{record, `{"id":4,"sn":""}`, "record:SPS-1:4", `{"id":4,"sn":"SPS-1"}`},
		{record, `{"id":4,"deviceSN":"SPS-1"}`, "record:SPS-1:4", `{"id":4,"deviceSN":"SPS-1"}`},
		{record, `{"id":4,"deviceSN":""}`, "record:SPS-1:4", `{"id":4,"deviceSN":"","sn":"SPS-1"}`},
		// An alarm's code is its own, and no kind.
		{alarm, `{"id":4,"code":10002,"status":2}`, "alarm:SPS-1:4:2", `{"id":4,"code":10002,"status":2,"deviceSn":"SPS-1"}`},
		{alarm, `{"code":30100,"data":{"id":4,"code":10002,"status":2,"deviceSn":"SPS-1"}}`, "alarm:SPS-1:4:2", `{"id":4,"code":10002,"status":2,"deviceSn":"SPS-1"}`},
		{address{`a"b\`, gatecast.Record}, `{"id":4}`, `record:a"b\:4`, `{"id":4,"sn":"a\"b\\"}`},
	} {
		e, err := s.understand(v.a, []byte(v.payload))
		if err != nil {
			t.Errorf("%s: %v", v.payload, err)
			continue
		}
		if e.ID != v.id || string(e.Data) != v.data || e.Kind != v.a.kind || e.Device != v.a.device || e.Source != "mqtt" {
			t.Errorf("%s:\n got %s %s of %s %s\nwant %s %s", v.payload, e.ID, e.Data, e.Kind, e.Device, v.id, v.data)
		}
	}
}

func TestAPayloadThatIsNoEventOfItsTopicIsRubbishForAReason(t *testing.T) {
	s := understood()
	record, alarm := address{"SPS-1", gatecast.Record}, address{"SPS-1", gatecast.Alarm}
	for _, v := range []struct {
		a               address
		payload, reason string
	}{
		{record, ``, "not one JSON object"},
		{record, `[{"id":1}]`, "not one JSON object"},
		{record, `7`, "not one JSON object"},
		{record, `{"id":1`, "ends in the middle"},
		{record, `{"id":1}{"id":2}`, "not one JSON object"},
		{record, `{"id":1,"id":1}`, "stands twice"},
		{record, "{\"name\":\"\xff\"}", "UTF-8"},
		{record, `{"id":"one"}`, "/data/id"},
		{record, `{"sn":"SPS-2"}`, "the topic names another device"},
		{record, `{"sn":7}`, "/data/sn"},
		{alarm, `{"eventType":30000,"data":{"sn":"SPS-1"}}`, "the topic says another kind of event: alarm, the message record"},
		{record, `{"eventType":30100,"data":{"deviceSn":"SPS-1"}}`, "the topic says another kind"},
		{record, `{"eventType":30000}`, "/data"},
		{record, `{"eventType":30000,"data":7}`, "/data"},
		{record, `{"eventType":9,"data":{}}`, "/eventType"},
		{record, `{"messageId":"a b","data":{}}`, "/messageId"},
		{address{strings.Repeat("x", 129), gatecast.Record}, `{}`, "/data/sn"},
		{record, `{"remark":"` + strings.Repeat("x", 300<<10) + `"}`, "more than"},
	} {
		e, err := s.understand(v.a, []byte(v.payload))
		if err == nil || !strings.Contains(err.Error(), v.reason) || !hopeless(err) {
			t.Errorf("%.60s: %v, %v, want %q", v.payload, e, err, v.reason)
		}
	}
}

func TestTheSameMessageHasTheSameIDEachTimeItComes(t *testing.T) {
	s := understood()
	id := func(device, payload string) string {
		t.Helper()
		e, err := s.understand(address{device, gatecast.Record}, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	long := `{"messageId":"` + strings.Repeat("m", 128) + `","data":{}}`
	var all []string
	for _, v := range []struct{ device, payload string }{
		{"a", `{"signTime":1583726625}`},
		{"b", `{"signTime":1583726625}`},
		{"a", `{"signTime":1583726626}`},
		{"a", `{"sendTime":1583726626015,"data":{"signTime":1583726625}}`},
		{"a", `{"id":0,"signTime":1583726625}`},
		{"a", `{"messageId":"1","data":{}}`},
		{"b", `{"messageId":"1","data":{}}`},
		{"a b", `{"messageId":"1","data":{}}`},
		{"a:b", `{"messageId":"1","data":{}}`},
		{"a", `{"messageId":"b:1","data":{}}`},
		{"a", long},
		{"a", `{"id":9}`},
		{"b", `{"id":9}`},
	} {
		first, second := id(v.device, v.payload), id(v.device, v.payload)
		if first != second || first == "" || len(first) > 128 || strings.ContainsAny(first, " \x00") {
			t.Errorf("%s of %s: %q, then %q", v.payload, v.device, first, second)
		}
		all = append(all, first)
	}
	seen := map[string]int{}
	for i, id := range all {
		if j, twice := seen[id]; twice {
			t.Errorf("the messages %d and %d have one ID, %s", j, i, id)
		}
		seen[id] = i
	}
	// Over MQTT and over HTTP an event with a number is the same one.
	if got := id("a", `{"id":9}`); got != "record:a:9" {
		t.Errorf("got %s", got)
	}
}

func TestTopicsAreTwo(t *testing.T) {
	for topic, want := range map[string]address{
		"gatecast/SPS-1/record":     {"SPS-1", gatecast.Record},
		"gatecast/SPS-1/alarm":      {"SPS-1", gatecast.Alarm},
		"gatecast/東 門/alarm":        {"東 門", gatecast.Alarm},
		"gatecast/SPS-1/record/":    {},
		"gatecast/SPS-1/records":    {},
		"gatecast//record":          {},
		"gatecast/record":           {},
		"gatecast/a/b/record":       {},
		"/gatecast/SPS-1/record":    {},
		"Gatecast/SPS-1/record":     {},
		"gatecast":                  {},
		"$SYS/broker":               {},
		"gatecast/SPS-1/record\x01": {},
	} {
		got, ok := readTopic(topic)
		if ok != (want != address{}) || ok && got != want {
			t.Errorf("%s: %v, %v", topic, got, ok)
		}
		if !ok {
			continue
		}
		if again, ok := parseOrigin(got.origin()); !ok || again != got {
			t.Errorf("%s is kept as %q, and that is read as %v", topic, got.origin(), again)
		}
	}
	for _, device := range []string{strings.Repeat("x", 60), "a\nb"} {
		if got := (address{device, gatecast.Alarm}).origin(); got != Source || !CameFrom(got) {
			t.Errorf("%q is kept as %q", device, got)
		}
	}
	if CameFrom("mqtt-office") || CameFrom("office") || !CameFrom("mqtt:SPS-1/record") {
		t.Error("another door is taken for this one")
	}
}

func TestWhatIsInTheQuarantineCanBeStoredOnceItIsRight(t *testing.T) {
	s := newSite(t, Options{})
	for _, v := range []struct {
		source, body string
		id           string // empty: refused
	}{
		{"mqtt:SPS-9/record", `{"id":1}`, "record:SPS-9:1"},
		{"mqtt:SPS-9/alarm", `{"id":1,"status":3}`, "alarm:SPS-9:1:3"},
		{"mqtt", `{"eventType":30000,"data":{"id":2,"sn":"SPS-9"}}`, "record:SPS-9:2"},
		{"mqtt", `{"eventType":30000,"data":{"id":2}}`, ""},
		{"mqtt", `{"id":2,"sn":"SPS-9"}`, ""},
		{"mqtt", `[]`, ""},
		{"mqtt:SPS-9/record", `{"id":1,"sn":"SPS-8"}`, ""},
		{"mqtt:SPS-9/record", `rubbish`, ""},
	} {
		before := len(s.stored())
		r, err := s.Inject(t.Context(), gatecast.Quarantined{Source: v.source, Body: []byte(v.body)})
		now := s.stored()[before:]
		switch {
		case v.id == "" && err != nil && len(now) == 0 && hopeless(err):
		case v.id == "" || err != nil || r.Accepted != 1 || !cmp.Equal(now, []string{v.id}):
			t.Errorf("%s as %s: %+v, %v, %v", v.body, v.source, r, err, now)
		}
	}
}
