package api_test

import (
	"strings"
	"testing"

	"github.com/gatecast/gatecast/internal/auth"
)

const mqttUsersPath = "/api/v1/mqtt/users"

func TestAUserForMQTTIsShownItsPasswordOnce(t *testing.T) {
	w := newWorld(t)
	const shown = `{"name":"gate","devices":["SPS-1","SPS-2*"],"created":"2026-01-02T03:04:05Z","rotated":"2026-01-02T03:04:05Z","online":4}`
	password := func() string {
		t.Helper()
		u, ok := w.reg.MQTTUser("gate")
		if !ok {
			t.Fatal("no such user")
		}
		return string(u.Password[:])
	}
	made := func(a answer, status int) {
		t.Helper()
		plain, _ := a.json(t)["password"].(string)
		hash := auth.HashToken(plain)
		if a.status != status || string(hash[:]) != password() || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.status, a.body)
		}
		w.want(answer{a.status, a.header, strings.Replace(a.body, `,"password":"`+plain+`"`, "", 1)}, status, shown)
		if log := w.log.String(); strings.Contains(log, plain) || !strings.Contains(log, `"user":"gate"`) {
			t.Errorf("the log is %s", log)
		}
	}
	a := w.do("POST", mqttUsersPath, `{"name":"gate","devices":["SPS-1","SPS-2*"]}`)
	made(a, 201)
	user := a.header.Get("Location")
	if user != mqttUsersPath+"/gate" {
		t.Errorf("Location = %q", user)
	}
	w.want(w.read(user), 200, shown)
	w.want(w.read(mqttUsersPath), 200, `{"users":[`+shown+`]}`)
	first := password()
	made(w.do("POST", user+"/rotate", ""), 200)
	if password() == first {
		t.Error("the password is the same as before")
	}
	w.want(w.do("PATCH", user, `{"devices":["*"]}`), 200, strings.Replace(shown, `"SPS-1","SPS-2*"`, `"*"`, 1))
	w.want(w.do("DELETE", user, ""), 204, "")
	w.refused(w.do("GET", user, ""), 404, "not_found", "")
	w.want(w.do("GET", mqttUsersPath, ""), 200, `{"users":[]}`)
}

func TestWhatCannotBeAUserForMQTTIsRefused(t *testing.T) {
	w := newWorld(t)
	w.do("POST", mqttUsersPath, `{"name":"gate","devices":["a"]}`)
	w.refused(w.do("POST", mqttUsersPath, `{"name":"gate","devices":["a"]}`), 409, "conflict", "/name")
	w.refused(w.do("POST", mqttUsersPath, `{"name":"a b","devices":["a"]}`), 422, "invalid", "/name")
	w.refused(w.do("POST", mqttUsersPath, `{"name":"yard","devices":[]}`), 422, "invalid", "/devices")
	w.refused(w.do("POST", mqttUsersPath, `{"name":"yard"}`), 422, "invalid", "/devices")
	w.refused(w.do("PATCH", mqttUsersPath+"/gate", `{"devices":["a","a/b"]}`), 422, "invalid", "/devices/1")
	for _, path := range []string{"/yard", "/" + strings.Repeat("x", 500)} {
		w.refused(w.do("PATCH", mqttUsersPath+path, `{"devices":["a"]}`), 404, "not_found", "")
		w.refused(w.do("POST", mqttUsersPath+path+"/rotate", ""), 404, "not_found", "")
		w.refused(w.do("DELETE", mqttUsersPath+path, ""), 404, "not_found", "")
	}
	for _, scope := range []auth.Scope{auth.Read, auth.Ingest} {
		w.refused(w.as(scope, "POST", mqttUsersPath, `{"name":"yard","devices":["a"]}`), 403, "forbidden", "")
		w.refused(w.as(scope, "POST", mqttUsersPath+"/gate/rotate", ""), 403, "forbidden", "")
		w.refused(w.as(scope, "PATCH", mqttUsersPath+"/gate", `{"devices":["*"]}`), 403, "forbidden", "")
		w.refused(w.as(scope, "DELETE", mqttUsersPath+"/gate", ""), 403, "forbidden", "")
	}
	w.refused(w.as(auth.Ingest, "GET", mqttUsersPath, ""), 403, "forbidden", "")
}
