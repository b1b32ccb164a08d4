package journal

import (
	"crypto/sha256"
	"time"

	"github.com/gatecast/gatecast"
)

// index remembers the IDs stored lately. It is owned by one goroutine.
//
// IDs are kept as 128 bits of their SHA-256: small, and nobody can craft an ID
// that swallows somebody else's event.
type index struct {
	window time.Duration
	max    int
	seqs   map[idHash]gatecast.Seq
	order  []remembered // oldest first from head on
	head   int
}

type idHash [16]byte

type remembered struct {
	id idHash
	at int64 // Unix milliseconds
}

func newIndex(d Dedup) *index {
	return &index{window: d.Window, max: d.Max, seqs: make(map[idHash]gatecast.Seq)}
}

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

// find returns the Seq under which id is stored, zero if it is not known.
func (x *index) find(id idHash) gatecast.Seq { return x.seqs[id] }

// add remembers an ID and forgets those outside the window or beyond the limit.
// An ID that is known stays where it was stored first.
func (x *index) add(id idHash, seq gatecast.Seq, at time.Time) {
	if x.seqs[id] == 0 {
		x.order = append(x.order, remembered{id, at.UnixMilli()})
		x.seqs[id] = seq
	}
	x.expire(at)
}

func (x *index) expire(now time.Time) {
	oldest := now.Add(-x.window).UnixMilli()
	for len(x.order)-x.head > x.max || (x.head < len(x.order) && x.order[x.head].at < oldest) {
		delete(x.seqs, x.order[x.head].id)
		x.head++
	}
	if x.head > len(x.order)/2 && x.head > 1024 {
		x.order = append(x.order[:0], x.order[x.head:]...)
		x.head = 0
	}
}
