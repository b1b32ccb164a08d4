package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// cursorBody is a cursor as the API shows it.
type cursorBody struct {
	Client    string       `json:"client,omitempty" doc:"The name that a client gave itself; absent for the app as a whole and for an address"`
	Address   string       `json:"address,omitempty" doc:"The IP address whose clients it belongs to, if the app keeps cursors by address"`
	Seq       gatecast.Seq `json:"seq" doc:"Everything up to here needs no sending again"`
	Epoch     string       `json:"epoch" doc:"Names the journal that seq is a place in"`
	LagEvents *uint64      `json:"lag_events,omitempty" doc:"Positions behind the newest event; absent if the cursor is of another journal"`
	Confirmed *time.Time   `json:"confirmed,omitempty" doc:"When the consumer last confirmed by itself; absent if it never has"`
	Complete  *time.Time   `json:"complete_since,omitempty" doc:"Nothing accepted since then has been withheld from the consumer"`
	Lost      uint64       `json:"lost" doc:"Positions passed over without sending, ever"`
}

func showCursor(c gatecast.Cursor, at gatecast.Extent) cursorBody {
	b := cursorBody{
		Client: c.Consumer.ClientName(), Address: c.Consumer.Address(),
		Seq: c.Seq, Epoch: c.Epoch, Confirmed: unlessZero(c.Confirmed), Complete: unlessZero(c.Complete), Lost: c.Lost,
	}
	if c.Epoch == at.Epoch {
		behind := at.Last - min(c.Seq, at.Last)
		b.LagEvents = (*uint64)(&behind)
	}
	return b
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type listCursorsOutput struct {
	Body struct {
		Cursors []cursorBody `json:"cursors" nullable:"false" doc:"That of the app as a whole first, then by client and address"`
	}
}

// listCursors needs no more than the scope read: a cursor tells how a consumer
// is doing, as the list of connections does, and opens no door.
func (s *server) listCursors(ctx context.Context, in *appInput) (*listCursorsOutput, error) {
	if _, err := s.find(in.Key); err != nil {
		return nil, err
	}
	cursors := s.opts.Cursors.Of(in.Key)
	// Asked after the cursors, so that none is ahead of the journal's end.
	st, err := s.opts.Status.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &listCursorsOutput{}
	out.Body.Cursors = make([]cursorBody, 0, len(cursors))
	for _, c := range cursors {
		out.Body.Cursors = append(out.Body.Cursors, showCursor(c, st.Extent))
	}
	slices.SortFunc(out.Body.Cursors, func(a, b cursorBody) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Address, b.Address))
	})
	return out, nil
}
