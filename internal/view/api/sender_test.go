package api_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// sender stands for all that subscriptions have behind the API: what sends, and
// where it notes what came of it. Nothing is sent.
type sender struct {
	extent   gatecast.Extent
	since    map[time.Time]gatecast.Seq
	state    gatecast.SubscriptionState
	exchange gatecast.Exchange
	dead     []gatecast.DeadLetter
	log      []gatecast.Attempt
	asked    []string // calls that tests look at
}

func (s *sender) note(format string, args ...any) {
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
}

// took returns what was asked since it was called last.
func (s *sender) took() string {
	text := strings.Join(s.asked, "; ")
	s.asked = nil
	return text
}

func (s *sender) Extent(context.Context) (gatecast.Extent, error) { return s.extent, nil }

func (s *sender) Since(_ context.Context, t time.Time) (gatecast.Seq, error) {
	return s.since[t.UTC()], nil
}

func (s *sender) State(id string) gatecast.SubscriptionState {
	st := s.state
	st.ID = id
	return st
}

func (s *sender) Check(_ context.Context, address string) error {
	s.note("check %s", address)
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Hostname() == "10.0.0.1" {
		e := gatecast.Errorf(gatecast.Forbidden, "10.0.0.1 is a private address")
		e.Remedy = "add its prefix to hooks.allow if events may go there"
		return e
	}
	return nil
}

func (s *sender) Test(context.Context, string) (gatecast.Exchange, error) {
	s.note("test")
	return s.exchange, nil
}

func (s *sender) Count(_ context.Context, _ string, from, to gatecast.Seq) (uint64, bool, error) {
	s.note("count %d to %d", from, to)
	return uint64(to - from), true, nil
}

func (s *sender) StartReplay(_ context.Context, _ string, from, to gatecast.Seq) (gatecast.Replay, error) {
	s.note("replay %d to %d", from, to)
	s.state.Replay = &gatecast.Replay{ID: "r1", From: from, To: to, Position: from, Started: at(5)}
	return *s.state.Replay, nil
}

func (s *sender) CancelReplay(context.Context, string) (gatecast.Replay, error) {
	s.note("cancel")
	if s.state.Replay == nil {
		return gatecast.Replay{}, gatecast.Errorf(gatecast.NotFound, "no replay is running")
	}
	s.state.Replay.Ended, s.state.Replay.Canceled = at(6), true
	return *s.state.Replay, nil
}

func (s *sender) Resend(_ context.Context, _ string, seq gatecast.Seq) (gatecast.Exchange, error) {
	s.note("resend %d", seq)
	return s.exchange, nil
}

func (s *sender) DeadLetters(_ context.Context, _ string, after gatecast.Seq, limit int) ([]gatecast.DeadLetter, error) {
	var page []gatecast.DeadLetter
	for _, d := range s.dead {
		if d.Seq > after && len(page) < limit {
			page = append(page, d)
		}
	}
	return page, nil
}

func (s *sender) DeadLetter(_ context.Context, _ string, seq gatecast.Seq) (gatecast.DeadLetter, error) {
	for _, d := range s.dead {
		if d.Seq == seq {
			return d, nil
		}
	}
	e := gatecast.Errorf(gatecast.NotFound, "there is no dead letter %d", seq)
	e.Remedy = "list them with: gatecast sub dead"
	return gatecast.DeadLetter{}, e
}

func (s *sender) Discard(ctx context.Context, id string, seq gatecast.Seq) error {
	_, err := s.DeadLetter(ctx, id, seq)
	s.dead = slices.DeleteFunc(s.dead, func(d gatecast.DeadLetter) bool { return d.Seq == seq })
	return err
}

func (s *sender) Attempts(_ context.Context, _ string, o gatecast.Outcome, before string, limit int) ([]gatecast.Attempt, string, error) {
	s.note("attempts %q %q %d", o, before, limit)
	return s.log, "17", nil
}
