package ws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// errFull says that the server, not the app, has no room.
var errFull = errors.New("no room for another connection")

// tooMany is the reason of a refusal that depends on who else is connected,
// which the protocol itself knows nothing of.
const tooMany senselink.Reason = "too_many_connections"

// roster knows every connection, and holds apps and server to their limits.
type roster struct {
	max int
	// mu guards the fields below; it is held for map operations only.
	mu    sync.Mutex
	taken map[string]int // places by app, from admission to release
	total int            // sum of taken
	conns map[string]map[*conn]struct{}
	gone  chan struct{} // closed and replaced when total falls to zero
}

func newRoster(limit int) *roster {
	return &roster{
		max:   limit,
		taken: make(map[string]int),
		conns: make(map[string]map[*conn]struct{}),
		gone:  make(chan struct{}),
	}
}

// admit takes a place for a connection of an app, or says why there is none.
func (r *roster) admit(app string, limit int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total >= r.max {
		return errFull
	}
	if r.taken[app] >= limit {
		return &senselink.Refusal{
			Reason: tooMany,
			Code:   gatecast.TooMany,
			Desc:   fmt.Sprintf("too many connections: this app may have %d at once", limit),
		}
	}
	r.taken[app]++
	r.total++
	return nil
}

// release gives an admitted place back.
func (r *roster) release(app string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[app]--
	if r.taken[app] == 0 {
		delete(r.taken, app)
	}
	r.total--
	if r.total == 0 {
		close(r.gone)
		r.gone = make(chan struct{})
	}
}

// add lists a connection that has been admitted.
func (r *roster) add(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.conns[c.who.app]
	if set == nil {
		set = make(map[*conn]struct{})
		r.conns[c.who.app] = set
	}
	set[c] = struct{}{}
}

// remove takes a connection off the list and gives its place back.
func (r *roster) remove(c *conn) {
	r.mu.Lock()
	set := r.conns[c.who.app]
	delete(set, c)
	if len(set) == 0 {
		delete(r.conns, c.who.app)
	}
	r.mu.Unlock()
	r.release(c.who.app)
}

// of returns the connections of an app.
func (r *roster) of(app string) []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.conns[app]))
}

// all returns every connection.
func (r *roster) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*conn, 0, r.total)
	for _, set := range r.conns {
		all = slices.AppendSeq(all, maps.Keys(set))
	}
	return all
}

func (r *roster) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// empty returns a channel that is closed once there is no connection.
func (r *roster) empty() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	return r.gone
}
