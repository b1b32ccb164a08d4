package gatecast

import "time"

// Diagnosis is what an examination of a server has found.
type Diagnosis struct {
	At       time.Time     // when it began
	Took     time.Duration // how long it took
	Findings []Finding     // worst first
}

// Finding is what one check has found of one thing.
type Finding struct {
	Check   string       // what was looked at, one word of a small set, such as "disk"
	Level   FindingLevel // how bad it is
	Subject string       // what it is about, such as the name of a source; empty: the server as a whole
	Text    string       // what was found: a sentence without its full stop, and without secrets
	Remedy  string       // what to do about it; empty only if nothing need be done
}

// FindingLevel is how bad a finding is.
type FindingLevel string

// The levels there are, from what is well to what is worst.
const (
	FindingOK   FindingLevel = "ok"
	FindingNote FindingLevel = "note" // worth knowing; nothing need be done
	FindingWarn FindingLevel = "warn" // works, but not as it should, or not for long
	FindingBad  FindingLevel = "bad"  // does not work, or events may be lost
)

// Rank orders levels: 0 for [FindingOK], 3 for [FindingBad]. What is none of
// the levels is as bad as can be.
func (l FindingLevel) Rank() int {
	switch l {
	case FindingOK:
		return 0
	case FindingNote:
		return 1
	case FindingWarn:
		return 2
	case FindingBad:
	}
	return 3
}
