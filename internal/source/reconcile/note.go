package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// note is what is known of a source's completeness, as it stands in its file.
type note struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"` // the source it is about
	Epoch   string    `json:"epoch"`   // the journal it is about
	First   time.Time `json:"first"`   // when the source was first asked
	Since   time.Time `json:"since"`   // how far back it was ever asked
	Through time.Time `json:"through"`
	Looked  time.Time `json:"looked"`
	Error   string    `json:"error,omitempty"`
	Owed    *debt     `json:"owed,omitempty"`
	Proof   proof     `json:"proof,omitzero"`
	counts
}

// counts is what has become of the source's events, and of their numbers.
type counts struct {
	Filled  uint64 `json:"filled"`
	Lost    uint64 `json:"lost"`
	Records uint64 `json:"records_not_ours,omitzero"` // numbers
	Alarms  uint64 `json:"alarms_not_ours,omitzero"`  // likewise
	Aside   uint64 `json:"set_aside,omitzero"`        // of the latest look
	Gone    uint64 `json:"gone,omitzero"`             // numbers of records among Lost
	Counted int64  `json:"counted,omitzero"`          // below this number of a record no more of them are lost
}

// debt is what a look has found missing and could not store. It is lost if the
// source no longer lists it when the next look succeeds.
type debt struct {
	From time.Time `json:"from"` // the next look goes back to here
	Keys []key     `json:"keys"` // at most mostFound, of records
}

const noteVersion = 1

// readNote takes a note. Of another source or another journal there is nothing to
// say, and one that cannot be read is like none: then the next look is the first.
// But if it is only out of reach the error is Unavailable.
func readNote(ctx context.Context, notes Notes, src *gatecast.Source, epoch string) (note, error) {
	fresh := note{Version: noteVersion, Created: src.Created, Epoch: epoch}
	content, err := notes.Take(ctx, src.Name)
	if err == nil && content == nil {
		return fresh, nil
	}
	var n note
	if err == nil {
		err = json.Unmarshal(content, &n)
	}
	switch {
	case err != nil:
		return fresh, fmt.Errorf("read the statement of the source: %w", err)
	case n.Version != noteVersion, !n.Created.Equal(src.Created):
		return fresh, errors.New("the statement in the file is about another source")
	case n.Epoch != epoch:
		fresh.Filled, fresh.Lost = n.Filled, n.Lost
		return fresh, errors.New("the statement in the file is about another journal")
	}
	return n, nil
}

func (n *note) write(ctx context.Context, notes Notes, source string) error {
	content, err := json.MarshalIndent(n, "", "  ")
	if err == nil {
		err = notes.Write(ctx, source, append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the statement of the source: %w", err)
	}
	return nil
}

// statement returns what can be said while a source has these settings. Nothing
// is if the note was made by others.
func (n *note) statement(settings string) gatecast.Statement {
	st := gatecast.Statement{
		Through: n.Through, Looked: n.Looked, Error: n.Error, Withheld: n.Proof.Lacking,
		Filled: n.Filled, Lost: n.Lost, NotOurs: n.Records + n.Alarms, SetAside: n.Aside,
	}
	if n.Proof.Settings != settings {
		st.Through = time.Time{}
		if !n.Through.IsZero() && st.Withheld == "" && st.Error == "" {
			st.Withheld = "the server was not asked by its present settings yet"
		}
	}
	return st
}
