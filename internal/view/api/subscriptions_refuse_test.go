package api_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gatecast/gatecast/internal/auth"
)

func TestARefusedSubscriptionNamesThePlaceAndRepeatsNoSecret(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(`{"url":"https://host.example/"}`)
	const url = `"url":"https://host.example/",`
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ body, place string }{
		{`{}`, "/url"},
		{`{"url":null}`, "/url"},
		{`{"url":"ftp://host.example/"}`, "/url"},
		{`{"url":7}`, "/url"},
		{`{` + url + `"uurl":"very-secret"}`, "/uurl"},
		{`{` + url + `"secret":"very-secret"}`, "/secret"},
		{`{` + url + `"secret":["very-secret"]}`, "/secret"},
		{`{` + url + `"app_key":"0000000000000000"}`, "/app_key"},
		{`{` + url + `"description":"` + long + `"}`, "/description"},
		{`{` + url + `"kinds":[30000,30001]}`, "/kinds/1"},
		{`{` + url + `"kinds":["record"]}`, "/kinds/0"},
		{`{` + url + `"devices":[""]}`, "/devices/0"},
		{`{` + url + `"devices":"SPSP"}`, "/devices"},
		{`{` + url + `"groups":[1e30]}`, "/groups/0"},
		{`{` + url + `"order":"random"}`, "/order"},
		{`{` + url + `"concurrency":300}`, "/concurrency"},
		{`{` + url + `"rate":-1}`, "/rate"},
		{`{` + url + `"timeout":"soon"}`, "/timeout"},
		{`{` + url + `"timeout":"1h"}`, "/timeout"},
		{`{` + url + `"success":200}`, "/success"},
		{`{` + url + `"success":"3xx"}`, "/success"},
		{`{` + url + `"event_type":"float"}`, "/event_type"},
		{`{` + url + `"own_fields":"yes"}`, "/own_fields"},
		{`{` + url + `"headers":{"X-A":7}}`, "/headers/X-A"},
		{`{` + url + `"headers":{"X-A":"very-secret\n"}}`, "/headers/X-A"},
		{`{` + url + `"headers":{"Webhook-Id":"very-secret"}}`, "/headers/Webhook-Id"},
		{`{` + url + `"headers":"very-secret"}`, "/headers"},
		{`{` + url + `"auth":{"password":"very-secret"}}`, "/auth/username"},
		{`{` + url + `"auth":{"bearer":"very-secret or not"}}`, "/auth/bearer"},
		{`{` + url + `"auth":{"token":"very-secret"}}`, "/auth/token"},
		{`{` + url + `"auth":"very-secret"}`, "/auth"},
		{`{` + url + `"batch":{"max":1001}}`, "/batch/max"},
		{`{` + url + `"batch":{"max":1.5}}`, "/batch/max"},
		{`{` + url + `"batch":{"max":2,"wait":"soon"}}`, "/batch/wait"},
		{`{` + url + `"batch":{"max":2,"wait":"2m"}}`, "/batch/wait"},
		{`{` + url + `"batch":{"min":2}}`, "/batch/min"},
	} {
		routes := []struct{ method, path string }{{"POST", subsPath}, {"PATCH", sub}}
		if c.body == `{}` || c.place == "/secret" || c.place == "/app_key" {
			routes = routes[:1]
		}
		for _, r := range routes {
			a := w.do(r.method, r.path, c.body)
			w.refused(a, 422, "invalid", c.place)
			if strings.Contains(a.body, "very-secret") {
				t.Errorf("the answer repeats a secret: %s", a.body)
			}
			if t.Failed() {
				t.Fatalf("the case: %s %s", r.method, c.body)
			}
		}
	}
	for _, body := range []string{`{"app_key":"x"}`, `{"start":1}`, `{"secret":"very-secret"}`, `{"id":"x"}`} {
		w.refused(w.do("PATCH", sub, body), 422, "invalid", "/"+regexp.MustCompile(`\w+`).FindString(body))
	}
	if strings.Contains(w.log.String(), "very-secret") {
		t.Error("the log holds a secret")
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	w := newWorld(t)
	const sub = subsPath + "/sub_0000000000000000"
	for _, route := range []string{
		"GET " + sub, "PATCH " + sub, "DELETE " + sub, "GET " + sub + "/secret", "POST " + sub + "/rotate", "POST " + sub + "/pause",
		"POST " + sub + "/resume", "POST " + sub + "/test", "POST " + sub + "/replay", "GET " + sub + "/replay", "DELETE " + sub + "/replay",
		"GET " + sub + "/deliveries", "GET " + sub + "/dead-letters", "GET " + sub + "/dead-letters/7",
		"POST " + sub + "/dead-letters/7/resend", "DELETE " + sub + "/dead-letters/7", "GET " + subsPath + "?app=nobody",
	} {
		method, path, _ := strings.Cut(route, " ")
		body := ""
		if method == "PATCH" {
			body = `{"rate":1}`
		} else if path == sub+"/replay" && method == "POST" {
			body = `{"from":1}`
		}
		w.refused(w.as(auth.Admin, method, path, body), 404, "not_found", "")
		if t.Failed() {
			t.Fatal(route)
		}
	}
	if w.hooks.took() != "" {
		t.Error("something was sent to nobody")
	}
}

func TestASubscriptionsSecretsNeverReachTheLog(t *testing.T) {
	w := newWorld(t)
	sub := w.subscribe(everything + `,"secret":"` + whsec + `"}`)
	w.do("PATCH", sub, `{"headers":{"X-Key":"very secret too"},"auth":{"bearer":"very-secret"}}`)
	w.do("GET", sub+"/secret", "")
	w.do("POST", sub+"/rotate", "")
	w.do("POST", sub+"/pause", "")
	w.do("POST", sub+"/resume", "")
	w.do("POST", sub+"/test", "")
	w.do("DELETE", sub, "")
	log := w.log.String()
	for _, secret := range []string{"whsec_", "whsk_", "very"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
	id := sub[strings.LastIndexByte(sub, '/')+1:]
	for _, what := range []string{"created", "changed", "secret revealed", "secret rotated", "paused", "resumed", "tested", "deleted"} {
		line := regexp.MustCompile(`(?m)^.*"msg":"subscription ` + what + `".*$`).FindString(log)
		if !strings.Contains(line, `"by":"the admin"`) || !strings.Contains(line, id) {
			t.Errorf("%s: the log says %q", what, line)
		}
	}
}
