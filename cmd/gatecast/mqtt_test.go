package main

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast/internal/auth"
)

func TestAUserForMQTTIsMadeShownChangedAndDeleted(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	if _, _, errs := s.run("mqtt", "user", "list"); !strings.Contains(errs, "gatecast mqtt user add NAME --device SN") {
		t.Errorf("without users: %s", errs)
	}
	password := regexp.MustCompile(`(?m)^password +([0-9a-f]{32})$`)
	is := func(out string) {
		t.Helper()
		found := password.FindStringSubmatch(out)
		if u, ok := s.reg.MQTTUser("gate"); !ok || found == nil || u.Password != auth.HashToken(found[1]) {
			t.Errorf("this is not the password: %s", out)
		}
	}
	status, out, errs := s.run("mqtt", "user", "add", "gate", "--device", "SPS-1", "--device", "SPS-2*")
	if is(out); status != 0 || !strings.Contains(out, "devices      SPS-1, SPS-2*\n") || !strings.Contains(errs, "Keep the password now") {
		t.Errorf("add: status %d, %s%s", status, out, errs)
	}
	status, out, errs = s.run("mqtt", "user", "show", "gate")
	if status != 0 || !strings.Contains(out, "online       2\n") || password.MatchString(out) || errs != "" {
		t.Errorf("show: status %d, %s%s", status, out, errs)
	}
	_, out, _ = s.run("mqtt", "user", "rotate", "gate")
	is(out)
	status, _, _ = s.run("mqtt", "user", "update", "gate", "--all")
	if u, _ := s.reg.MQTTUser("gate"); status != 0 || !cmp.Equal(u.Devices, []string{"*"}) {
		t.Errorf("update: status %d, %v", status, u.Devices)
	}
	if _, out, _ := s.run("mqtt", "user", "show", "gate", "--json"); !strings.Contains(out, `"devices": [`) {
		t.Errorf("as JSON: %s", out)
	}
	s.run("mqtt", "user", "add", "yard", "--device", "a", "--device", "b", "--device", "c", "--device", "d", "--device", "e")
	_, out, _ = s.run("mqtt", "user", "list")
	if !regexp.MustCompile(`(?m)^gate +2 .* \*$`).MatchString(out) || !strings.Contains(out, "a, b, c and 2 more\n") {
		t.Errorf("list: %s", out)
	}
	if status, _, _ := s.run("mqtt", "user", "delete", "gate"); status != 0 {
		t.Errorf("delete: status %d", status)
	}
	if status, _, errs := s.run("mqtt", "user", "show", "gate"); status != exitNotFound || !strings.Contains(errs, "gatecast mqtt user list") {
		t.Errorf("show of none: status %d, %s", status, errs)
	}
}

func TestARefusalOfAUserForMQTTNamesTheFlag(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	s.run("mqtt", "user", "add", "gate", "--all")
	for _, v := range []struct {
		args, want string
		status     int
	}{
		{"add a.b --all", "NAME: this cannot be the name of a user", exitFailed},
		{"add gate --all", "NAME: there is another user for MQTT", exitFailed},
		{"add yard --device a/b", "--device: this cannot be a device", exitFailed},
		{"add yard", "--device SN, or --all", exitUsage},
		{"update gate --all --device a", "--all is every device", exitUsage},
		{"add", "", exitUsage},
	} {
		status, out, errs := s.run(append([]string{"mqtt", "user"}, strings.Fields(v.args)...)...)
		if status != v.status || !strings.Contains(errs, v.want) || out != "" {
			t.Errorf("%s: status %d, %s%s, want %d, %s", v.args, status, out, errs, v.status, v.want)
		}
	}
}
