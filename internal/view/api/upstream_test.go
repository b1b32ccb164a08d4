package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatecast/gatecast"
)

// upstream stands for what follows sources, asks them, and keeps what it could
// not understand. Nobody is connected to.
type upstream struct {
	state     gatecast.SourceState
	statement gatecast.Statement
	err       error // of Reconcile
	long      bool  // Reconcile takes longer than anybody waits
	kept      []gatecast.Quarantined
	asked     []string // calls that tests look at
}

func (u *upstream) online(user string) int { return len(user) }

func (u *upstream) note(format string, args ...any) {
	u.asked = append(u.asked, fmt.Sprintf(format, args...))
}

// took returns what was asked since it was called last.
func (u *upstream) took() string {
	text := strings.Join(u.asked, "; ")
	u.asked = nil
	return text
}

func (u *upstream) State(name string) gatecast.SourceState {
	st := u.state
	st.Name = name
	return st
}

func (u *upstream) Reconcile(ctx context.Context, name string) (gatecast.Statement, error) {
	u.note("reconcile %s", name)
	if u.long {
		<-ctx.Done()
		return gatecast.Statement{}, ctx.Err()
	}
	return u.statement, u.err
}

func (u *upstream) List(_ context.Context, before string, limit int) ([]gatecast.Quarantined, error) {
	var page []gatecast.Quarantined
	for _, q := range u.kept {
		if (before == "" || q.ID < before) && len(page) < limit {
			q.Body = nil
			page = append(page, q)
		}
	}
	return page, nil
}

func (u *upstream) Get(_ context.Context, id string) (gatecast.Quarantined, error) {
	i := slices.IndexFunc(u.kept, func(q gatecast.Quarantined) bool { return q.ID == id })
	if i < 0 {
		e := gatecast.Errorf(gatecast.NotFound, "nothing with the ID %q is kept", id)
		e.Remedy = "list it with: gatecast quarantine list"
		return gatecast.Quarantined{}, e
	}
	return u.kept[i], nil
}

func (u *upstream) Drop(ctx context.Context, id string) error {
	_, err := u.Get(ctx, id)
	u.kept = slices.DeleteFunc(u.kept, func(q gatecast.Quarantined) bool { return q.ID == id })
	return err
}

func (u *upstream) Inject(_ context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	u.note("inject %s", q.Body)
	if !strings.Contains(string(q.Body), "eventType") {
		e := gatecast.Errorf(gatecast.Invalid, "it is still not understood")
		e.Remedy = "correct it"
		return gatecast.Receipt{}, e
	}
	return gatecast.Receipt{Accepted: 1, First: 7, Last: 7}, nil
}
