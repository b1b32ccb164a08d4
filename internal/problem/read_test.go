package problem

import (
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for code := gatecast.Invalid; code <= gatecast.Unavailable; code++ {
		want := &gatecast.Error{
			Code: code, Message: "this is wrong", Remedy: "do that",
			At: &gatecast.Place{Index: 3, Path: "/data/id", Found: `"x"`, Expected: "a number"},
		}
		if code == gatecast.TooMany || code == gatecast.Unavailable {
			want.Retry = 7 * time.Second
		}
		w := httptest.NewRecorder()
		Write(w, nil, want)
		res := w.Result()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, known := Read(res, body)
		if diff := cmp.Diff(want, got); diff != "" || !known {
			t.Errorf("%v (a problem: %v): %s", code, known, diff)
		}
	}
}

func TestAnAnswerOfSomebodyElseIsReadByItsStatus(t *testing.T) {
	for status, want := range map[int]gatecast.Code{
		401: gatecast.Unauthenticated, 403: gatecast.Forbidden, 404: gatecast.NotFound, 405: gatecast.NotFound,
		407: gatecast.Unauthenticated, 408: gatecast.Unavailable, 409: gatecast.Conflict, 413: gatecast.TooLarge,
		418: gatecast.Invalid, 429: gatecast.TooMany, 500: gatecast.Unavailable, 502: gatecast.Unavailable,
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		got, known := Read(w.Result(), []byte("<html>"))
		if got.Code != want || known || got.Remedy != "" || got.At != nil {
			t.Errorf("status %d: %+v (a problem: %v), want the code %v alone", status, got, known, want)
		}
	}
}
