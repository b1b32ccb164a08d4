package cursor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
)

// Mem is a bucket in memory, the same to its stores as the real one. The zero
// value is an empty bucket. Several stores may share one, as nodes do.
type Mem struct {
	// mu guards the fields below; it is held only for map work.
	mu    sync.Mutex
	rev   uint64
	items map[string]entry
	moved chan struct{} // closed and replaced on every change; nil if nobody waits

	fault func(key string) (before, after error) // tests make a write fail before or after it is done
	bytes int                                    // most of a value; 0: memLimit
}

// memLimit is what a NATS server allows unless told otherwise.
const memLimit = 1<<20 - overhead

// Crash returns a bucket that holds what has been committed to this one so far:
// what a store finds after a crash. The stores of this one go on without
// touching it.
func (m *Mem) Crash() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Mem{rev: m.rev, items: maps.Clone(m.items), bytes: m.bytes}
}

func (m *Mem) limit() int { return cmp.Or(m.bytes, memLimit) }

func (m *Mem) get(ctx context.Context, key string) (entry, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, unavailable(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.items[key]
	if !ok {
		return entry{}, errMissing
	}
	return e, nil
}

func (m *Mem) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, unavailable(err)
	}
	var before, after error
	if m.fault != nil {
		before, after = m.fault(key)
	}
	if before != nil {
		return 0, unavailable(before)
	}
	rev, err := m.write(entry{key: key, value: slices.Clone(value)}, rev)
	if err == nil && after != nil {
		return 0, unavailable(after)
	}
	return rev, err
}

func (m *Mem) write(e entry, rev uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items[e.key].rev != rev {
		return 0, errChanged
	}
	if m.items == nil {
		m.items = map[string]entry{}
	}
	m.rev++
	e.rev = m.rev
	m.items[e.key] = e
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	return e.rev, nil
}

func (m *Mem) watch(ctx context.Context, tell func(entry)) error {
	for told := uint64(0); ; {
		changed, moved := m.since(told)
		for _, e := range changed {
			tell(e)
			told = e.rev
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// since returns the entry of every key changed after rev, in order, and a
// channel that closes on the next change.
func (m *Mem) since(rev uint64) ([]entry, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var changed []entry
	for _, e := range m.items {
		if e.rev > rev {
			changed = append(changed, e)
		}
	}
	slices.SortFunc(changed, func(a, b entry) int { return cmp.Compare(a.rev, b.rev) })
	if m.moved == nil {
		m.moved = make(chan struct{})
	}
	return changed, m.moved
}
