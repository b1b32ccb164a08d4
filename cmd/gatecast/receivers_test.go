package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// receivers stands for what posts events to subscribers, and for where it notes
// what came of it. Nothing is sent.
type receivers struct {
	extent gatecast.Extent

	// mu guards what follows, for moments: the server's handlers use it too.
	mu       sync.Mutex
	state    gatecast.SubscriptionState
	exchange gatecast.Exchange
	outcomes map[gatecast.Seq]gatecast.Outcome // of Resend; default delivered
	dead     []gatecast.DeadLetter
	log      []gatecast.Attempt                         // oldest first
	replay   func(gatecast.Replay, int) gatecast.Replay // how a replay looks when it is asked for the nth time
	asked    int
	onAsked  func(int)
	onLog    func(int)
}

func (r *receivers) Extent(context.Context) (gatecast.Extent, error) { return r.extent, nil }

func (r *receivers) Since(context.Context, time.Time) (gatecast.Seq, error) { return 400, nil }

func (r *receivers) State(id string) gatecast.SubscriptionState {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state
	st.ID = id
	if r.replay != nil && st.Replay != nil {
		r.asked++
		now := r.replay(*st.Replay, r.asked)
		st.Replay = &now
		if r.onAsked != nil {
			r.onAsked(r.asked)
		}
	}
	return st
}

func (r *receivers) Check(_ context.Context, address string) error {
	if u, err := url.Parse(address); err != nil || u.Hostname() != "10.0.0.1" {
		return err
	}
	e := gatecast.Errorf(gatecast.Forbidden, "10.0.0.1 is a private address")
	e.Remedy = "add its prefix to hooks.allow if events may go there"
	return e
}

func (r *receivers) Test(context.Context, string) (gatecast.Exchange, error) { return r.exchange, nil }

func (r *receivers) Count(_ context.Context, _ string, from, to gatecast.Seq) (uint64, bool, error) {
	return uint64(to-from) / 2, to <= 1000 && from > 0, nil
}

func (r *receivers) StartReplay(_ context.Context, _ string, from, to gatecast.Seq) (gatecast.Replay, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Replay = &gatecast.Replay{ID: "r1", From: from, To: to, Position: from, Started: time.Now()}
	return *r.state.Replay, nil
}

func (r *receivers) CancelReplay(context.Context, string) (gatecast.Replay, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Replay == nil {
		return gatecast.Replay{}, gatecast.Errorf(gatecast.NotFound, "no replay is running")
	}
	r.state.Replay.Ended, r.state.Replay.Canceled = time.Now(), true
	return *r.state.Replay, nil
}

func (r *receivers) Resend(_ context.Context, _ string, seq gatecast.Seq) (gatecast.Exchange, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := gatecast.Exchange{Attempt: gatecast.Attempt{Seq: seq, Events: 1, Status: 200, Outcome: gatecast.Delivered}}
	if o := r.outcomes[seq]; o != "" {
		x.Outcome, x.Status, x.Error = o, 422, "it answered 422"
		return x, nil
	}
	r.dead = slices.DeleteFunc(r.dead, func(d gatecast.DeadLetter) bool { return d.Seq == seq })
	return x, nil
}

func (r *receivers) DeadLetters(_ context.Context, _ string, after gatecast.Seq, limit int) ([]gatecast.DeadLetter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var page []gatecast.DeadLetter
	for _, d := range r.dead {
		if d.Seq > after && len(page) < limit {
			page = append(page, d)
		}
	}
	return page, nil
}

func (r *receivers) DeadLetter(_ context.Context, _ string, seq gatecast.Seq) (gatecast.DeadLetter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.dead, func(d gatecast.DeadLetter) bool { return d.Seq == seq })
	if i < 0 {
		return gatecast.DeadLetter{}, gatecast.Errorf(gatecast.NotFound, "there is no dead letter %d", seq)
	}
	return r.dead[i], nil
}

func (r *receivers) Discard(ctx context.Context, id string, seq gatecast.Seq) error {
	_, err := r.DeadLetter(ctx, id, seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = slices.DeleteFunc(r.dead, func(d gatecast.DeadLetter) bool { return d.Seq == seq })
	return err
}

// Attempts pages by the message's ID, which tests count up.
func (r *receivers) Attempts(_ context.Context, _ string, o gatecast.Outcome, before string, limit int) ([]gatecast.Attempt, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.onLog != nil {
		r.onLog(r.asked)
	}
	var page []gatecast.Attempt
	for _, a := range slices.Backward(r.log) {
		switch {
		case o != "" && a.Outcome != o, before != "" && strings.Compare(a.Message, before) >= 0:
			continue
		case len(page) == limit:
			return page, page[limit-1].Message, nil
		}
		page = append(page, a)
	}
	return page, "", nil
}
