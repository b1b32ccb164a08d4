package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatecast/gatecast/client"
	"github.com/gatecast/gatecast/internal/app"
)

// invite says how to take part in the demo: each paragraph can be pasted as it
// stands.
func invite(t terminal, info app.Info, cred keyAndSecret) error {
	address, err := client.SignedURL(info.URL, cred.Key, cred.Secret, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, `gatecast demo: a simulated site on %[1]s (data in %[5]s)

Connect any SenseLink client, or websocat; this URL does not expire:
  %[2]s

Send an event of your own:
  %[3]s

Watch in another terminal:
  %[7]s listen --server %[1]s --app %[4]s --token %[6]s

Ctrl-C ends it. What happens now:

`, info.URL, address, curlLine(info.URL, info.AdminToken), cred.Key, info.DataDir, info.AdminToken, program(os.Args[0]))
	return err
}

// program is how whoever started this program would start it again. What "go
// run" built lies in a directory that nobody should have to type.
func program(arg0 string) string {
	if strings.Contains(arg0, "go-build") {
		return "go run ./cmd/gatecast"
	}
	return arg0
}

// curlLine is a command for any POSIX shell that sends one event.
func curlLine(base, token string) string {
	event := `{"eventType":30000,"data":{"userId":1,"name":"Ada Lovelace","type":1,"direction":0,"groups":[],` +
		`"deviceName":"Front door","sn":"SPSP-00000000000000000000000000000001","signTime":'$(date +%s)',` +
		`"signTimeZone":"+09:00","entryMode":1,"abnormalType":0}}`
	return strings.Join([]string{
		"curl -sS " + base + "/api/v1/events",
		"-H 'Authorization: Bearer " + token + "'",
		"-H 'Content-Type: application/json'",
		"-d '" + event + "'",
	}, " \\\n    ")
}
