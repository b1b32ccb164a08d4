package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/google/go-cmp/cmp"
)

func answer(t *testing.T, err error) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	problem.Write(w, httptest.NewRequest("GET", "/", nil), err)
	body, readErr := io.ReadAll(w.Result().Body)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return w.Result(), string(body)
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	want := map[gatecast.Code]int{
		gatecast.Internal: 500, gatecast.Invalid: 422, gatecast.Malformed: 400, gatecast.TooLarge: 413,
		gatecast.Unauthenticated: 401, gatecast.Forbidden: 403, gatecast.NotFound: 404,
		gatecast.Conflict: 409, gatecast.Gap: 410, gatecast.TooMany: 429, gatecast.Unavailable: 503,
		gatecast.Unavailable + 1: 500, -1: 500,
	}
	for code, status := range want {
		if got := problem.Status(code); got != status {
			t.Errorf("Status(%v) = %d, want %d", code, got, status)
		}
	}
}

func TestDocumentNamesPlaceAndRemedy(t *testing.T) {
	err := gatecast.Errorf(gatecast.Invalid, "no such kind")
	err.Remedy = "use record or alarm"
	err.At = &gatecast.Place{Index: 0, Path: "/0/kind", Found: `"door"`, Expected: "record or alarm"}
	res, body := answer(t, fmt.Errorf("decode batch: %w", err))
	want := `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"no such kind",` +
		`"code":"invalid","remedy":"use record or alarm","index":0,"path":"/0/kind","found":"\"door\"","expected":"record or alarm"}` + "\n"
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	if got := res.Header.Get("Content-Type"); got != problem.ContentType {
		t.Errorf("Content-Type = %q", got)
	}
}

func TestPlaceOutsideABatchHasNoIndex(t *testing.T) {
	err := gatecast.Errorf(gatecast.Invalid, "empty")
	err.At = &gatecast.Place{Index: -1, Path: "/name"}
	_, body := answer(t, err)
	var doc map[string]any
	if jsonErr := json.Unmarshal([]byte(body), &doc); jsonErr != nil {
		t.Fatal(jsonErr)
	}
	if _, there := doc["index"]; there || doc["path"] != "/name" {
		t.Errorf("document = %v", doc)
	}
}

func TestInternalErrorsSayNothingOfTheirCause(t *testing.T) {
	cause := errors.New("open /data/secret.key: permission denied")
	coded := gatecast.Errorf(gatecast.Internal, "cannot read /data/secret.key")
	coded.Cause, coded.Remedy = cause, "chmod /data/secret.key"
	coded.At = &gatecast.Place{Path: "/data/secret.key"}
	unavailable := &gatecast.Error{Code: gatecast.Unavailable, Message: "not ready", Cause: cause}
	for _, err := range []error{cause, coded, unavailable, nil} {
		res, body := answer(t, err)
		if strings.Contains(body, "secret.key") {
			t.Errorf("%v is shown to the caller: %s", err, body)
		}
		if res.StatusCode < 500 {
			t.Errorf("status = %d", res.StatusCode)
		}
	}
}

func TestWaitingCallersAreToldHowLong(t *testing.T) {
	cases := []struct {
		code  gatecast.Code
		retry time.Duration
		want  string
	}{
		{gatecast.Unavailable, 0, "1"},
		{gatecast.TooMany, 0, "1"},
		{gatecast.TooMany, 1500 * time.Millisecond, "2"},
		{gatecast.Unavailable, time.Minute, "60"},
		{gatecast.Invalid, 0, ""},
	}
	for _, c := range cases {
		res, _ := answer(t, &gatecast.Error{Code: c.code, Retry: c.retry})
		if got := res.Header.Get("Retry-After"); got != c.want {
			t.Errorf("Retry-After of %v after %v = %q, want %q", c.code, c.retry, got, c.want)
		}
	}
}

func TestUnauthenticatedNamesTheSchemeUnlessAlreadyNamed(t *testing.T) {
	err := gatecast.Errorf(gatecast.Unauthenticated, "no token")
	res, _ := answer(t, err)
	if got := res.Header.Get("WWW-Authenticate"); got != `Bearer realm="gatecast"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	w := httptest.NewRecorder()
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	problem.Write(w, httptest.NewRequest("GET", "/", nil), err)
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}

func TestErrorsOfTheStandardLibraryKeepTheirMeaning(t *testing.T) {
	for err, want := range map[error]int{
		error(&http.MaxBytesError{Limit: 10}): 413,
		context.DeadlineExceeded:              503,
		context.Canceled:                      503,
		io.ErrUnexpectedEOF:                   500,
	} {
		if res, _ := answer(t, fmt.Errorf("read: %w", err)); res.StatusCode != want {
			t.Errorf("status of %v = %d, want %d", err, res.StatusCode, want)
		}
	}
}

func TestHeadGetsNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	problem.Write(w, httptest.NewRequest("HEAD", "/", nil), gatecast.Errorf(gatecast.NotFound, "nothing here"))
	if w.Code != 404 || w.Body.Len() != 0 {
		t.Errorf("status %d, body %q", w.Code, w.Body)
	}
}
