package registry

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAShelfAgreesWithAMapAndOlderOnesStayAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now, want := newShelf[int](), map[string]int{}
		older, wanted := now, map[string]int{}
		keys := rapid.StringMatching("[a-f]{1,2}")
		check := func(s *shelf[int], want map[string]int) {
			if s.len() != len(want) {
				t.Fatalf("%d entries, want %d", s.len(), len(want))
			}
			if diff := cmp.Diff(slices.Sorted(maps.Values(want)), slices.Sorted(s.all())); diff != "" {
				t.Fatal(diff)
			}
			for key, v := range want {
				if got, there := s.get(key); !there || got != v {
					t.Fatalf("%q is %d, %v, want %d", key, got, there, v)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"with": func(t *rapid.T) {
				key, v := keys.Draw(t, "key"), rapid.Int().Draw(t, "value")
				now, want[key] = now.with(key, v), v
			},
			"without": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				now = now.without(key)
				delete(want, key)
				if _, there := now.get(key); there {
					t.Fatalf("%q is there", key)
				}
			},
			"remember": func(*rapid.T) { older, wanted = now, maps.Clone(want) },
			"": func(*rapid.T) {
				check(now, want)
				check(older, wanted)
			},
		})
	})
}

func TestAShelfCanBeLeftEarly(t *testing.T) {
	s := newShelf[int]().with("a", 1).with("b", 2)
	seen := 0
	for range s.all() {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d entries were seen", seen)
	}
}
