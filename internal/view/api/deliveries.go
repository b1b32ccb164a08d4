package api

import (
	"context"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// AttemptBody is one request to a subscription's URL and what came of it.
type AttemptBody struct {
	Time    time.Time        `json:"time" doc:"When it was sent"`
	Seq     gatecast.Seq     `json:"seq" doc:"Of its event, or the first of its events"`
	Events  int              `json:"events" doc:"How many"`
	Message string           `json:"message_id" doc:"The header webhook-id"`
	Try     int              `json:"try" doc:"1 for the first"`
	Status  int              `json:"status" doc:"Of the answer; 0 if there was none"`
	Took    float64          `json:"took_ms" doc:"Until the answer's headers, or until it failed"`
	Outcome gatecast.Outcome `json:"outcome" doc:"delivered, refused (the event), failed (the endpoint), gone"`
	Error   string           `json:"error,omitempty" doc:"Why it was not delivered"`
	Answer  string           `json:"answer,omitempty" doc:"The beginning of the answer's body"`
	Replay  bool             `json:"replay" doc:"It was sent late, or once more"`
}

func showAttempt(a gatecast.Attempt) AttemptBody {
	return AttemptBody{
		Time: a.Time.UTC(), Seq: a.Seq, Events: a.Events, Message: a.Message, Try: a.Try, Status: a.Status,
		Took: milliseconds(a.Took), Outcome: a.Outcome, Error: a.Error, Answer: text(a.Answer), Replay: a.Replay,
	}
}

// text is bytes of somebody else as JSON can hold them.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\ufffd") }

// exchangeBody is an attempt with everything that crossed the wire.
type exchangeBody struct {
	AttemptBody
	URL           string            `json:"url"`
	Headers       map[string]string `json:"headers" doc:"Of the request, without what lets gatecast in"`
	Body          string            `json:"body" doc:"Of the request"`
	AnswerHeaders map[string]string `json:"answer_headers"`
}

func showExchange(x gatecast.Exchange) exchangeBody {
	b := exchangeBody{
		AttemptBody: showAttempt(x.Attempt), URL: x.URL, Headers: x.Headers, Body: text(x.Body), AnswerHeaders: x.AnswerHeaders,
	}
	if b.Headers == nil {
		b.Headers = map[string]string{}
	}
	if b.AnswerHeaders == nil {
		b.AnswerHeaders = map[string]string{}
	}
	return b
}

type exchangeOutput struct {
	Body exchangeBody
}

// testSubscription answers 200 whatever the endpoint did: it was the caller's
// question, and outcome is the answer.
func (s *server) testSubscription(ctx context.Context, in *subscriptionInput) (*exchangeOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	x, err := s.opts.Hooks.Deliveries.Test(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription tested", "subscription", in.ID, "outcome", x.Outcome)
	return &exchangeOutput{showExchange(x)}, nil
}

type listDeliveriesInput struct {
	ID      string `path:"id"`
	Outcome string `query:"outcome" enum:"delivered,refused,failed,gone" doc:"Only attempts that ended so"`
	Before  string `query:"before" doc:"next of the page before"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listDeliveriesOutput struct {
	Body struct {
		Deliveries []AttemptBody `json:"deliveries" nullable:"false" doc:"Newest first"`
		Next       string        `json:"next,omitempty" doc:"Give it as before for older ones; absent if there are none"`
	}
}

func (s *server) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*listDeliveriesOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	attempts, next, err := s.opts.Hooks.Log.Attempts(ctx, in.ID, gatecast.Outcome(in.Outcome), in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listDeliveriesOutput{}
	out.Body.Deliveries, out.Body.Next = make([]AttemptBody, len(attempts)), next
	for i, a := range attempts {
		out.Body.Deliveries[i] = showAttempt(a)
	}
	return out, nil
}
