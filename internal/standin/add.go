package standin

import (
	"context"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// Add takes an event in, hands it to who is connected and to the subscriber,
// and returns it as it is now: its number is the server's own, whatever stood
// in the data. States of an alarm that share a traceId share a number. Data
// that is no JSON object, and a kind that is neither record nor alarm, are an
// error.
func (s *Server) Add(kind gatecast.Kind, data []byte) (Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.truth.add(kind, data, s.now())
	if err != nil {
		return Event{}, err
	}
	for _, m := range s.trouble.shape(e, s.opts.Now()) {
		s.hand(m)
	}
	return e, nil
}

// AddMessage is Add for an event in either of the vendor's envelopes.
func (s *Server) AddMessage(body []byte) (Event, error) {
	o, err := readObject(body)
	if err != nil {
		return Event{}, err
	}
	kind := gatecast.Kind(max(o.number("code"), o.number("eventType")))
	data := o.get("data")
	if data == nil {
		return Event{}, gatecast.Errorf(gatecast.Invalid, "the message has no data")
	}
	return s.Add(kind, data)
}

// Push sends bytes as a text message to who is connected, whatever they are. They are
// no event, and not in the truth.
func (s *Server) Push(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(textFrame(message))
}

// Events returns everything that the server ever had, the oldest first, up to
// Options.Most.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.truth.events)
}

// Feed adds what next returns, each when its time has come, until ctx ends;
// then it returns nil. What is late is added at once.
func (s *Server) Feed(ctx context.Context, next func() (body []byte, at time.Time)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		body, at := next()
		timer.Reset(max(0, at.Sub(s.opts.Now())))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if _, err := s.AddMessage(body); err != nil {
			return err
		}
	}
}

// now is the time by the server's clock, which may be wrong. It is called under mu.
func (s *Server) now() time.Time {
	now := s.opts.Now()
	return now.Add(s.trouble.skew(now))
}

// hand gives a message to everybody who is to have it. It is called under mu.
func (s *Server) hand(m message) {
	s.push(m.frame())
	if s.sub != nil {
		s.sub.offer(m, s.opts.Now())
	}
}
