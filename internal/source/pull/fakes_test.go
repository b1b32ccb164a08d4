package pull

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gatecast/gatecast"
)

// registry is a Sources whose changes are heard by one.
type registry struct {
	mu      sync.Mutex
	sources map[string]*gatecast.Source
	changes chan string
}

func newRegistry(all ...*gatecast.Source) *registry {
	r := &registry{sources: map[string]*gatecast.Source{}, changes: make(chan string, 100)}
	for _, s := range all {
		r.sources[s.Name] = s
	}
	return r
}

func (r *registry) Source(name string) (*gatecast.Source, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sources[name]
	return s, ok
}

func (r *registry) Sources() []*gatecast.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*gatecast.Source
	for _, s := range r.sources {
		all = append(all, s)
	}
	return all
}

func (r *registry) SourceChanges(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case name := <-r.changes:
				if !yield(name) {
					return
				}
			}
		}
	}
}

// change replaces a source; nil deletes it.
func (r *registry) change(name string, to func(s gatecast.Source) *gatecast.Source) {
	r.mu.Lock()
	var old gatecast.Source
	if s := r.sources[name]; s != nil {
		old = *s
	}
	if next := to(old); next != nil {
		r.sources[name] = next
	} else {
		delete(r.sources, name)
	}
	r.mu.Unlock()
	r.changes <- name
}

// journal keeps what it gets.
type journal struct {
	mu     sync.Mutex
	events []gatecast.Event
	ids    map[string]bool
	sizes  []int // of the calls
	full   error // returned by Accepting
	fail   func([]gatecast.Event) error
	wait   chan struct{} // nil: Append does not wait
}

func (j *journal) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	j.mu.Lock()
	wait := j.wait
	j.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return gatecast.Receipt{}, gatecast.Errorf(gatecast.Unavailable, "too slow")
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		if err := j.fail(events); err != nil {
			return gatecast.Receipt{}, err
		}
	}
	j.sizes = append(j.sizes, len(events))
	var r gatecast.Receipt
	if j.ids == nil {
		j.ids = map[string]bool{}
	}
	for _, e := range events {
		if j.ids[e.ID] {
			r.Duplicates++
			continue
		}
		j.ids[e.ID] = true
		j.events = append(j.events, e)
		r.Accepted++
	}
	return r, nil
}

func (j *journal) Accepting() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.full
}

func (j *journal) set(change func(j *journal)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(j)
}

// stored returns the IDs in the journal, in order.
func (j *journal) stored() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := make([]string, 0, len(j.events))
	for _, e := range j.events {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

func (j *journal) all() []gatecast.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

// shelf is a Quarantine that keeps what it gets.
type shelf struct {
	mu    sync.Mutex
	items []string // source: reason: body
}

func (s *shelf) Put(source, reason string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, fmt.Sprintf("%s: %s: %.60q", source, reason, body))
}

func (s *shelf) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}
