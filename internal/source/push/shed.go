package push

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// turnAway returns why the journal takes nothing at the moment. The body is then
// read and thrown away, for a sender that still sends does not hear an answer;
// but it is neither inflated nor decoded, and takes no memory. Whoever waits to
// be asked for its body is not asked.
func (h *Handler) turnAway(w http.ResponseWriter, r *http.Request) error {
	err := h.journal.Accepting()
	if err != nil && !strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, h.opts.Decode.MaxBody)) // it is refused either way
	}
	return err
}

// seldom lets one message a second into the log: in a flood of refusals the
// log would cost more than the refusals.
type seldom struct {
	// mu guards the fields below. It is held for the arithmetic only.
	mu     sync.Mutex
	last   time.Time
	missed int
}

// due reports whether a message may be logged at now, and how many were not
// since the last one.
func (s *seldom) due(now time.Time) (missed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := now.Sub(s.last); since >= 0 && since < time.Second {
		s.missed++
		return 0, false
	}
	missed, s.missed, s.last = s.missed, 0, now
	return missed, true
}
