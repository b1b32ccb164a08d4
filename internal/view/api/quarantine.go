package api

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/gatecast/gatecast"
)

// QuarantinedBody is something that could not be understood, without what it
// says.
type QuarantinedBody struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at" doc:"When it came, or came first"`
	Source    string    `json:"source" doc:"Name of the source it came from, or of another door"`
	Reason    string    `json:"reason" doc:"Why it could not be understood"`
	Size      int       `json:"size" doc:"In bytes"`
	Truncated bool      `json:"truncated" doc:"Only its beginning was kept"`
	Count     int       `json:"count" doc:"How often it came"`
}

func showQuarantined(q gatecast.Quarantined) QuarantinedBody {
	return QuarantinedBody{
		ID: q.ID, At: q.At.UTC(), Source: q.Source, Reason: text([]byte(q.Reason)), Size: q.Size, Truncated: q.Truncated, Count: max(q.Count, 1),
	}
}

type listQuarantineInput struct {
	Before string `query:"before" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listQuarantineOutput struct {
	Body struct {
		Quarantined []QuarantinedBody `json:"quarantined" nullable:"false" doc:"Newest first"`
		Next        string            `json:"next,omitempty" doc:"Give it as before for older ones; absent if there are none"`
	}
}

func (s *server) listQuarantine(ctx context.Context, in *listQuarantineInput) (*listQuarantineOutput, error) {
	// One more than asked for tells whether there is another page.
	kept, err := s.opts.Upstreams.Quarantine.List(ctx, in.Before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listQuarantineOutput{}
	if len(kept) > in.Limit {
		kept = kept[:in.Limit]
		out.Body.Next = kept[in.Limit-1].ID
	}
	out.Body.Quarantined = make([]QuarantinedBody, len(kept))
	for i, q := range kept {
		out.Body.Quarantined[i] = showQuarantined(q)
	}
	return out, nil
}

type quarantinedInput struct {
	ID string `path:"id"`
}

type quarantinedOutput struct {
	Body struct {
		QuarantinedBody
		Body  string `json:"body" doc:"As it came; what is not UTF-8 is replaced"`
		Bytes []byte `json:"bytes,omitempty" doc:"The same in base64, if it is not UTF-8"`
	}
}

func (s *server) getQuarantined(ctx context.Context, in *quarantinedInput) (*quarantinedOutput, error) {
	q, err := s.opts.Upstreams.Quarantine.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &quarantinedOutput{}
	out.Body.QuarantinedBody, out.Body.Body = showQuarantined(q), text(q.Body)
	if !utf8.Valid(q.Body) {
		out.Body.Bytes = q.Body
	}
	return out, nil
}

type injectInput struct {
	ID   string `path:"id"`
	Body *struct {
		Message json.RawMessage `json:"message,omitempty" doc:"What it should have been; absent: as it came, for a gatecast that understands more by now"`
	}
}

type injectOutput struct {
	Body struct {
		Accepted   int          `json:"accepted" doc:"Events newly stored"`
		Duplicates int          `json:"duplicates" doc:"Events that were there already"`
		First      gatecast.Seq `json:"first,omitempty"`
		Last       gatecast.Seq `json:"last,omitempty"`
	}
}

// injectQuarantined forgets what it has stored. If that fails, injecting it
// again stores nothing new.
func (s *server) injectQuarantined(ctx context.Context, in *injectInput) (*injectOutput, error) {
	kept := s.opts.Upstreams.Quarantine
	q, err := kept.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Body != nil && len(in.Body.Message) > 0:
		q.Body = in.Body.Message
	case q.Truncated:
		return nil, &gatecast.Error{
			Code: gatecast.Conflict, Message: "only the beginning of it was kept", Remedy: "give the whole message as it should have been, or drop it",
		}
	}
	r, err := kept.Inject(ctx, q)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "quarantined message injected", "id", in.ID, "source", q.Source, "accepted", r.Accepted, "duplicates", r.Duplicates)
	if err := kept.Drop(ctx, in.ID); err != nil && gatecast.CodeOf(err) != gatecast.NotFound {
		return nil, err
	}
	out := &injectOutput{}
	out.Body.Accepted, out.Body.Duplicates, out.Body.First, out.Body.Last = r.Accepted, r.Duplicates, r.First, r.Last
	return out, nil
}

func (s *server) dropQuarantined(ctx context.Context, in *quarantinedInput) (*struct{}, error) {
	if err := s.opts.Upstreams.Quarantine.Drop(ctx, in.ID); err != nil {
		return nil, err
	}
	s.logChange(ctx, "quarantined message dropped", "id", in.ID)
	return nil, nil
}
