package sse

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/gatecast/gatecast"
)

// roster knows every stream, and holds apps and server to their limits.
type roster struct {
	max int
	// mu guards the fields below; it is held for map operations only, and to
	// cancel contexts.
	mu      sync.Mutex
	shut    bool // nobody comes in any more
	why     cut  // why those inside are to leave at once; empty while they may stay
	total   int  // places taken
	taken   map[string]int
	streams map[*stream]struct{} // those that have begun
	gone    chan struct{}        // closed once it is shut and empty
}

func newRoster(limit int) *roster {
	return &roster{
		max:     limit,
		taken:   make(map[string]int),
		streams: make(map[*stream]struct{}),
		gone:    make(chan struct{}),
	}
}

// errClosing is the answer to whoever comes when the server stops.
var errClosing = &gatecast.Error{Code: gatecast.Unavailable, Message: "the server is stopping", Remedy: "try again"}

// admit takes a place for a stream of an app, whose own limit is 0 if it has
// none, or says why there is no place.
func (r *roster) admit(app string, limit int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.shut:
		return errClosing
	case r.total >= r.max:
		return &gatecast.Error{
			Code: gatecast.Unavailable, Message: "too many event streams are open",
			Remedy: "try again, or raise sse.max_connections",
		}
	case limit > 0 && r.taken[app] >= limit:
		return &gatecast.Error{
			Code: gatecast.TooMany, Message: "this app may have " + strconv.Itoa(limit) + " event streams at once",
			Remedy: "close one, or raise the app's max_connections",
		}
	}
	r.taken[app]++
	r.total++
	return nil
}

// add lists a stream that has been admitted. One that everybody was told to
// leave without is told so now.
func (r *roster) add(st *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams[st] = struct{}{}
	if r.why != "" {
		st.cancel(r.why)
	}
}

// remove takes a stream off the list. Its place is given back by leave.
func (r *roster) remove(st *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, st)
}

// leave gives an admitted place back.
func (r *roster) leave(app string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[app]--
	if r.taken[app] == 0 {
		delete(r.taken, app)
	}
	r.total--
	if r.shut && r.total == 0 {
		close(r.gone)
	}
}

// close lets nobody in any more. It returns a channel that is closed once
// everybody has left.
func (r *roster) close() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shut {
		r.shut = true
		if r.total == 0 {
			close(r.gone)
		}
	}
	return r.gone
}

// end is close, and has everybody leave at once.
func (r *roster) end(why cut) <-chan struct{} {
	gone := r.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == "" {
		r.why = why
	}
	for st := range r.streams {
		st.cancel(r.why)
	}
	return gone
}

// all returns the streams that have begun.
func (r *roster) all() []*stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.streams))
}

func (r *roster) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}
