package standin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

const levers = "/standin/"

// isLever reports whether a request is for whoever tests.
func isLever(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, levers) }

// routeLevers adds what is ours:
//
//	POST /standin/misbehave  {"mode":"stall","for":"30s"}
//	POST /standin/behave     {} or {"modes":["stall"]}
//	POST /standin/subscribe  {"url":"http://…"}, as the vendor's console does
//	POST /standin/events     an event in either envelope
//	GET  /standin/events     the truth
//	GET  /standin/status     what is going on
func (s *Server) routeLevers(mux *http.ServeMux) {
	mux.HandleFunc("POST "+levers+"misbehave", s.pull(func(body []byte) (any, error) {
		var m Misbehaviour
		if err := read(body, &m); err != nil {
			return nil, err
		}
		if err := s.Misbehave(m); err != nil {
			return nil, err
		}
		return s.Status(), nil
	}))
	mux.HandleFunc("POST "+levers+"behave", s.pull(func(body []byte) (any, error) {
		var which struct{ Modes []Mode }
		if err := read(body, &which); err != nil {
			return nil, err
		}
		s.Behave(which.Modes...)
		return s.Status(), nil
	}))
	mux.HandleFunc("POST "+levers+"subscribe", s.pull(func(body []byte) (any, error) {
		var wanted struct{ URL string }
		if err := read(body, &wanted); err != nil {
			return nil, err
		}
		if err := s.Subscribe(wanted.URL); err != nil {
			return nil, err
		}
		return s.Subscription(), nil
	}))
	mux.HandleFunc("POST "+levers+"events", s.pull(func(body []byte) (any, error) { return s.AddMessage(body) }))
	mux.HandleFunc("GET "+levers+"events", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"events": append([]Event{}, s.Events()...)})
	})
	mux.HandleFunc("GET "+levers+"status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Status()) })
}

// Status is what is going on.
type Status struct {
	Events       uint64       `json:"events"`      // ever
	Connections  int          `json:"connections"` // of the WebSocket push
	Subscription Subscription `json:"subscription"`
	Misbehaving  []Mode       `json:"misbehaving"`
}

// Status returns what is going on.
func (s *Server) Status() Status {
	s.mu.Lock()
	total := s.truth.total
	s.mu.Unlock()
	return Status{
		Events: total, Connections: s.Connections(),
		Subscription: s.Subscription(), Misbehaving: append([]Mode{}, s.Misbehaving()...),
	}
}

// pull answers a POST. It must say that it is JSON: a page in somebody's
// browser cannot do that without asking first.
func (s *Server) pull(do func(body []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/json" {
			problem.Write(w, r, gatecast.Errorf(gatecast.Invalid, "the request has no Content-Type: application/json"))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			problem.Write(w, r, gatecast.Errorf(gatecast.TooLarge, "the body cannot be read, or is larger than 1 MiB"))
			return
		}
		answer, err := do(body)
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		writeJSON(w, answer)
	}
}

// read reads a body; an empty one says nothing.
func read(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		if _, ours := errors.AsType[*gatecast.Error](err); ours {
			return err
		}
		e := gatecast.Errorf(gatecast.Malformed, "the body cannot be understood: %v", err)
		e.Cause = err
		return e
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the caller is gone if this fails
}
