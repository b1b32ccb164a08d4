package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

func attempt() gatecast.Attempt {
	return gatecast.Attempt{
		Time: at(5), Seq: 7, Events: 1, Message: "m7", Try: 2, Status: 500, Took: 12345678 * time.Nanosecond,
		Outcome: gatecast.Unreachable, Error: "the endpoint answered 500", Answer: []byte("oops \xff"), Replay: true,
	}
}

const shownAttempt = `"time":"2026-01-02T03:04:05Z","seq":7,"events":1,"message_id":"m7","try":2,"status":500,"took_ms":12.35,` +
	`"outcome":"failed","error":"the endpoint answered 500","answer":"oops ` + "\ufffd" + `","replay":true`

func TestATestShowsWhatCrossedTheWire(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	w.hooks.exchange = gatecast.Exchange{
		Attempt: attempt(), URL: "https://host.example/", Headers: map[string]string{"Webhook-Id": "m7"},
		Body: []byte(`{"eventType":30000}`), AnswerHeaders: map[string]string{"Server": "x"},
	}
	const shown = `{` + shownAttempt + `,"url":"https://host.example/","headers":{"Webhook-Id":"m7"},"body":"{\"eventType\":30000}",` +
		`"answer_headers":{"Server":"x"}}`
	w.hooks.took()
	w.want(w.do("POST", sub+"/test", ""), 200, shown)
	w.want(w.do("POST", sub+"/dead-letters/7/resend", ""), 200, shown)
	if got := w.hooks.took(); got != "test; resend 7" {
		t.Error(got)
	}
	w.hooks.exchange = gatecast.Exchange{Attempt: gatecast.Attempt{Time: at(5), Outcome: gatecast.Delivered}}
	if body := w.do("POST", sub+"/test", "").body; !strings.Contains(body, `"headers":{},"body":"","answer_headers":{}`) {
		t.Errorf("without anything: %s", body)
	}
}

func TestDeliveriesAreListedInPages(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	w.hooks.log = []gatecast.Attempt{attempt()}
	w.hooks.took()
	w.want(w.read(sub+"/deliveries"), 200, `{"deliveries":[{`+shownAttempt+`}],"next":"17"}`)
	w.read(sub + "/deliveries?outcome=failed&before=17&limit=1000")
	if got := w.hooks.took(); got != `attempts "" "" 100; attempts "failed" "17" 1000` {
		t.Error(got)
	}
	w.hooks.log = nil
	w.want(w.read(sub+"/deliveries"), 200, `{"deliveries":[],"next":"17"}`)
	for _, query := range []string{"outcome=lost", "limit=0", "limit=1001", "limit=many"} {
		w.refused(w.read(sub+"/deliveries?"+query), 422, "invalid", "")
	}
}

func TestTheStateOfASubscriptionIsShown(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	w.hooks.state = gatecast.SubscriptionState{
		Status: gatecast.SubscriptionDegraded, Since: at(1), Reason: "connection refused", NextTry: at(9), Position: 7, LagEvents: 3,
		Lag: 1500 * time.Millisecond, Through: at(2), Pending: 2, InFlight: 1, Delivered: 100, Failed: 5, Dead: 1, Lost: 4,
		Recent: gatecast.Recent{Attempts: 10, Succeeded: 9, P50: 1234 * time.Microsecond, P99: time.Second},
		Replay: &gatecast.Replay{ID: "r1", From: 1, To: 5, Position: 3, Sent: 2, Started: at(3)},
	}
	const replay = `{"from":1,"to":5,"id":"r1","position":3,"sent":2,"started":"2026-01-02T03:04:03Z","canceled":false}`
	const state = `"state":{"status":"degraded","since":"2026-01-02T03:04:01Z","reason":"connection refused",` +
		`"next_try":"2026-01-02T03:04:09Z","position":7,"lag_events":3,"lag_seconds":1.5,"complete_through":"2026-01-02T03:04:02Z",` +
		`"pending":2,"in_flight":1,"delivered":100,"failed":5,"dead_letters":1,"lost":4,` +
		`"recent":{"attempts":10,"succeeded":9,"p50_ms":1.23,"p99_ms":1000},"replay":` + replay + `}`
	if body := w.read(sub).body; !strings.Contains(body, state) {
		t.Errorf("got  %s\nwant %s", body, state)
	}
	w.want(w.read(sub+"/replay"), 200, replay)
}

func TestAReplayIsCountedStartedShownAndCanceled(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	w.hooks.extent = gatecast.Extent{Epoch: "e", First: 11, Last: 90}
	w.hooks.since = map[time.Time]gatecast.Seq{at(5): 42, at(6): 60, at(7): 95} // 95: five more since the end was asked for
	w.refused(w.read(sub+"/replay"), 404, "not_found", "")
	for body, want := range map[string]string{
		`{"from":20,"dry_run":true}`:                                                 "count 20 to 90",
		`{"from":"20","to":30,"dry_run":true}`:                                       "count 20 to 30",
		`{"from":"earliest","to":"latest","dry_run":true}`:                           "count 10 to 90",
		`{"from":"2026-01-02T03:04:05Z","to":"2026-01-02T03:04:06Z","dry_run":true}`: "count 42 to 60",
		`{"from":"2026-01-02T03:04:05Z","to":"2026-01-02T03:04:07Z","dry_run":true}`: "count 42 to 90",
		`{"from":"2026-01-02T03:04:07Z","dry_run":true}`:                             "count 90 to 90",
		`{"from":0}`: "replay 0 to 90",
		`{"from":"2026-01-02T03:04:05Z","to":"2026-01-02T12:04:06+09:00","dry_run":false}`: "replay 42 to 60",
	} {
		w.hooks.took()
		a := w.do("POST", sub+"/replay", body)
		if got := w.hooks.took(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		var from, to int
		if _, err := fmt.Sscanf(want, "count %d to %d", &from, &to); err == nil {
			w.want(a, 200, fmt.Sprintf(`{"from":%d,"to":%d,"events":%d,"exact":true}`, from, to, to-from))
		} else {
			fmt.Sscanf(want, "replay %d to %d", &from, &to)
			w.want(a, 202, fmt.Sprintf(`{"from":%d,"to":%d,"id":"r1","position":%d,"sent":0,"started":"2026-01-02T03:04:05Z","canceled":false}`, from, to, from))
		}
	}
	w.do("POST", sub+"/replay", `{"from":20,"to":30}`)
	w.want(w.do("DELETE", sub+"/replay", ""), 200, `{"from":20,"to":30,"id":"r1","position":20,"sent":0,`+
		`"started":"2026-01-02T03:04:05Z","ended":"2026-01-02T03:04:06Z","canceled":true}`)
	w.hooks.took()
	for body, place := range map[string]string{
		`{}`: "/from", `{"from":""}`: "/from", `{"from":null}`: "/from", `{"from":91}`: "/from", `{"from":"soon"}`: "/from",
		`{"from":1,"to":91}`: "/to", `{"from":1,"to":true}`: "/to", `{"from":30,"to":20}`: "/to", `{"from":30,"to":30}`: "/from",
		`{"from":1,"dry_run":"yes"}`: "/dry_run", `{"from":1,"until":2}`: "/until",
	} {
		w.refused(w.do("POST", sub+"/replay", body), 422, "invalid", place)
	}
	if got := w.hooks.took(); got != "" {
		t.Errorf("refused, but asked for: %s", got)
	}
}

func TestDeadLettersAreListedShownAndDiscarded(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	letter := func(seq gatecast.Seq, data string) gatecast.DeadLetter {
		return gatecast.DeadLetter{
			Seq: seq, First: at(1), Tries: 8, SetAside: at(9), Last: gatecast.Exchange{Attempt: attempt()},
			Event: gatecast.Event{Seq: seq, ID: fmt.Sprintf("m%d", seq), Kind: gatecast.Alarm, Device: "SPSP-1", Data: []byte(data)},
		}
	}
	w.hooks.dead = []gatecast.DeadLetter{letter(3, `{"b":1,"a":"<"}`), letter(5, ""), letter(8, "{}")}
	shown := func(seq int) string {
		return fmt.Sprintf(`"seq":%d,"message_id":"m%[1]d","kind":30100,"device":"SPSP-1","first":"2026-01-02T03:04:01Z","tries":8,`+
			`"set_aside":"2026-01-02T03:04:09Z","status":500,"error":"the endpoint answered 500"`, seq)
	}
	dead := sub + "/dead-letters"
	w.want(w.read(dead), 200, `{"dead_letters":[{`+shown(3)+`},{`+shown(5)+`},{`+shown(8)+`}]}`)
	w.want(w.read(dead+"?limit=2"), 200, `{"dead_letters":[{`+shown(3)+`},{`+shown(5)+`}],"next":5}`)
	w.want(w.read(dead+"?limit=2&after=5"), 200, `{"dead_letters":[{`+shown(8)+`}]}`)
	const last = `,"last":{` + shownAttempt + `,"url":"","headers":{},"body":"","answer_headers":{}}`
	w.want(w.read(dead+"/3"), 200, `{`+shown(3)+last+`,"event":{"data":{"b":1,"a":"<"}}}`)
	w.want(w.read(dead+"/5"), 200, `{`+shown(5)+last+`,"event":{"data":{}}}`)
	w.want(w.do("DELETE", dead+"/5", ""), 204, "")
	w.want(w.read(dead+"?after=3"), 200, `{"dead_letters":[{`+shown(8)+`}]}`)
	w.refused(w.do("DELETE", dead+"/5", ""), 404, "not_found", "")
	w.refused(w.read(dead+"/5"), 404, "not_found", "")
	w.refused(w.read(dead+"/first"), 422, "invalid", "")
	w.refused(w.as(auth.Read, "GET", dead+"?limit=1001", ""), 422, "invalid", "")
}
