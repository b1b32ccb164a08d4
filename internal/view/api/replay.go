package api

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// WindowBody is which part of the journal is meant.
type WindowBody struct {
	From gatecast.Seq `json:"from" doc:"After this position"`
	To   gatecast.Seq `json:"to" doc:"Up to and with this one"`
}

// RunBody is a replay at work, or at its end.
type RunBody struct {
	ID       string       `json:"id" required:"false"`
	Position gatecast.Seq `json:"position" required:"false" doc:"Everything up to here is done"`
	Sent     uint64       `json:"sent" required:"false" doc:"Events"`
	Started  time.Time    `json:"started" required:"false"`
	Ended    *time.Time   `json:"ended,omitempty" doc:"Absent while it runs"`
	Canceled bool         `json:"canceled" required:"false"`
}

// CountBody is what a replay would send.
type CountBody struct {
	Events uint64 `json:"events" required:"false" doc:"How many would be sent"`
	Exact  bool   `json:"exact" required:"false" doc:"Whether they were counted, not estimated"`
}

type replayBody struct {
	WindowBody
	RunBody
}

func showReplay(r gatecast.Replay) replayBody {
	return replayBody{WindowBody{From: r.From, To: r.To}, RunBody{
		ID: r.ID, Position: r.Position, Sent: r.Sent, Started: r.Started, Ended: unlessZero(r.Ended), Canceled: r.Canceled,
	}}
}

type replayOutput struct {
	Body replayBody
}

type startReplayInput struct {
	ID   string `path:"id"`
	Body struct {
		From   place `json:"from" doc:"After this position, or what was stored at this time or later: a seq, a time by RFC 3339, \"earliest\""`
		To     place `json:"to,omitzero" doc:"Up to and with this position, or what was stored before this time; default is the newest event"`
		DryRun bool  `json:"dry_run,omitempty" doc:"Only count"`
	}
}

type startReplayOutput struct {
	Status int
	Body   struct {
		WindowBody
		*CountBody // of a dry run
		*RunBody   // of one that has begun
	}
}

func (s *server) startReplay(ctx context.Context, in *startReplayInput) (*startReplayOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	w, err := s.window(ctx, in.Body.From, in.Body.To)
	if err != nil {
		return nil, err
	}
	out := &startReplayOutput{Status: 200}
	out.Body.WindowBody = w
	if in.Body.DryRun {
		events, exact, err := s.opts.Hooks.Deliveries.Count(ctx, in.ID, w.From, w.To)
		out.Body.CountBody = &CountBody{events, exact}
		return out, err
	}
	if w.From == w.To {
		return nil, invalid("/from", fmt.Sprint(w.From), fmt.Sprintf("a place before %d", w.To), "there is no event in this window")
	}
	r, err := s.opts.Hooks.Deliveries.StartReplay(ctx, in.ID, w.From, w.To)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "replay started", "subscription", in.ID, "replay", r.ID, "from", r.From, "to", r.To)
	begun := showReplay(r)
	out.Status, out.Body.WindowBody, out.Body.RunBody = 202, begun.WindowBody, &begun.RunBody
	return out, nil
}

// window finds the positions that a request means. Both ends are found in the
// journal as it is at one moment.
func (s *server) window(ctx context.Context, from, to place) (WindowBody, error) {
	now, err := s.opts.Hooks.Positions.Extent(ctx)
	if err != nil {
		return WindowBody{}, err
	}
	if from == "" {
		return WindowBody{}, invalid("/from", "", `a position, a time, or "earliest"`, "it is not said where the window begins")
	}
	var w WindowBody
	if w.To, err = s.position(ctx, "/to", cmp.Or(to, "latest"), now); err != nil {
		return w, err
	}
	w.To = min(w.To, now.Last)
	if w.From, err = s.position(ctx, "/from", from, now); err != nil {
		return w, err
	}
	w.From = min(w.From, now.Last)
	if w.From > w.To {
		return w, invalid("/to", string(to), fmt.Sprintf("a place after %d, where the window begins", w.From), "the window ends before it begins")
	}
	return w, nil
}

func (s *server) getReplay(_ context.Context, in *subscriptionInput) (*replayOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	r := s.opts.Hooks.Deliveries.State(in.ID).Replay
	if r == nil {
		err := gatecast.Errorf(gatecast.NotFound, "nothing has been replayed to this subscription")
		err.Remedy = "begin with: gatecast sub replay"
		return nil, err
	}
	return &replayOutput{showReplay(*r)}, nil
}

func (s *server) cancelReplay(ctx context.Context, in *subscriptionInput) (*replayOutput, error) {
	if _, err := s.subscription(in.ID); err != nil {
		return nil, err
	}
	r, err := s.opts.Hooks.Deliveries.CancelReplay(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "replay canceled", "subscription", in.ID, "replay", r.ID)
	return &replayOutput{showReplay(r)}, nil
}
