package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// receiver is a handler that records what it was given and does as told.
type receiver struct {
	got    []string
	result map[string]error // by messageId
	failed []int
	why    error // of the last failure
}

func (r *receiver) handler(t *testing.T, maxBody int64) http.Handler {
	receive := func(ctx context.Context, m Message) error {
		if ctx.Err() != nil {
			t.Error("called after the sender hung up")
		}
		r.got = append(r.got, m.MessageID)
		return r.result[m.MessageID]
	}
	return Handler(mustVerifier(t, vectorSecret), receive, HandlerOptions{
		MaxBody: maxBody,
		Failed:  func(_ *http.Request, status int, err error) { r.failed, r.why = append(r.failed, status), err },
	})
}

// post sends a signed request and returns status and text of the answer.
func post(t *testing.T, h http.Handler, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook", strings.NewReader(body))
	req.Header = signed(mustSigner(t, []string{vectorSecret}, nil), "m", time.Now(), body)
	if change != nil {
		change(req)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func batch(ids ...string) string {
	events := make([]*gatecast.Event, len(ids))
	for i, id := range ids {
		events[i] = &gatecast.Event{ID: id, Kind: gatecast.Record}
	}
	return string(AppendBatch(nil, events, Form{}))
}

func TestTheHandlerAnswers200OnlyWhenEverythingWasReceived(t *testing.T) {
	broken, unfit := errors.New("database db1 is away"), Refuse(errors.New("no such door"))
	for name, c := range map[string]struct {
		body   string
		result map[string]error
		status int
		got    []string
		text   string
	}{
		"one message":              {string(AppendBody(nil, sample(), Form{})), nil, 200, []string{"record:SPSP-1:1364591"}, ""},
		"a batch":                  {batch("a", "b", "c"), nil, 200, []string{"a", "b", "c"}, ""},
		"an empty batch":           {batch(), nil, 200, nil, ""},
		"one fails":                {batch("a", "b", "c"), map[string]error{"b": broken}, 500, []string{"a", "b"}, "the message could not be handled\n"},
		"one is refused":           {batch("a", "b", "c"), map[string]error{"b": unfit}, 422, []string{"a", "b"}, "no such door\n"},
		"a refusal is wrapped":     {batch("a"), map[string]error{"a": errors.Join(unfit)}, 422, []string{"a"}, "no such door\n"},
		"a failure before refusal": {batch("a", "b"), map[string]error{"a": broken, "b": unfit}, 500, []string{"a"}, "the message could not be handled\n"},
		"signed, but no message":   {`{"hello":1}`, nil, 400, nil, "/eventType: the message has no usable eventType\n"},
		"signed, but no JSON":      {`hello`, nil, 400, nil, "the body is not valid JSON\n"},
	} {
		r := &receiver{result: c.result}
		status, text := post(t, r.handler(t, 0), c.body, nil)
		if status != c.status || text != c.text || !slices.Equal(r.got, c.got) {
			t.Errorf("%s: %d %q after %q, want %d %q after %q", name, status, text, r.got, c.status, c.text, c.got)
		}
		if failed := c.status != 200; failed != (len(r.failed) == 1) || failed && (r.failed[0] != c.status || r.why == nil) {
			t.Errorf("%s: told of %v, %v", name, r.failed, r.why)
		}
	}
}

func TestTheHandlerPassesNothingOnThatIsNotSigned(t *testing.T) {
	for name, c := range map[string]struct {
		maxBody int64
		change  func(*http.Request)
		status  int
	}{
		"no signature":  {0, func(r *http.Request) { r.Header.Del("webhook-signature") }, 401},
		"an old one":    {0, func(r *http.Request) { r.Header = vector() }, 401},
		"other body":    {0, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[]")) }, 401},
		"body cut off":  {0, func(r *http.Request) { r.Body = io.NopCloser(brokenBody{}) }, 400},
		"a GET":         {0, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"one byte more": {int64(len(batch("a"))) - 1, nil, 413},
		"just fits":     {int64(len(batch("a"))), nil, 200},
		"8 MiB fit": {0, func(r *http.Request) {
			body := batch(strings.Repeat("x", DefaultMaxBody-len(batch(""))))
			r.Header = signed(mustSigner(t, []string{vectorSecret}, nil), "m", time.Now(), body)
			r.Body = io.NopCloser(strings.NewReader(body))
		}, 200},
		"more than 8 MiB": {0, func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", DefaultMaxBody+1)))
		}, 413},
	} {
		r := new(receiver)
		status, text := post(t, r.handler(t, c.maxBody), batch("a"), c.change)
		if status != c.status || (len(r.got) == 0) != (status != 200) || (text == "") != (status == 200) {
			t.Errorf("%s: %d %.80q, passed on %d messages; want %d", name, status, text, len(r.got), c.status)
		}
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTheHandlerSaysHowToCallIt(t *testing.T) {
	rec := httptest.NewRecorder()
	new(receiver).handler(t, 0).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", nil))
	if got := rec.Header().Get("Allow"); rec.Code != 405 || got != "POST" {
		t.Errorf("%d with Allow: %q", rec.Code, got)
	}
}

func TestRefuseKeepsTheErrorAndNilStaysNil(t *testing.T) {
	if Refuse(nil) != nil {
		t.Error("nil is refused")
	}
	if err := Refuse(io.EOF); !errors.Is(err, io.EOF) || err.Error() != io.EOF.Error() {
		t.Errorf("%v is not %v", err, io.EOF)
	}
}
