package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatecast/gatecast/internal/bench/receiver"
)

// nobody is an endpoint that must never be connected to.
func nobody(t *testing.T) (port string, connections func() int) {
	t.Helper()
	e, err := receiver.Silent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	_, port, _ = strings.Cut(strings.TrimSuffix(strings.TrimPrefix(e.URL(), "http://"), "/"), ":")
	return port, e.Connections
}

// TestNoAddressOfOursIsConnectedToUnlessAllowed writes the address of this
// machine in all the ways in which somebody could hide it, and posts events. A
// server whose settings nobody has touched refuses the subscription or never
// connects.
func TestNoAddressOfOursIsConnectedToUnlessAllowed(t *testing.T) {
	port, connections := nobody(t)
	s := start(t, t.TempDir(), "--hooks.retry_min=20ms", "--hooks.retry_max=100ms")
	accepted := 0
	for i, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0.0.0.0", "0",
		"localhost", "localhost.", "LOCALHOST", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
		"[64:ff9b::7f00:1]", "[::127.0.0.1]", "127.0.0.1.", "127.255.255.254", "169.254.169.254",
	} {
		url := "http://" + host + ":" + port + "/"
		body := fmt.Appendf(nil, `{"url":%q,"order":"none","timeout":"1s"}`, url)
		status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/subscriptions", "application/json", body)
		if err != nil || status >= 500 {
			t.Fatalf("%s: %d %s (%v)", url, status, answer, err)
		}
		if status != http.StatusCreated {
			continue
		}
		accepted++
		s.postSamples(t, int64(3*i), 3)
		s.untilTried(t, answer)
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections to this machine", n)
	}
	t.Logf("%d of the URLs were accepted as subscriptions and tried", accepted)
}

// TestWhatWasAllowedOnceIsNotConnectedToLater has subscriptions outlive the
// permission that they were made under: names are looked at when they are made,
// addresses whenever one is connected to.
func TestWhatWasAllowedOnceIsNotConnectedToLater(t *testing.T) {
	port, connections := nobody(t)
	data := t.TempDir()
	s := start(t, data, "--hooks.allow=127.0.0.0/8", "--hooks.allow=::1/128")
	var made []string
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0177.0.0.1"} {
		body := fmt.Appendf(nil, `{"url":"http://%s:%s/","timeout":"1s"}`, host, port)
		if status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/subscriptions", "application/json", body); err == nil && status == http.StatusCreated {
			made = append(made, answer)
		}
	}
	if len(made) == 0 {
		t.Fatal("none of them is accepted even where they are allowed")
	}
	s.stop(t)
	s = start(t, data, "--hooks.retry_min=20ms", "--hooks.retry_max=100ms")
	s.postSamples(t, 0, 10)
	for _, answer := range made {
		s.untilTried(t, answer)
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections to this machine", n)
	}
	t.Logf("%d subscriptions", len(made))
}

// untilTried waits until a subscription has failed, and has it tried by hand
// too.
func (s *server) untilTried(t *testing.T, made string) {
	t.Helper()
	var sub struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(made), &sub); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/subscriptions/" + sub.ID
	eventually(t, "an event was posted to "+sub.URL, func(ctx context.Context) bool {
		st, err := s.standing(ctx, &addressee{id: sub.ID})
		return err == nil && st.Failed > 0
	})
	var exchange struct {
		Outcome string `json:"outcome"`
		Error   string `json:"error"`
	}
	if err := s.request(within(t), http.MethodPost, path+"/test", &exchange); err == nil && (exchange.Outcome != "failed" || exchange.Error == "") {
		t.Errorf("a test of %s says %+v", sub.URL, exchange)
	}
	s.must(t, http.MethodDelete, path, nil)
}

// TestARedirectLeadsNowhere has an endpoint that is allowed send requests on to
// one that is not, and to one that is.
func TestARedirectLeadsNowhere(t *testing.T) {
	port, connections := nobody(t)
	r, err := receiver.Listen("127.0.0.2:0", receiver.Options{Inboxes: 5})
	if err != nil {
		missing(t, "this machine has no second loopback address: %v", err)
	}
	t.Cleanup(r.Close)
	s := start(t, t.TempDir(), "--hooks.allow=127.0.0.2/32", "--hooks.retry_min=20ms", "--hooks.retry_max=100ms")
	const elsewhere = 4
	targets := []string{"http://127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "/", "//127.1:" + port, r.URL(elsewhere)}
	for i, status := range []int{301, 302, 307, 308} {
		sub := s.subscribe(t, fmt.Sprint(status), r, i, wants{"success": "2xx"})
		sub.inbox.Behave(receiver.Always(receiver.Answer{Status: status, Location: targets[i]}))
		s.postSamples(t, int64(3*i), 3)
		s.untilStanding(t, sub, "failed", func(st standing) bool { return st.Failed > 0 && strings.Contains(st.Reason, fmt.Sprint(status)) })
	}
	if n, m := connections(), r.Inbox(elsewhere).Books().Requests; n != 0 || m != 0 {
		t.Errorf("redirects were followed to %d and %d connections", n, m)
	}
}
