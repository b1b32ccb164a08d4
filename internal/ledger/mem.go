package ledger

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Mem is the two buckets in memory, the same to their stores as the real ones.
// The zero value is empty. Several stores may share one, as nodes do.
type Mem struct {
	books   memBucket
	letters memBucket
}

// Crash returns what has been committed so far: what a store finds after a
// crash. The stores of this one go on without touching it.
func (m *Mem) Crash() *Mem {
	c := &Mem{}
	m.books.copyTo(&c.books)
	m.letters.copyTo(&c.letters)
	return c
}

// memLimit is what a NATS server allows unless told otherwise.
const memLimit = 1<<20 - overhead

var errTooLarge = errors.New("the value is larger than a message may be")

type memBucket struct {
	// mu guards the fields below; it is held only for map work.
	mu    sync.Mutex
	rev   uint64
	items map[string]entry
	moved chan struct{}                          // closed and replaced on every change; nil if nobody waits
	fault func(key string) (before, after error) // tests make a write fail before or after it is done
	bytes int                                    // most of a value; 0: memLimit
}

func (b *memBucket) copyTo(c *memBucket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.rev, c.items, c.bytes = b.rev, maps.Clone(b.items), b.bytes
}

func (b *memBucket) limit() int { return cmp.Or(b.bytes, memLimit) }

func (b *memBucket) get(ctx context.Context, key string) (entry, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, unavailable(err)
	}
	if before, _ := b.faults("get " + key); before != nil {
		return entry{}, unavailable(before)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.items[key]
	if !ok || e.gone {
		return entry{}, errMissing
	}
	return e, nil
}

func (b *memBucket) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return b.change(ctx, entry{key: key, value: slices.Clone(value)}, func(now entry) bool {
		return now.rev == rev && !now.gone || rev == 0 && now.gone
	})
}

func (b *memBucket) set(ctx context.Context, key string, value []byte) (uint64, error) {
	return b.change(ctx, entry{key: key, value: slices.Clone(value)}, func(entry) bool { return true })
}

func (b *memBucket) del(ctx context.Context, key string, rev uint64) error {
	_, err := b.change(ctx, entry{key: key, gone: true}, func(now entry) bool { return rev == 0 || now.rev == rev })
	return err
}

func (b *memBucket) faults(key string) (before, after error) {
	b.mu.Lock()
	fault := b.fault
	b.mu.Unlock()
	if fault == nil {
		return nil, nil
	}
	return fault(key)
}

// change writes an entry where allowed lets it.
func (b *memBucket) change(ctx context.Context, e entry, allowed func(now entry) bool) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, unavailable(err)
	}
	before, after := b.faults(e.key)
	if len(e.value) > b.limit() {
		before = errTooLarge
	}
	if before != nil {
		return 0, unavailable(before)
	}
	rev, err := b.write(e, allowed)
	if err == nil && after != nil {
		return 0, unavailable(after)
	}
	return rev, err
}

func (b *memBucket) write(e entry, allowed func(now entry) bool) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !allowed(b.items[e.key]) {
		return 0, errChanged
	}
	if b.items == nil {
		b.items = map[string]entry{}
	}
	b.rev++
	e.rev = b.rev
	b.items[e.key] = e
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
	return e.rev, nil
}

func (b *memBucket) watch(ctx context.Context, tell func(entry) bool) error {
	synced := false
	for last := uint64(0); ; {
		changed, moved := b.since(last)
		for _, e := range changed {
			last = e.rev
			e.value = nil
			if !tell(e) {
				return nil
			}
		}
		if !synced && !tell(entry{synced: true}) {
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
func (b *memBucket) since(rev uint64) ([]entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []entry
	for _, e := range b.items {
		if e.rev > rev {
			changed = append(changed, e)
		}
	}
	slices.SortFunc(changed, func(a, b entry) int { return cmp.Compare(a.rev, b.rev) })
	if b.moved == nil {
		b.moved = make(chan struct{})
	}
	return changed, b.moved
}
