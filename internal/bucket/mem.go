package bucket

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
)

// Mem is a bucket in memory, the same to its users as the real one. The zero
// value is an empty bucket. Several users may share one, as nodes do.
type Mem struct {
	MaxValue int // bytes; default what a server takes unless told otherwise; set before use

	// mu guards the fields below; it is held only for map work.
	mu    sync.Mutex
	rev   uint64
	items map[string]Entry // removed keys stay as entries with Gone set
	moved chan struct{}    // closed and replaced on every change; nil if nobody waits
}

// Crash returns a bucket that holds what has been written to this one so far:
// what is found after a crash. The users of this one go on without touching it.
func (m *Mem) Crash() *Mem {
	c := &Mem{}
	m.CrashInto(c)
	return c
}

// CrashInto is Crash for an empty bucket that is there already.
func (m *Mem) CrashInto(c *Mem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.rev, c.items, c.MaxValue = m.rev, maps.Clone(m.items), m.MaxValue
}

// Expire forgets which keys have been removed, as a bucket with Options.Markers
// does in time.
func (m *Mem) Expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.items, func(_ string, e Entry) bool { return e.Gone })
}

// Limit is the most bytes of a value.
func (m *Mem) Limit() int { return cmp.Or(m.MaxValue, usual) }

// Get is [Bucket]'s.
func (m *Mem) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, Unavailable(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.items[key]
	if !ok || e.Gone {
		return Entry{}, ErrMissing
	}
	return e, nil
}

// Put is [Bucket]'s.
func (m *Mem) Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return m.change(ctx, Entry{Key: key, Value: slices.Clone(value)}, func(now Entry) bool {
		return now.Rev == rev && !now.Gone || rev == 0 && now.Gone
	})
}

// Set is [Bucket]'s.
func (m *Mem) Set(ctx context.Context, key string, value []byte) (uint64, error) {
	return m.change(ctx, Entry{Key: key, Value: slices.Clone(value)}, func(Entry) bool { return true })
}

// Delete is [Bucket]'s.
func (m *Mem) Delete(ctx context.Context, key string, rev uint64) error {
	_, err := m.change(ctx, Entry{Key: key, Gone: true}, func(now Entry) bool { return rev == 0 || now.Rev == rev })
	return err
}

// change writes an entry where allowed lets it.
func (m *Mem) change(ctx context.Context, e Entry, allowed func(now Entry) bool) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, Unavailable(err)
	}
	if len(e.Value) > m.Limit() {
		return 0, Unavailable(errTooLarge)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !allowed(m.items[e.Key]) {
		return 0, ErrChanged
	}
	if m.items == nil {
		m.items = map[string]Entry{}
	}
	m.rev++
	e.Rev = m.rev
	m.items[e.Key] = e
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	return e.Rev, nil
}

// Watch is [Bucket]'s.
func (m *Mem) Watch(ctx context.Context, what What, tell func(Entry) bool) error {
	synced := false
	for last := uint64(0); ; {
		changed, moved := m.since(last)
		for _, e := range changed {
			last = e.Rev
			if what == Keys {
				e.Value = nil
			}
			if !tell(e) {
				return nil
			}
		}
		if !synced && !tell(Entry{Synced: true}) {
			return nil
		}
		synced = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// since returns the entry of every key changed after rev, in order, and a
// channel that closes on the next change.
func (m *Mem) since(rev uint64) ([]Entry, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var changed []Entry
	for _, e := range m.items {
		if e.Rev > rev {
			changed = append(changed, e)
		}
	}
	slices.SortFunc(changed, func(a, b Entry) int { return cmp.Compare(a.Rev, b.Rev) })
	if m.moved == nil {
		m.moved = make(chan struct{})
	}
	return changed, m.moved
}
