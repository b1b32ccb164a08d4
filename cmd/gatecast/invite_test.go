package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/senselink"
)

func TestTheDemosCurlLineSendsAnEventThatIsAccepted(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no POSIX shell here")
	}
	// A function in curl's place prints what curl would have been given.
	script := "curl() { printf '%s\\n' \"$@\"; }\n" + curlLine("http://127.0.0.1:9000", "gct_secret")
	out, err := exec.Command(sh, "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := []string{
		"-sS", "http://127.0.0.1:9000/api/v1/events", "-H", "Authorization: Bearer gct_secret",
		"-H", "Content-Type: application/json", "-d",
	}
	if got := strings.Join(args[:len(args)-1], "|"); got != strings.Join(want, "|") {
		t.Errorf("curl is given %s", got)
	}
	now := time.Now()
	body := strings.NewReader(args[len(args)-1])
	events, err := senselink.NewDecoder(senselink.Options{}).Decode(body, senselink.JSON, now)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, error %v", len(events), err)
	}
	if age := now.Sub(events[0].At); age < 0 || age > time.Minute {
		t.Errorf("the event happened %v ago", age)
	}
}

func TestTheDemoNamesTheProgramAsItWasStarted(t *testing.T) {
	for arg0, want := range map[string]string{
		"gatecast":                           "gatecast",
		"./gatecast":                         "./gatecast",
		"/tmp/go-build123/b001/exe/gatecast": "go run ./cmd/gatecast",
		"/root/.cache/go-build/ab/abc-d/gatecast": "go run ./cmd/gatecast",
	} {
		if got := program(arg0); got != want {
			t.Errorf("started as %s: %s, want %s", arg0, got, want)
		}
	}
}
