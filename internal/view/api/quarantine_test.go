package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
)

const quarantinePath = "/api/v1/quarantine"

func TestWhatCouldNotBeUnderstoodIsListedNewestFirstAndInPages(t *testing.T) {
	w := newWorld(t)
	w.want(w.read(quarantinePath), 200, `{"quarantined":[]}`)
	for i := range 3 {
		w.other.kept = append(w.other.kept, gatecast.Quarantined{
			ID: fmt.Sprintf("q%d", i), At: at(i), Source: "office", Reason: "no data", Size: 10 + i, Truncated: i == 1, Count: i, Body: []byte("x"),
		})
	}
	slices.Reverse(w.other.kept)
	const first = `{"id":"q2","at":"2026-01-02T03:04:02Z","source":"office","reason":"no data","size":12,"truncated":false,"count":2}`
	const second = `{"id":"q1","at":"2026-01-02T03:04:01Z","source":"office","reason":"no data","size":11,"truncated":true,"count":1}`
	const third = `{"id":"q0","at":"2026-01-02T03:04:00Z","source":"office","reason":"no data","size":10,"truncated":false,"count":1}`
	w.want(w.read(quarantinePath), 200, `{"quarantined":[`+first+`,`+second+`,`+third+`]}`)
	w.want(w.read(quarantinePath+"?limit=2"), 200, `{"quarantined":[`+first+`,`+second+`],"next":"q1"}`)
	w.want(w.read(quarantinePath+"?limit=2&before=q1"), 200, `{"quarantined":[`+third+`]}`)
	for _, limit := range []string{"0", "1001", "x"} {
		w.refused(w.do("GET", quarantinePath+"?limit="+limit, ""), 422, "invalid", "")
	}
}

func TestWhatCouldNotBeUnderstoodIsShownByteForByte(t *testing.T) {
	w := newWorld(t)
	w.other.kept = []gatecast.Quarantined{
		{ID: "text", At: at(1), Source: "office", Reason: "no data", Size: 9, Body: []byte("{\"門\"\n")},
		{ID: "noise", At: at(2), Source: "office", Reason: "not \xffJSON", Size: 2, Body: []byte{0xff, 'x'}},
	}
	w.want(w.read(quarantinePath+"/text"), 200,
		`{"id":"text","at":"2026-01-02T03:04:01Z","source":"office","reason":"no data","size":9,"truncated":false,"count":1,"body":"{\"門\"\n"}`)
	w.want(w.read(quarantinePath+"/noise"), 200,
		`{"id":"noise","at":"2026-01-02T03:04:02Z","source":"office","reason":"not `+"\ufffd"+`JSON","size":2,"truncated":false,"count":1,"body":"`+"\ufffd"+`x","bytes":"/3g="}`)
}

func TestWhatIsUnderstoodAtLastIsStoredAndForgotten(t *testing.T) {
	w := newWorld(t)
	w.other.kept = []gatecast.Quarantined{
		{ID: "good", Source: "office", Body: []byte(`{"eventType":30000,"data":{}}`)},
		{ID: "bad", Source: "office", Body: []byte(`{"type":30000}`)},
		{ID: "long", Source: "office", Truncated: true, Body: []byte(`{"eventType":300`)},
	}
	const stored = `{"accepted":1,"duplicates":0,"first":7,"last":7}`
	w.want(w.do("POST", quarantinePath+"/good/inject", ""), 200, stored)
	w.refused(w.do("POST", quarantinePath+"/good/inject", ""), 404, "not_found", "")
	w.refused(w.do("POST", quarantinePath+"/bad/inject", `{}`), 422, "invalid", "")
	w.want(w.do("POST", quarantinePath+"/bad/inject", `{"message":{"eventType":30000}}`), 200, stored)
	w.refused(w.do("POST", quarantinePath+"/long/inject", ""), 409, "conflict", "")
	w.want(w.do("POST", quarantinePath+"/long/inject", `{"message":[{"eventType": 30000, "a":1.0}]}`), 200, stored)
	const want = `inject {"eventType":30000,"data":{}}; inject {"type":30000}; inject {"eventType":30000}; inject [{"eventType": 30000, "a":1.0}]`
	if took := w.other.took(); took != want {
		t.Errorf("asked: %s", took)
	}
	if len(w.other.kept) != 0 {
		t.Errorf("left: %+v", w.other.kept)
	}
	log := w.log.String()
	if strings.Contains(log, "eventType") || strings.Count(log, `"msg":"quarantined message injected"`) != 3 || !strings.Contains(log, `"by":"the admin"`) {
		t.Errorf("the log: %s", log)
	}
}

func TestWhatNobodyWantsIsDropped(t *testing.T) {
	w := newWorld(t)
	w.other.kept = []gatecast.Quarantined{{ID: "a/b", Body: []byte("x")}, {ID: "c"}}
	w.want(w.do("DELETE", quarantinePath+"/a%2Fb", ""), 204, "")
	if len(w.other.kept) != 1 || !strings.Contains(w.log.String(), `"msg":"quarantined message dropped"`) {
		t.Errorf("left %+v; log %s", w.other.kept, w.log)
	}
}
