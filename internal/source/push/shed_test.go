package push

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func crowded() error {
	e := gatecast.Errorf(gatecast.Unavailable, "too much waits")
	e.Retry = 3 * time.Second
	return e
}

// counted is a body that tells how much of it was read.
type counted struct {
	io.Reader
	n int
}

// Read counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestAJournalThatTakesNothingIsToldAtTheDoor(t *testing.T) {
	j := &journal{full: crowded()}
	h := New(j, Options{})
	body := &counted{Reader: strings.NewReader(strings.Repeat("this is no JSON ", 1<<16))}
	r := httptest.NewRequest(http.MethodPost, "/", body)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if refusal(t, w, 503); w.Header().Get("Retry-After") != "3" {
		t.Errorf("headers %v", w.Header())
	}
	if body.n != 1<<20 {
		t.Errorf("%d bytes were read; a sender that still sends hears no answer", body.n)
	}
	if j.calls != 0 {
		t.Error("the journal was asked to store")
	}
	if got := testutil.ToFloat64(h.metrics.shed.WithLabelValues("door")); got != 1 {
		t.Errorf("counted %v times", got)
	}
}

func TestABodyThatWaitsToBeAskedForIsNotAskedForInVain(t *testing.T) {
	h := New(&journal{full: crowded()}, Options{})
	body := &counted{Reader: strings.NewReader(event("a"))}
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.Header.Set("Expect", "100-continue")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if refusal(t, w, 503); body.n != 0 {
		t.Errorf("%d bytes were read", body.n)
	}
}

func TestWhatIsWrongWithTheHeadersIsToldFirst(t *testing.T) {
	h := New(&journal{full: crowded()}, Options{})
	refusal(t, post(h, event("a"), "text/plain"), 415)
}

func TestShedRequestsAreCountedByHowFarTheyCame(t *testing.T) {
	j := &journal{}
	h := New(j, Options{Decode: senselink.Options{MaxBody: 1 << 10}, MaxInflight: 1 << 10})
	h.budget.take(1 << 10)
	refusal(t, post(h, event("a"), ""), 503)
	h.budget.give(1 << 10)
	j.fail = crowded()
	refusal(t, post(h, event("a"), ""), 503)
	j.fail = gatecast.Errorf(gatecast.TooLarge, "too large")
	refusal(t, post(h, event("a"), ""), 413)
	j.fail = nil
	post(h, event("a"), "")
	for at, want := range map[string]float64{"door": 0, "body": 1, "journal": 1} {
		if got := testutil.ToFloat64(h.metrics.shed.WithLabelValues(at)); got != want {
			t.Errorf("%v at the %s, want %v", got, at, want)
		}
	}
}

func TestAFloodOfRefusalsIsLoggedOnceASecond(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := New(&journal{full: crowded()}, Options{Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 100 {
		post(h, event("a"), "")
	}
	now = now.Add(time.Second)
	post(h, event("a"), "")
	if got := strings.Count(log.String(), "events refused"); got != 2 || !strings.Contains(log.String(), "not_logged=99") {
		t.Errorf("%d lines: %s", got, &log)
	}
}
