package client

import (
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
)

// Position is a place in a server's journal: after the event with this Seq.
type Position struct {
	Epoch string // names the journal; a Seq means nothing in another one
	Seq   gatecast.Seq
}

// Start is where a subscription begins that has no cursor yet. Make one by
// [Latest] (which the zero value is too), [Earliest], [After], [At] or
// [ParseStart].
type Start struct{ since resume.Since }

// Latest begins with what the server accepts from then on.
func Latest() Start { return Start{resume.Since{Kind: resume.Latest}} }

// Earliest begins with the oldest event that the server has.
func Earliest() Start { return Start{resume.Since{Kind: resume.Earliest}} }

// After begins after a position. Without an epoch it counts in whatever
// journal the server has.
func After(p Position) Start {
	return Start{resume.Since{Kind: resume.AfterSeq, Seq: p.Seq, Epoch: p.Epoch}}
}

// At begins with what the server accepted at t or later, to the second.
func At(t time.Time) Start { return Start{resume.Since{Kind: resume.AtTime, Time: t}} }

// ParseStart reads what String writes: "latest", "earliest", the Seq of a
// position, or a time by RFC 3339. An error is Invalid.
func ParseStart(text string) (Start, error) {
	since, err := resume.ParseSince(text)
	return Start{since}, err
}

// String is how the start is written in the server's URL, without its epoch.
func (s Start) String() string {
	switch s.since.Kind {
	case resume.Earliest:
		return "earliest"
	case resume.AfterSeq:
		return strconv.FormatUint(uint64(s.since.Seq), 10)
	case resume.AtTime:
		return s.since.Time.UTC().Format(time.RFC3339)
	case resume.Unsaid, resume.Latest:
	}
	return "latest"
}

// unsaid reports whether nobody has chosen the start.
func (s Start) unsaid() bool { return s.since.Kind == resume.Unsaid }
