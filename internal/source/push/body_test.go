package push

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/senselink"
)

// TestALargeBodyThatStopsIsSentAwaySoon: what it holds is memory that others
// could use.
func TestALargeBodyThatStopsIsSentAwaySoon(t *testing.T) {
	for name, test := range map[string]struct {
		sent  int           // then nothing more
		after time.Duration // until the answer
		says  string
	}{
		"a small one has all its time": {100 << 10, 30 * time.Second, "ingest.read_timeout"},
		"a large one has not":          {512 << 10, paceTime, "stopped arriving"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(&journal{}, Options{})
				conn := serve(t, h)
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat(" ", test.sent))
				start := time.Now()
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(answer.Body)
				if took := time.Since(start); took != test.after || answer.StatusCode != 503 || !strings.Contains(string(body), test.says) {
					t.Errorf("after %v: %d %s", took, answer.StatusCode, body)
				}
				if h.budget.used != 0 {
					t.Errorf("%d bytes still reserved", h.budget.used)
				}
				time.Sleep(time.Second) // simulated: net/http lingers before it closes
			})
		})
	}
}

func TestALargeBodyThatGoesOnSlowlyIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "[" + strings.Repeat(" ", 600<<10) + event("a") + "]"
		h := New(&journal{}, Options{Decode: senselink.Options{MaxBody: 1 << 20}})
		conn := serve(t, h)
		answers := bufio.NewReader(conn)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
		for rest := body; rest != ""; {
			n := min(len(rest), 80<<10)
			_, _ = io.WriteString(conn, rest[:n])
			rest = rest[n:]
			time.Sleep(3 * time.Second)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != 200 {
			text, _ := io.ReadAll(answer.Body)
			t.Errorf("%d %s", answer.StatusCode, text)
		}
	})
}
