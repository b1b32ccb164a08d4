package senselink

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestErrorsPointAtThePlace(t *testing.T) {
	good := `{"eventType":30000,"data":{}}`
	for _, v := range []struct {
		event string
		code  gatecast.Code
		path  string
		found string
	}{
		{`{"eventType":30000,"data":{"signTime":"1583726625"}}`, gatecast.Invalid, "/data/signTime", `"1583726625"`},
		{`{"eventType":30000,"data":{"signTime":1.5}}`, gatecast.Invalid, "/data/signTime", "1.5"},
		{`{"eventType":30000,"data":{"signTime":-1}}`, gatecast.Invalid, "/data/signTime", "-1"},
		{`{"eventType":30000,"data":{"signTime":100000000000000}}`, gatecast.Invalid, "/data/signTime", "100000000000000"},
		{`{"eventType":30000,"data":{"id":9223372036854775808}}`, gatecast.Invalid, "/data/id", "9223372036854775808"},
		{`{"eventType":30000,"data":{"verifyScore":1e999}}`, gatecast.Invalid, "/data/verifyScore", "1e999"},
		{`{"eventType":30000,"data":{"bodyTemperature":"36.5"}}`, gatecast.Invalid, "/data/bodyTemperature", `"36.5"`},
		{`{"eventType":30000,"data":{"mask":true}}`, gatecast.Invalid, "/data/mask", "true"},
		{`{"eventType":30000,"data":{"name":15}}`, gatecast.Invalid, "/data/name", "15"},
		{`{"eventType":30000,"data":{"sn":"a\nb"}}`, gatecast.Invalid, "/data/sn", `"a\nb"`},
		{`{"eventType":30000,"data":{"groups":{}}}`, gatecast.Invalid, "/data/groups", "{}"},
		{`{"eventType":30000,"data":{"groups":[{"id":1},3]}}`, gatecast.Invalid, "/data/groups/1", "3"},
		{`{"eventType":30000,"data":{"groups":[{"id":"1"}]}}`, gatecast.Invalid, "/data/groups/0/id", `"1"`},
		{`{"eventType":30000,"data":{"groups":[{"name":1}]}}`, gatecast.Invalid, "/data/groups/0/name", "1"},
		{`{"data":{"status":"x"},"eventType":"30100"}`, gatecast.Invalid, "/data/status", `"x"`},
		{`{"eventType":30000}`, gatecast.Invalid, "/data", "nothing"},
		{`{"eventType":30000,"data":null}`, gatecast.Invalid, "/data", "nothing"},
		{`{"eventType":30000,"data":[]}`, gatecast.Invalid, "/data", "[]"},
		{`{"data":{}}`, gatecast.Invalid, "/eventType", "nothing"},
		{`{"eventType":null,"data":{}}`, gatecast.Invalid, "/eventType", "nothing"},
		{`{"eventType":30200,"data":{}}`, gatecast.Invalid, "/eventType", "30200"},
		{`{"eventType":3e4,"data":{}}`, gatecast.Invalid, "/eventType", "3e4"},
		{`{"code":10002,"deviceSn":"S"}`, gatecast.Invalid, "/code", "10002"},
		{`{"eventType":30000,"code":30100,"data":{}}`, gatecast.Invalid, "/code", "30100"},
		{`{"eventType":30000,"messageId":5,"data":{}}`, gatecast.Invalid, "/messageId", "5"},
		{`{"eventType":30000,"messageId":"a b","data":{}}`, gatecast.Invalid, "/messageId", `"a b"`},
		{`{"eventType":30000,"messageId":"` + strings.Repeat("x", 129) + `","data":{}}`, gatecast.Invalid, "/messageId", `"` + strings.Repeat("x", 59) + "… (131 bytes)"},
		{`{"eventType":30000,"sendTime":"now","data":{}}`, gatecast.Invalid, "/sendTime", `"now"`},
		{`"x"`, gatecast.Invalid, "", `"x"`},
		{`{"eventType":30000,"data":{"id":1,"id":2}}`, gatecast.Malformed, "/data/id", ""},
		{`{"eventType":30000,"data":{"x":{"y":1,"\u0079":2}}}`, gatecast.Malformed, "/data/x/y", ""},
		{`{"eventType":30000,"eventType":30000,"data":{}}`, gatecast.Malformed, "/eventType", ""},
		{"{\"eventType\":30000,\"data\":{\"x\":\"\xff\"}}", gatecast.Malformed, "/data/x", ""},
		{`{"eventType":30000,"data":{"x":"\ud800"}}`, gatecast.Malformed, "/data/x", ""},
		{`{"eventType":30000,"data":{"x":1.}}`, gatecast.Malformed, "/data/x", ""},
	} {
		place := gatecast.Place{Index: 1, Path: v.path, Found: v.found}
		checkPlace(t, refused(t, Options{}, JSON, "["+good+","+v.event+"]"), v.code, place)
		checkPlace(t, refused(t, Options{}, NDJSON, good+"\n"+v.event), v.code, place)
		place.Index = -1 // outside a batch
		checkPlace(t, refused(t, Options{}, JSON, v.event), v.code, place)
	}
}

// checkPlace compares all but the wording, which must be there for what is
// Invalid.
func checkPlace(t *testing.T, e *gatecast.Error, code gatecast.Code, want gatecast.Place) {
	t.Helper()
	if e.Code != code || e.At == nil {
		t.Errorf("%v %v, place %v; want %v at %+v", e.Code, e, e.At, code, want)
		return
	}
	got := *e.At
	if code == gatecast.Invalid && got.Expected == "" {
		t.Errorf("%v: does not say what is expected", e)
	}
	got.Expected = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v: %s", e, diff)
	}
}

func TestWhatIsNoJSONIsMalformed(t *testing.T) {
	for _, body := range []string{
		"", " \n", "\xef\xbb\xbf", "{", "[", `{"eventType":30000`, `{"eventType":30000,"data":{"id":1}`,
		`[{"eventType":30000,"data":{}},]`, `[{"eventType":30000,"data":{}}`, `{"eventType":30000,"data":{}} {}`,
		`{"eventType":30000,"data":{}}]`, "eventType=30000", "\x00", "{'eventType':30000}",
	} {
		if e := refused(t, Options{}, JSON, body); e.Code != gatecast.Malformed {
			t.Errorf("%q: %v %v", body, e.Code, e)
		}
	}
}

func TestEveryLimitNamesItsSetting(t *testing.T) {
	event := func(pad string) string { return `{"eventType":30000,"data":{"x":` + pad + `}}` }
	o := Options{MaxBody: 400, MaxEvent: 100, MaxBatch: 3, MaxDepth: 4}
	long := event(`"` + strings.Repeat("x", 65) + `"`)
	if len(long) != 100 {
		t.Fatalf("test is wrong: %d bytes", len(long))
	}
	for _, v := range []struct {
		body, longer string
		code         gatecast.Code
		key          string
	}{
		{event("1") + strings.Repeat(" ", 400-len(event("1"))), event("1") + strings.Repeat(" ", 401-len(event("1"))), gatecast.TooLarge, "ingest.max_body"},
		{long, strings.Replace(long, "xx", "xxx", 1), gatecast.TooLarge, "ingest.max_event"},
		{"[" + strings.Repeat(event("1")+",", 2) + event("1") + "]", "[" + strings.Repeat(event("1")+",", 3) + event("1") + "]", gatecast.TooLarge, "ingest.max_batch"},
		{event("[[]]"), event("[[[]]]"), gatecast.Invalid, "ingest.max_depth"},
		{event(`{"a\"[[[[":[]}`), event(`{"a":[{}]}`), gatecast.Invalid, "ingest.max_depth"},
	} {
		if _, err := decode(o, JSON, v.body); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		if e := refused(t, o, JSON, v.longer); e.Code != v.code || !strings.Contains(e.Remedy, v.key) {
			t.Errorf("beyond the limit: %v %v; want %v naming %s", e.Code, e, v.code, v.key)
		}
	}
}

func TestNestingBeyondTheParserIsRefusedToo(t *testing.T) {
	body := `{"eventType":30000,"data":{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`
	if e := refused(t, Options{}, JSON, body); e.Code != gatecast.Malformed {
		t.Errorf("%v %v", e.Code, e)
	}
}
