package ledger

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// mark says that there is a dead letter.
type mark struct {
	seq gatecast.Seq
	rev uint64
}

// doomed is a dead letter of a subscription that was forgotten. Only at this
// revision: a new subscription may have the same ID.
type doomed struct {
	key string
	rev uint64
}

// index is which dead letters there are.
type index struct {
	// mu guards the fields below. It is held only for looking and noting.
	mu    sync.Mutex
	marks map[string][]mark // by subscription, ascending
	count int
	tomb  []doomed             // to be removed by Run
	told  map[string]time.Time // when the log last said that a subscription has too many
}

// toldEvery is how often the log says so.
const toldEvery = time.Minute

func newIndex() *index { return &index{marks: map[string][]mark{}, told: map[string]time.Time{}} }

func find(marks []mark, seq gatecast.Seq) (int, bool) {
	return slices.BinarySearchFunc(marks, seq, func(m mark, seq gatecast.Seq) int { return cmp.Compare(m.seq, seq) })
}

// add notes a dead letter at a revision; older news of it are ignored.
func (x *index) add(id string, seq gatecast.Seq, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	marks := x.marks[id]
	i, there := find(marks, seq)
	if there {
		marks[i].rev = max(marks[i].rev, rev)
		return
	}
	x.marks[id] = slices.Insert(marks, i, mark{seq, rev})
	x.count++
}

// remove notes that a dead letter is gone since a revision, and reports whether
// it was there.
func (x *index) remove(id string, seq gatecast.Seq, rev uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	marks := x.marks[id]
	i, there := find(marks, seq)
	if !there || marks[i].rev > rev {
		return false
	}
	x.count--
	if len(marks) == 1 {
		delete(x.marks, id)
		return true
	}
	x.marks[id] = slices.Delete(marks, i, i+1)
	return true
}

// get returns the revision of a dead letter; 0 if there is none.
func (x *index) get(id string, seq gatecast.Seq) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, there := find(x.marks[id], seq); there {
		return x.marks[id][i].rev
	}
	return 0
}

// after returns up to n dead letters after seq, ascending.
func (x *index) after(id string, seq gatecast.Seq, n int) []mark {
	x.mu.Lock()
	defer x.mu.Unlock()
	marks := x.marks[id]
	i, there := find(marks, seq)
	if there {
		i++
	}
	return slices.Clone(marks[i:min(len(marks), i+n)])
}

// surplus returns the oldest dead letter of a subscription but spared, if it has
// more than max.
func (x *index) surplus(id string, max int, spared gatecast.Seq) (mark, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	marks := x.marks[id]
	if len(marks) <= max || len(marks) < 2 {
		return mark{}, false
	}
	if marks[0].seq == spared {
		return marks[1], true
	}
	return marks[0], true
}

// tell reports whether it is time to say that a subscription has too many.
func (x *index) tell(id string, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at, told := x.told[id]; told && now.Sub(at) < toldEvery {
		return false
	}
	x.told[id] = now
	return true
}

func (x *index) of(id string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.marks[id])
}

func (x *index) size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

func (x *index) names() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Keys(x.marks))
}

// forget dooms all dead letters of a subscription.
func (x *index) forget(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range x.marks[id] {
		x.tomb = append(x.tomb, doomed{letterKey(id, m.seq), m.rev})
	}
	x.count -= len(x.marks[id])
	delete(x.marks, id)
	delete(x.told, id)
}

// dead returns the doomed, who are to be given back if they cannot be removed.
func (x *index) dead() []doomed {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.tomb
	x.tomb = nil
	return all
}

func (x *index) revive(left []doomed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tomb = append(left, x.tomb...)
}

// snapshot returns every mark.
func (x *index) snapshot() map[doomed]letterID {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make(map[doomed]letterID, x.count)
	for id, marks := range x.marks {
		for _, m := range marks {
			all[doomed{letterKey(id, m.seq), m.rev}] = letterID{id, m.seq}
		}
	}
	return all
}
