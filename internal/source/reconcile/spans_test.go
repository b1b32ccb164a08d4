package reconcile

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSpansAreTheSetOfWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := &spans{}, make(map[int64]bool)
		numbers := rapid.SliceOf(rapid.OneOf(rapid.Int64Range(1, 40), rapid.Int64Range(1, math.MaxInt64))).Draw(t, "numbers")
		for _, n := range numbers {
			if s.add(n) == want[n] {
				t.Fatalf("add(%d) after %v", n, s.list)
			}
			want[n] = true
		}
		back, rest, err := decodeSpans(s.encode(nil), 0)
		if err != nil || len(rest) > 0 || !slices.Equal(back.list, s.list) {
			t.Fatalf("%v became %v, %v", s.list, back, err)
		}
		for n := int64(1); n <= 41; n++ {
			if s.has(n) != want[n] {
				t.Fatalf("has(%d) in %v", n, s.list)
			}
		}
		for i := 1; i < len(s.list); i++ {
			if s.list[i].lo <= s.list[i-1].hi+1 {
				t.Fatalf("not apart: %v", s.list)
			}
		}
	})
}

func TestOnlyTheLowestNumbersAreForgottenWhenThereAreTooManySpans(t *testing.T) {
	s := &spans{most: 10}
	for n := int64(2); n <= 100; n += 2 {
		s.add(n)
	}
	if len(s.list) > 10 || !s.has(100) || s.has(2) {
		t.Errorf("%v", s.list)
	}
}

func FuzzDecodeSpans(f *testing.F) {
	f.Add((&spans{list: []span{{1, 5}, {9, 9}}}).encode(nil))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 127, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := decodeSpans(b, 0)
		if err != nil {
			return
		}
		for i, e := range s.list {
			if e.lo < 1 || e.hi < e.lo || i > 0 && e.lo <= s.list[i-1].hi+1 {
				t.Fatalf("%v", s.list)
			}
		}
	})
}
