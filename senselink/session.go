package senselink

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// Action is what a connection has to do next.
type Action int

const (
	// Wait means nothing, until the deadline that came with it.
	Wait Action = iota
	// SendConnected means to send [Connected], before anything else.
	SendConnected
	// SendHeartBeat means to send [HeartBeat], and a WebSocket Ping with it:
	// clients only listen, so the Pong is the one sign of life they must give.
	SendHeartBeat
	// CloseDead means to close without ceremony: the peer has been silent for
	// so long that nobody is there to answer.
	CloseDead
)

// String returns the name of the action, for logs.
func (a Action) String() string {
	switch a {
	case SendConnected:
		return "send connected"
	case SendHeartBeat:
		return "send heartbeat"
	case CloseDead:
		return "close dead"
	}
	return "wait"
}

// SessionOptions tunes a Session. The zero value suits the vendor's clients.
type SessionOptions struct {
	HeartBeat time.Duration  // time between heartbeats; default 30 s
	Jitter    float64        // share, 0 to 0.5, by which each interval varies either way; default none
	DeadAfter time.Duration  // silence of the peer before it counts as gone; default 3 heartbeats; negative: never
	Rand      func() float64 // from [0,1), for the jitter; default math/rand/v2
}

func (o SessionOptions) withDefaults() SessionOptions {
	if o.HeartBeat <= 0 {
		o.HeartBeat = 30 * time.Second
	}
	o.DeadAfter = cmp.Or(o.DeadAfter, 3*o.HeartBeat)
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// Session is the life of one accepted connection as a state machine. It sends
// nothing itself: whoever drives it asks [Session.Next] what to do, and tells
// it of everything that arrives by [Session.Heard]. What arrives is never
// looked at: the protocol gives clients nothing to say, and many say something
// all the same. A Session is not safe for concurrent use.
type Session struct {
	opts  SessionOptions
	open  bool      // Connected has been asked for
	heard time.Time // when the peer last gave a sign of life
	beat  time.Time // when the next heartbeat is due
}

// NewSession starts the session of a connection that was accepted at now.
func NewSession(now time.Time, o SessionOptions) *Session {
	return &Session{opts: o.withDefaults(), heard: now}
}

// Heard notes that the peer sent something, whatever it was: text, a Pong, or
// a part of either.
func (s *Session) Heard(now time.Time) {
	if now.After(s.heard) {
		s.heard = now
	}
}

// Next returns what to do at now, and the time at which to ask again if
// nothing is heard or done before. Any action but Wait counts as done; ask again
// at once. A late call skips the heartbeats it missed.
func (s *Session) Next(now time.Time) (Action, time.Time) {
	if !s.open {
		s.open = true
		s.beat = s.after(now)
		return SendConnected, now
	}
	if s.opts.DeadAfter > 0 && now.Sub(s.heard) >= s.opts.DeadAfter {
		return CloseDead, now
	}
	if !now.Before(s.beat) {
		s.beat = s.after(now)
		return SendHeartBeat, now
	}
	if dead := s.heard.Add(s.opts.DeadAfter); s.opts.DeadAfter > 0 && dead.Before(s.beat) {
		return Wait, dead
	}
	return Wait, s.beat
}

// after returns the time of the heartbeat that follows one at now. Without the
// jitter, connections that were made together would beat together for ever.
func (s *Session) after(now time.Time) time.Time {
	d := s.opts.HeartBeat
	return now.Add(d + time.Duration((2*s.opts.Rand()-1)*s.opts.Jitter*float64(d)))
}
