package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// store is a small key-value store with revisions. Revisions rise over the
// whole store, so that those of two keys can be compared.
type store interface {
	// get returns the entry of key, or errMissing.
	get(ctx context.Context, key string) (entry, error)
	// put writes value if the key's revision is still rev (0: there is no such
	// key), and returns the new revision; else errChanged.
	put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	// del removes the key if its revision is still rev; else errChanged.
	del(ctx context.Context, key string, rev uint64) error
	// watch calls tell with every entry there is, then with a synced one, then
	// with every change in order, until ctx ends or the watch is lost.
	watch(ctx context.Context, tell func(entry)) error
}

// entry is a key's state at a revision.
type entry struct {
	key    string
	value  []byte
	rev    uint64
	gone   bool // the key was removed at rev
	synced bool // no entry: all that existed when the watch began has been told
}

var (
	errMissing = errors.New("no such key")
	errChanged = errors.New("the key has changed meanwhile")
)

// memStore is a store in memory, the same to its user as the real one.
type memStore struct {
	// mu guards the fields below; it is held only for map work.
	mu    sync.Mutex
	rev   uint64
	items map[string]entry // removed keys stay as entries with gone set
	moved chan struct{}    // closed and replaced on every change
}

func newMemStore() *memStore {
	return &memStore{items: map[string]entry{}, moved: make(chan struct{})}
}

func (s *memStore) get(ctx context.Context, key string) (entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[key]
	if !ok || e.gone {
		return entry{}, errMissing
	}
	return e, ctx.Err()
}

func (s *memStore) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return s.write(ctx, entry{key: key, value: slices.Clone(value)}, rev)
}

func (s *memStore) del(ctx context.Context, key string, rev uint64) error {
	_, err := s.write(ctx, entry{key: key, gone: true}, rev)
	return err
}

func (s *memStore) write(ctx context.Context, e entry, rev uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, unavailable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.items[e.key]
	if there = there && !old.gone; there != (rev != 0) || (there && old.rev != rev) {
		return 0, errChanged
	}
	s.rev++
	e.rev = s.rev
	s.items[e.key] = e
	close(s.moved)
	s.moved = make(chan struct{})
	return e.rev, nil
}

func (s *memStore) watch(ctx context.Context, tell func(entry)) error {
	var told uint64
	for first := true; ; first = false {
		changed, moved := s.since(told)
		for _, e := range changed {
			tell(e)
			told = e.rev
		}
		if first {
			tell(entry{synced: true})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// since returns the newest entry of every key changed after rev, in order, and
// a channel that closes on the next change.
func (s *memStore) since(rev uint64) ([]entry, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changed []entry
	for _, e := range s.items {
		if e.rev > rev {
			changed = append(changed, e)
		}
	}
	slices.SortFunc(changed, func(a, b entry) int { return int(a.rev) - int(b.rev) })
	return changed, s.moved
}

// backoff waits before attempt n (from 0) of something that failed, 100 ms
// doubling to 5 s. It reports false if ctx ended first.
func backoff(ctx context.Context, n int) bool {
	t := time.NewTimer(min(100*time.Millisecond<<min(n, 10), 5*time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
