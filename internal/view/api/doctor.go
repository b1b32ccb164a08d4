package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// Doctor looks for what is wrong with the server.
type Doctor interface {
	// Examine may take half a minute. It must not connect to others as often as
	// it is asked.
	Examine(ctx context.Context) (gatecast.Diagnosis, error)
}

type doctorOutput struct {
	Body struct {
		At       time.Time     `json:"at" doc:"When this was found; an examination of a moment ago is given again"`
		Took     string        `json:"took" example:"1.2s"`
		Version  string        `json:"version" doc:"Of the program"`
		Findings []findingBody `json:"findings" nullable:"false" doc:"Worst first"`
	}
}

type findingBody struct {
	Check   string                `json:"check" doc:"What was looked at, such as disk, clock, reach"`
	Level   gatecast.FindingLevel `json:"level" doc:"ok, note (nothing need be done), warn (not as it should be), bad (does not work, or events may be lost)"`
	Subject string                `json:"subject" doc:"What it is about, such as a source or a directory; empty: the server"`
	Text    string                `json:"text"`
	Remedy  string                `json:"remedy" doc:"What to do about it"`
}

// examine needs the scope admin: it makes the server write to its disk and
// connect to its sources, and tells paths and addresses.
func (s *server) examine(ctx context.Context, _ *struct{}) (*doctorOutput, error) {
	d, err := s.opts.Doctor.Examine(ctx)
	if err != nil {
		return nil, err
	}
	out := &doctorOutput{}
	out.Body.At, out.Body.Took, out.Body.Version = d.At.UTC(), d.Took.Round(time.Millisecond).String(), s.opts.Version
	out.Body.Findings = make([]findingBody, len(d.Findings))
	for i, f := range d.Findings {
		out.Body.Findings[i] = findingBody{f.Check, f.Level, f.Subject, text([]byte(f.Text)), text([]byte(f.Remedy))}
	}
	return out, nil
}
