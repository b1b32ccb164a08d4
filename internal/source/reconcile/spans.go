package reconcile

import (
	"encoding/binary"
	"errors"
	"slices"
)

// span is every number from lo to hi.
type span struct{ lo, hi int64 }

// spans is a set of numbers above zero. It takes 16 bytes for each run of
// numbers without a hole: servers number in rising order, so that a source whose
// numbers are all ours takes next to nothing.
type spans struct {
	list []span // ascending, apart from each other by more than one
	most int    // beyond so many the lowest are forgotten
}

// place returns the index of the first span that ends at n or later.
func (s *spans) place(n int64) int {
	if len(s.list) > 0 && s.list[len(s.list)-1].hi < n { // the usual case
		return len(s.list)
	}
	i, _ := slices.BinarySearchFunc(s.list, n, func(e span, n int64) int {
		if e.hi < n {
			return -1
		}
		return 1
	})
	return i
}

func (s *spans) has(n int64) bool {
	i := s.place(n)
	return i < len(s.list) && s.list[i].lo <= n
}

// add puts a number in, and reports whether it was not there.
func (s *spans) add(n int64) bool {
	i := s.place(n)
	if i < len(s.list) && s.list[i].lo <= n {
		return false
	}
	before := i > 0 && s.list[i-1].hi == n-1
	behind := i < len(s.list) && s.list[i].lo == n+1
	switch {
	case before && behind:
		s.list[i-1].hi = s.list[i].hi
		s.list = slices.Delete(s.list, i, i+1)
	case before:
		s.list[i-1].hi = n
	case behind:
		s.list[i].lo = n
	default:
		s.list = slices.Insert(s.list, i, span{n, n})
	}
	if s.most > 0 && len(s.list) > s.most {
		// A tenth at once: this costs a copy of what is left.
		s.list = slices.Delete(s.list, 0, max(1, s.most/10))
	}
	return true
}

// count returns how many numbers are in the set.
func (s *spans) count() (n uint64) {
	for _, e := range s.list {
		n += uint64(e.hi-e.lo) + 1
	}
	return n
}

// holes counts the numbers between lo and hi that are not in the set, and have
// one that is below them and one above.
func (s *spans) holes(lo, hi int64) (n uint64) {
	for i := 1; i < len(s.list); i++ {
		first, last := max(lo, s.list[i-1].hi)+1, min(hi, s.list[i].lo)-1
		if first <= last {
			n += uint64(last - first + 1)
		}
	}
	return n
}

// encode appends the set: how many spans there are, and the distances between
// their ends.
func (s *spans) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.list)))
	last := int64(0)
	for _, e := range s.list {
		b = binary.AppendUvarint(b, uint64(e.lo-last))
		b = binary.AppendUvarint(b, uint64(e.hi-e.lo))
		last = e.hi
	}
	return b
}

var errDamaged = errors.New("the file is damaged")

// decodeSpans reads what encode has written, and returns what follows.
func decodeSpans(b []byte, most int) (*spans, []byte, error) {
	count, b, err := uvarint(b)
	if err != nil || count > uint64(len(b)) {
		return nil, nil, errDamaged
	}
	s := &spans{list: make([]span, 0, count), most: most}
	last := uint64(0)
	for range count {
		var gap, length uint64
		if gap, b, err = uvarint(b); err != nil {
			return nil, nil, err
		}
		if length, b, err = uvarint(b); err != nil {
			return nil, nil, err
		}
		const top = 1<<63 - 1
		if gap > top-last || length > top-last-gap || gap < 2 && len(s.list) > 0 || gap == 0 {
			return nil, nil, errDamaged
		}
		s.list = append(s.list, span{int64(last + gap), int64(last + gap + length)})
		last += gap + length
	}
	return s, b, nil
}

func uvarint(b []byte) (uint64, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, errDamaged
	}
	return n, b[size:], nil
}
