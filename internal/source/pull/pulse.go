package pull

import "time"

// pulse decides when a connection is dead. It believes in bytes, for a Pong
// shows that the other end is there; and in messages, for a library answers
// Pings also where the program behind it hangs. How often messages must come it
// learns from the server. It is not safe for concurrent use.
type pulse struct {
	deadAfter time.Duration

	bytes    time.Time     // when some came last
	messages time.Time     // when one came last
	greeted  bool          // one came at all
	silence  time.Duration // the longest that a heartbeat has ended; 0: there was no heartbeat
}

func newPulse(deadAfter time.Duration, now time.Time) *pulse {
	return &pulse{deadAfter: deadAfter, bytes: now, messages: now}
}

func (p *pulse) heard(now time.Time) { p.bytes = now }

func (p *pulse) message(now time.Time, heartbeat bool) {
	if heartbeat && p.greeted {
		p.silence = max(p.silence, now.Sub(p.messages))
	}
	p.greeted, p.messages = true, now
}

// resume begins anew after a time in which nobody listened.
func (p *pulse) resume(now time.Time) { p.bytes, p.messages = now, now }

// limit returns when the connection is dead if nothing comes.
func (p *pulse) limit() time.Time {
	end := p.bytes.Add(p.deadAfter)
	switch byMessage := p.messages.Add(max(p.deadAfter, 3*p.silence)); {
	case p.greeted && p.silence == 0: // it sends no heartbeats, so it may be silent for long
		return end
	case byMessage.Before(end):
		return byMessage
	}
	return end
}

// quiet returns for how long no message came, in seconds.
func (p *pulse) quiet(now time.Time) time.Duration {
	return now.Sub(p.messages).Truncate(time.Second)
}
