package api

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/gatecast/gatecast"
)

// DeadLetterBody is an event that was set aside, without what it says.
type DeadLetterBody struct {
	Seq      gatecast.Seq  `json:"seq"`
	Message  string        `json:"message_id"`
	Kind     gatecast.Kind `json:"kind"`
	Device   string        `json:"device"`
	First    time.Time     `json:"first" doc:"When it was first tried"`
	Tries    int           `json:"tries"`
	SetAside time.Time     `json:"set_aside"`
	Status   int           `json:"status" doc:"Of the latest answer; 0 if there was none"`
	Error    string        `json:"error,omitempty" doc:"Why the latest attempt failed"`
}

func showDeadLetter(d gatecast.DeadLetter) DeadLetterBody {
	return DeadLetterBody{
		Seq: d.Seq, Message: d.Event.ID, Kind: d.Event.Kind, Device: d.Event.Device, First: d.First.UTC(), Tries: d.Tries,
		SetAside: d.SetAside.UTC(), Status: d.Last.Status, Error: d.Last.Error,
	}
}

// wholeDeadLetter is an event that was set aside, with what it says and what
// was answered.
type wholeDeadLetter struct {
	DeadLetterBody
	Last  exchangeBody `json:"last" doc:"The latest attempt"`
	Event struct {
		Data json.RawMessage `json:"data"`
	} `json:"event"`
}

type listDeadLettersInput struct {
	ID    string       `path:"id"`
	After gatecast.Seq `query:"after" doc:"next of the page before"`
	Limit int          `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listDeadLettersOutput struct {
	Body struct {
		DeadLetters []DeadLetterBody `json:"dead_letters" nullable:"false" doc:"Oldest first"`
		Next        gatecast.Seq     `json:"next,omitempty" doc:"Give it as after for later ones; absent if there are none"`
	}
}

func (s *server) listDeadLetters(ctx context.Context, in *listDeadLettersInput) (*listDeadLettersOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	// One more than asked for tells whether there is another page.
	dead, err := s.opts.Hooks.DeadLetters.DeadLetters(ctx, in.ID, in.After, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listDeadLettersOutput{}
	if len(dead) > in.Limit {
		dead = dead[:in.Limit]
		out.Body.Next = dead[in.Limit-1].Seq
	}
	out.Body.DeadLetters = make([]DeadLetterBody, len(dead))
	for i, d := range dead {
		out.Body.DeadLetters[i] = showDeadLetter(d)
	}
	return out, nil
}

type deadLetterInput struct {
	ID  string       `path:"id"`
	Seq gatecast.Seq `path:"seq"`
}

type deadLetterOutput struct {
	Body wholeDeadLetter
}

func (s *server) getDeadLetter(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	d, err := s.opts.Hooks.DeadLetters.DeadLetter(ctx, in.ID, in.Seq)
	if err != nil {
		return nil, err
	}
	out := &deadLetterOutput{}
	out.Body.DeadLetterBody, out.Body.Last = showDeadLetter(d), showExchange(d.Last)
	out.Body.Event.Data = json.RawMessage(cmp.Or(string(d.Event.Data), "{}"))
	return out, nil
}

func (s *server) resendDeadLetter(ctx context.Context, in *deadLetterInput) (*exchangeOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	x, err := s.opts.Hooks.Deliveries.Resend(ctx, in.ID, in.Seq)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "dead letter sent again", "subscription", in.ID, "seq", in.Seq, "outcome", x.Outcome)
	return &exchangeOutput{showExchange(x)}, nil
}

func (s *server) discardDeadLetter(ctx context.Context, in *deadLetterInput) (*struct{}, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	if err := s.opts.Hooks.DeadLetters.Discard(ctx, in.ID, in.Seq); err != nil {
		return nil, err
	}
	s.logChange(ctx, "dead letter discarded", "subscription", in.ID, "seq", in.Seq)
	return nil, nil
}
