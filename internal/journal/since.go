package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// clockSlack is how far the clock may ever have stepped back, or nodes' clocks
// may differ, without an event being passed over by Since.
const clockSlack = 10 * time.Second

// sinceScan is how many events Since looks at one by one to leave out those
// that the slack has brought in.
const sinceScan = 256

// Since returns the position after which everything was stored at t or later:
// one before the first event whose Stored, a millisecond, is not before t's.
// It is the newest event's position if there is no such event, and never lies
// before the oldest event held. What is stored during the call may be beyond it.
//
// No event stored at t or later is passed over, provided that the clock never
// went back by more than 10 s while the journal was written (in a cluster: that
// and the difference of the nodes' clocks together). In turn, if more than 256
// events were stored in the 10 s before t, some of those may follow as well.
// Where the clock did go back further, events that it stamped with a time which
// then came a second time may be passed over. Errors are those of Read, but
// never a Gap.
func (j *Journal) Since(ctx context.Context, t time.Time) (gatecast.Seq, error) {
	t = searchable(t)
	// The end comes first: what is stored later cannot be passed over then.
	extent, err := j.Extent(ctx)
	if err != nil {
		return 0, err
	}
	// JetStream searches by the time of the commit, which is Stored or later.
	// An event before the one it finds was committed before t less the slack,
	// or stands before one that was; so it was stored before t.
	rctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := j.fetch.since(rctx, t.Add(-clockSlack))
	if err != nil {
		return 0, unavailable(ctx, "the journal cannot be searched at the moment", err)
	}
	after := extent.Last
	if found != nil {
		after = min(found.seq-1, after)
	} else if after, err = j.backBefore(rctx, extent, t.Add(-clockSlack)); err != nil {
		return 0, unavailable(ctx, "the journal cannot be searched at the moment", err)
	}
	return j.passEarlier(ctx, max(after, extent.First-1), t)
}

// backBefore goes back from the end, in ever longer steps, until an event that
// was committed before t. JetStream finds nothing also where it cannot read
// what it ought to find; then this is what tells. Usually it takes one step.
func (j *Journal) backBefore(ctx context.Context, x gatecast.Extent, t time.Time) (gatecast.Seq, error) {
	at, step := x.Last, gatecast.Seq(1)
	for at >= x.First {
		m, err := j.fetch.ask(ctx, at)
		if err != nil {
			return 0, err
		}
		if m != nil && m.at.Before(t) {
			return at, nil
		}
		at, step = at-min(at, step), 2*step
	}
	return x.First - 1, nil
}

// passEarlier moves on from a position over events stored before t, as far as
// one read shows them.
func (j *Journal) passEarlier(ctx context.Context, after gatecast.Seq, t time.Time) (gatecast.Seq, error) {
	events, err := j.Read(ctx, after, sinceScan)
	if gatecast.CodeOf(err) == gatecast.Gap {
		// Retention was faster. What it left is wanted, unless that is older too.
		if after, err = j.oldest(ctx); err == nil {
			events, err = j.Read(ctx, after, sinceScan)
		}
	}
	if err != nil {
		return 0, err
	}
	for _, e := range events {
		if !e.Stored.Before(t) {
			break
		}
		after = e.Seq
	}
	return after, nil
}

// since gets the first message that JetStream stored at t or later from the
// stream's leader, for a replica may not have it yet; nil if there is none.
func (f fetcher) since(ctx context.Context, t time.Time) (*stored, error) {
	body, err := json.Marshal(struct {
		Since time.Time `json:"start_time"`
		Next  string    `json:"next_by_subj"` // steps over what is missing there
	}{t, ">"})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	m, err := f.leader(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("ask the leader for the first event since %s: %w", t.Format(time.RFC3339Nano), err)
	}
	return m, nil
}

// searchable returns t to the millisecond, as events have it, and within what
// JetStream can count in nanoseconds.
func searchable(t time.Time) time.Time {
	first, last := time.Unix(0, 0), time.Unix(1<<33, 0)
	switch {
	case t.Before(first):
		t = first
	case t.After(last):
		t = last
	}
	return t.UTC().Truncate(time.Millisecond)
}
