package ws

import (
	"context"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// maxEdges bounds the memory of edges; when it is full it begins anew.
const maxEdges = 64

// edges is a history that remembers where times lie, to the second below: of
// thousands of clients that come back in the same second, with the same window,
// the journal is asked for one. A second more than the window is no harm.
type edges struct {
	History
	// mu guards known; it is held for map operations only.
	mu    sync.Mutex
	known map[time.Time]gatecast.Seq
}

func newEdges(h History) *edges { return &edges{History: h, known: make(map[time.Time]gatecast.Seq)} }

// Since asks the journal, unless it has been asked the same. What retention
// has removed since then does not matter: reading from there tells.
func (e *edges) Since(ctx context.Context, t time.Time) (gatecast.Seq, error) {
	if t = t.Truncate(time.Second); time.Since(t) < time.Minute {
		return e.History.Since(ctx, t) // the answer may still change
	}
	if pos, ok := e.recall(t); ok {
		return pos, nil
	}
	pos, err := e.History.Since(ctx, t)
	if err == nil {
		e.remember(t, pos)
	}
	return pos, err
}

func (e *edges) recall(t time.Time) (gatecast.Seq, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pos, ok := e.known[t]
	return pos, ok
}

func (e *edges) remember(t time.Time, pos gatecast.Seq) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.known) >= maxEdges {
		clear(e.known)
	}
	e.known[t] = pos
}
