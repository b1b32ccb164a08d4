package photo

import (
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Lenient keeps photos of senders whose events are never refused for a photo:
// servers that stop pushing after one refusal, and devices that know no other
// answer than "again". What cannot be kept is counted and logged, and its field
// becomes empty.
type Lenient struct{ store *Store }

// Lenient returns the store as it is for such senders.
func (s *Store) Lenient() Lenient { return Lenient{s} }

// Keep is [Store.Keep] without an error: instead, the ID is empty.
func (l Lenient) Keep(field string, content []byte) (id string, _ error) {
	s := l.store
	id, err := s.Keep(field, content)
	if err == nil {
		return id, nil
	}
	s.metrics.dropped.WithLabelValues(gatecast.CodeOf(err).String()).Inc()
	if since, due := s.dropped.due(s.opts.Now()); due {
		s.opts.Log.Warn("a photo could not be kept; its event goes on without it", "field", field, "bytes", len(content), "err", err, "not_logged", since)
	}
	return "", nil
}

// seldom lets one message a second into the log.
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
