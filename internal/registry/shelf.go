package registry

import (
	"hash/maphash"
	"iter"
	"maps"
)

// drawers is how many parts a shelf has. With 10,000 entries a change copies
// some eighty of them and the list of drawers: some microseconds and 5 KB.
const drawers = 128

// shelf is a map that never changes: with and without return another one, which
// shares all drawers but one with the first. Copying a whole map instead, at
// each change, would make the work of creating n entries grow with n squared.
type shelf[V any] struct {
	seed    maphash.Seed
	drawers [drawers]map[string]V
	n       int
}

func newShelf[V any]() *shelf[V] { return &shelf[V]{seed: maphash.MakeSeed()} }

func (s *shelf[V]) drawer(key string) int { return int(maphash.String(s.seed, key) % drawers) }

func (s *shelf[V]) len() int { return s.n }

func (s *shelf[V]) get(key string) (V, bool) {
	v, there := s.drawers[s.drawer(key)][key]
	return v, there
}

func (s *shelf[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, d := range s.drawers {
			for _, v := range d {
				if !yield(v) {
					return
				}
			}
		}
	}
}

func (s *shelf[V]) with(key string, v V) *shelf[V] {
	next, i := *s, s.drawer(key)
	d := make(map[string]V, len(s.drawers[i])+1)
	maps.Copy(d, s.drawers[i])
	d[key] = v
	next.drawers[i] = d
	next.n += len(d) - len(s.drawers[i])
	return &next
}

func (s *shelf[V]) without(key string) *shelf[V] {
	next, i := *s, s.drawer(key)
	d := maps.Clone(s.drawers[i])
	delete(d, key)
	next.drawers[i] = d
	next.n += len(d) - len(s.drawers[i])
	return &next
}
