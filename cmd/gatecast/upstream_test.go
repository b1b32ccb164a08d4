package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// upstream stands for what follows sources, asks them, and keeps what it could
// not understand. Nobody is connected to.
type upstream struct {
	mu        sync.Mutex // guards state, left, next and after, which the server's handlers change, for moments
	state     gatecast.SourceState
	left      int                  // so many times State is asked before a look ends that takes long; 0: looks end at once
	next      *gatecast.SourcePost // the latest post, when State has been asked so often
	after     int
	statement gatecast.Statement
	err       error                  // of Reconcile
	kept      []gatecast.Quarantined // newest first
	injected  string                 // the latest
}

func (u *upstream) State(string) gatecast.SourceState {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.next != nil {
		if u.after--; u.after == 0 {
			u.state.Post, u.next = u.next, nil
		}
	}
	if u.left > 0 {
		if u.left--; u.left == 0 {
			u.state.Statement.Looked = time.Now()
		}
	}
	return u.state
}

func (u *upstream) Reconcile(ctx context.Context, _ string) (gatecast.Statement, error) {
	u.mu.Lock()
	left := u.left
	u.mu.Unlock()
	if left > 0 {
		<-ctx.Done()
		return gatecast.Statement{}, ctx.Err()
	}
	return u.statement, u.err
}

func (u *upstream) List(_ context.Context, before string, limit int) ([]gatecast.Quarantined, error) {
	var page []gatecast.Quarantined
	for _, q := range u.kept {
		if (before == "" || q.ID < before) && len(page) < limit {
			page = append(page, q)
		}
	}
	return page, nil
}

func (u *upstream) Get(_ context.Context, id string) (gatecast.Quarantined, error) {
	i := slices.IndexFunc(u.kept, func(q gatecast.Quarantined) bool { return q.ID == id })
	if i < 0 {
		return gatecast.Quarantined{}, gatecast.Errorf(gatecast.NotFound, "nothing with the ID %q is kept", id)
	}
	return u.kept[i], nil
}

func (u *upstream) Drop(ctx context.Context, id string) error {
	_, err := u.Get(ctx, id)
	u.kept = slices.DeleteFunc(u.kept, func(q gatecast.Quarantined) bool { return q.ID == id })
	return err
}

func (u *upstream) Inject(_ context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	u.injected = string(q.Body)
	if !strings.Contains(u.injected, "eventType") {
		return gatecast.Receipt{}, gatecast.Errorf(gatecast.Invalid, "it is still not understood")
	}
	return gatecast.Receipt{Accepted: 1, Duplicates: 2, First: 7, Last: 7}, nil
}
