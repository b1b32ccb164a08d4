// Package problem turns errors into HTTP answers.
//
// It owns the one table from error codes to statuses and the one JSON shape
// that every refused request gets (RFC 9457, application/problem+json). It
// never logs, and it never shows a caller what lies behind an internal error.
// Start at [Write].
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// ContentType is the media type of a problem document (RFC 9457, section 6.1).
const ContentType = "application/problem+json"

// Document is the body of every refused request. Its members are those of RFC
// 9457 and, as extensions, the parts of a [gatecast.Error].
type Document struct {
	Type     string `json:"type" doc:"Always about:blank: code tells problems apart" example:"about:blank"`
	Title    string `json:"title" doc:"The status in words" example:"Unprocessable Entity"`
	Status   int    `json:"status" doc:"The HTTP status" example:"422"`
	Detail   string `json:"detail" doc:"What is wrong, for people"`
	Code     string `json:"code" doc:"What is wrong, for machines" example:"invalid"`
	Remedy   string `json:"remedy,omitempty" doc:"What to do next"`
	Index    *int   `json:"index,omitempty" doc:"Which element of a batch, from 0"`
	Path     string `json:"path,omitempty" doc:"JSON Pointer of the field (RFC 6901)" example:"/name"`
	Found    string `json:"found,omitempty" doc:"What stands at path, shortened"`
	Expected string `json:"expected,omitempty" doc:"What should stand at path"`
}

// Write answers a request with err. Besides the document it sets Retry-After
// on statuses that pass with time, and WWW-Authenticate on 401 unless the
// caller has set a more telling one. It must come before anything else is
// written to w.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	for name, value := range Headers(err) {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
	From(err).Write(w, r)
}

// Write answers a request with the document as it is. It is for refusals that
// have no code, such as 405; all others go through the function [Write].
func (doc Document) Write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	body, jsonErr := json.Marshal(doc)
	if jsonErr != nil { // not possible: a Document holds strings and numbers only
		body = []byte(`{"type":"about:blank","status":500,"code":"internal"}`)
	}
	h.Del("Content-Length")
	h.Set("Content-Type", ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(doc.Status)
	if r == nil || r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // the caller is gone if this fails; there is nobody to tell
	}
}

// Headers returns the header fields that belong to err's status.
func Headers(err error) map[string]string {
	e := normalize(err)
	h := map[string]string{"Cache-Control": "no-store"}
	if e.Code == gatecast.Unauthenticated {
		h["Www-Authenticate"] = `Bearer realm="gatecast"`
	}
	if s := retryAfter(e); s > 0 {
		h["Retry-After"] = strconv.Itoa(s)
	}
	return h
}

// From returns the document that describes err. An error that is no
// [gatecast.Error], or is one with the code Internal, loses its text: it may
// hold paths, addresses or secrets.
func From(err error) Document {
	e := normalize(err)
	status := statusOf(err, e.Code)
	doc := Document{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: e.Message,
		Code:   e.Code.String(),
		Remedy: e.Remedy,
	}
	if e.Code == gatecast.Internal {
		doc.Detail = "gatecast could not do this because of a fault of its own"
		doc.Remedy = "try again; if it stays, the server's log says more"
		return doc
	}
	if at := e.At; at != nil {
		if at.Index >= 0 {
			doc.Index = &at.Index
		}
		doc.Path, doc.Found, doc.Expected = at.Path, at.Found, at.Expected
	}
	return doc
}

// UnsupportedMedia is an error that is answered with 415, whatever its code: the
// body is of a type or an encoding that is not understood (RFC 9110, section
// 15.5.16).
type UnsupportedMedia struct{ Err error }

// Error returns what Err says.
func (e *UnsupportedMedia) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnsupportedMedia) Unwrap() error { return e.Err }

// statusOf returns the HTTP status that err is answered with.
func statusOf(err error, code gatecast.Code) int {
	if _, media := errors.AsType[*UnsupportedMedia](err); media {
		return http.StatusUnsupportedMediaType
	}
	return Status(code)
}

// Status returns the HTTP status of a code; an unknown code counts as Internal.
func Status(code gatecast.Code) int {
	switch code {
	case gatecast.Invalid:
		return http.StatusUnprocessableEntity
	case gatecast.Malformed:
		return http.StatusBadRequest
	case gatecast.TooLarge:
		return http.StatusRequestEntityTooLarge
	case gatecast.Unauthenticated:
		return http.StatusUnauthorized
	case gatecast.Forbidden:
		return http.StatusForbidden
	case gatecast.NotFound:
		return http.StatusNotFound
	case gatecast.Conflict:
		return http.StatusConflict
	case gatecast.Gap:
		return http.StatusGone
	case gatecast.TooMany:
		return http.StatusTooManyRequests
	case gatecast.Unavailable:
		return http.StatusServiceUnavailable
	case gatecast.Internal:
	}
	return http.StatusInternalServerError
}

// normalize finds the product's error in err's chain, or makes one for the
// errors of the standard library whose meaning is certain.
func normalize(err error) *gatecast.Error {
	var e *gatecast.Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		e = gatecast.Errorf(gatecast.TooLarge, "the request body is larger than %d bytes", tooLarge.Limit)
		e.Remedy = "send less at once"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e = gatecast.Errorf(gatecast.Unavailable, "the request ended before it was answered")
		e.Remedy = "try again"
	default:
		e = &gatecast.Error{Code: gatecast.Internal}
	}
	return e
}

// retryAfter returns whole seconds, rounded up; 0 means no header. Callers
// that are told to wait always get a number, so that they need not guess one.
func retryAfter(e *gatecast.Error) int {
	d := e.Retry
	if d <= 0 && (e.Code == gatecast.Unavailable || e.Code == gatecast.TooMany) {
		d = time.Second
	}
	return int(math.Ceil(d.Seconds()))
}
