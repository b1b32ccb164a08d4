package problem

import (
	"cmp"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatecast/gatecast"
)

// Read is the way back: it returns the error that a refusal with this body
// stands for. It reports false if the body is no problem document, as those of
// proxies are not; the error then says only what the status says.
func Read(res *http.Response, body []byte) (*gatecast.Error, bool) {
	var doc Document
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	known := media == ContentType && json.Unmarshal(body, &doc) == nil
	e := gatecast.Errorf(codeNamed(doc.Code, res.StatusCode), "the server answered %s", res.Status)
	if s, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16); err == nil {
		e.Retry = time.Duration(s) * time.Second
	}
	if !known {
		return e, false
	}
	e.Message = strings.TrimSuffix(cmp.Or(doc.Detail, doc.Title, e.Message), ".")
	e.Remedy = doc.Remedy
	if doc.Index != nil || doc.Path != "" {
		e.At = &gatecast.Place{Index: -1, Path: doc.Path, Found: doc.Found, Expected: doc.Expected}
		if doc.Index != nil {
			e.At.Index = *doc.Index
		}
	}
	return e, true
}

// codeNamed finds a code by its name, or else by the status.
func codeNamed(name string, status int) gatecast.Code {
	for code := gatecast.Internal; code <= gatecast.Unavailable; code++ {
		if code.String() == name {
			return code
		}
	}
	return codeOfStatus(status)
}

// codeOfStatus is for answers that do not say it themselves.
func codeOfStatus(status int) gatecast.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return gatecast.Unauthenticated
	case http.StatusForbidden:
		return gatecast.Forbidden
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return gatecast.NotFound
	case http.StatusConflict:
		return gatecast.Conflict
	case http.StatusRequestEntityTooLarge:
		return gatecast.TooLarge
	case http.StatusTooManyRequests:
		return gatecast.TooMany
	case http.StatusRequestTimeout:
		return gatecast.Unavailable
	}
	if status >= 500 {
		return gatecast.Unavailable
	}
	return gatecast.Invalid
}
