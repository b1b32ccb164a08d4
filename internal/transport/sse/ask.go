package sse

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
)

// lastEventID is how a browser that comes back says where it was. Its URL is
// the old one then, so the header wins over what stands there as since.
const lastEventID = "Last-Event-ID"

// ask returns what a request asks for. The epoch in its URL, if there is one,
// belongs to a position in the header too: a reader of a journal that is gone
// is told so as long as it names that journal, rather than misses something.
func ask(q url.Values, h http.Header) (resume.Request, error) {
	for _, name := range []string{"client", "ack", "inflight"} {
		if q.Has(name) {
			return resume.Request{}, &gatecast.Error{
				Code:    gatecast.Invalid,
				Message: "parameter " + name + " is for connections over WebSocket: an event stream keeps its own cursor and confirms nothing",
				Remedy:  "leave " + name + " out; to go on after a position, send it as the header " + lastEventID + " or the parameter since",
				At:      &gatecast.Place{Index: -1, Path: name, Found: clip(q.Get(name)), Expected: "nothing"},
			}
		}
	}
	if id := h.Get(lastEventID); id != "" {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil {
			return resume.Request{}, &gatecast.Error{
				Code:    gatecast.Invalid,
				Message: "the header " + lastEventID + " is " + clip(id) + ": this is no position",
				Remedy:  "give the id of the last event as it was received, or leave the header out",
				At:      &gatecast.Place{Index: -1, Path: lastEventID, Found: clip(id), Expected: "a position"},
			}
		}
		q["since"] = []string{id}
	}
	return resume.Parse(q)
}

func clip(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strconv.QuoteToASCII(s)
}
