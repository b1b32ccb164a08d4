package gatecast

import "time"

// Quarantined is something from outside that could not be understood, kept for
// an operator.
type Quarantined struct {
	ID        string    // names it among the others, at most 128 bytes
	At        time.Time // when it came, or came first
	Source    string    // name of the source it came from, or another door's
	Reason    string    // why it could not be understood, a sentence without its full stop
	Size      int       // in bytes, as it came
	Truncated bool      // Body holds only its beginning
	Count     int       // how often it came, at least 1
	Body      []byte    // as it came; personal data as a rule
}
