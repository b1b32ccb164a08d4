package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

// slowStore is a disk in simulated time: each commit takes fixed, and each of
// its events each.
type slowStore struct {
	fixed, each time.Duration
	stall       func() time.Duration // beyond that; may be nil

	last   gatecast.Seq
	stored map[string]gatecast.Seq // by ID
}

func (s *slowStore) batch(_ context.Context, items []*item) verdict {
	took := s.fixed + time.Duration(len(items))*s.each
	if s.stall != nil {
		took += s.stall()
	}
	time.Sleep(took) // simulated
	if s.stored == nil {
		s.stored = make(map[string]gatecast.Seq)
	}
	for _, it := range items {
		s.last++
		it.seq = s.last
		s.stored[it.event.ID] = it.seq
	}
	return verdict{}
}

func (s *slowStore) singles(ctx context.Context, items []*item) verdict { return s.batch(ctx, items) }
func (s *slowStore) idle(context.Context) error                         { return nil }
func (s *slowStore) close()                                             {}

// openOver makes a journal that is nothing but a queue and a committer over a
// store, until the test ends.
func openOver(t testing.TB, s store, o Commit) *Journal {
	t.Helper()
	o = o.withDefaults()
	j := &Journal{opts: Options{Commit: o}, metrics: newMeters(), health: &health{}, tail: newTail(0, 4096, 1<<20), queue: newQueue(o)}
	j.health.state.Store(&condition{})
	c := &committer{
		queue: j.queue, store: s, opts: o, log: slog.New(slog.DiscardHandler), meter: j.metrics, tail: j.tail,
		index: newIndex(Dedup{}.withDefaults()), pace: newPace(),
	}
	j.committing.Go(func() { c.run(context.Background()) })
	t.Cleanup(func() {
		j.queue.close()
		j.committing.Wait()
	})
	return j
}

var payload = make([]byte, 900)

func events(name string, n int) []gatecast.Event {
	out := make([]gatecast.Event, n)
	for i := range out {
		out[i] = gatecast.Event{ID: fmt.Sprintf("%s-%d", name, i), Data: payload}
	}
	return out
}

// tally is what became of calls.
type tally struct {
	mu              sync.Mutex // guards the fields below
	accepted        []string   // names of calls that were answered with success
	shed            int
	worst, refusing time.Duration // the longest answer of each kind
}

// send appends one call and counts its answer.
func (y *tally) send(t *testing.T, j *Journal, name string, n int) (retry time.Duration) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := j.Append(ctx, events(name, n))
	took := time.Since(start)
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case err == nil:
		y.accepted, y.worst = append(y.accepted, name), max(y.worst, took)
	case gatecast.CodeOf(err) == gatecast.Unavailable:
		y.shed++
		y.refusing = max(y.refusing, took)
		return time.Second
	default:
		t.Errorf("%s: %v", name, err)
	}
	return 0
}

// TestMoreThanTheDiskTakesIsShedAndTheRestIsNotSlow has far more senders than
// the disk serves within the bound.
func TestMoreThanTheDiskTakesIsShedAndTheRestIsNotSlow(t *testing.T) {
	for _, size := range []int{1, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slowStore{fixed: 5 * time.Millisecond, each: 100 * time.Microsecond}
				o := Commit{Wait: 500 * time.Millisecond, Events: 100}
				j := openOver(t, s, o)
				var y tally
				var senders sync.WaitGroup
				const length = 2 * time.Second
				start := time.Now()
				for n := range 4000 / size {
					senders.Go(func() {
						for i := 0; time.Since(start) < length; i++ {
							time.Sleep(y.send(t, j, fmt.Sprintf("%d-%d", n, i), size))
						}
					})
				}
				senders.Wait()
				took := time.Since(start)
				commit := s.fixed + time.Duration(o.Events)*s.each
				if limit := o.Wait + 3*commit; y.worst > limit {
					t.Errorf("an accepted call took %v, more than %v", y.worst, limit)
				}
				if y.refusing > 0 {
					t.Errorf("a refusal took %v", y.refusing)
				}
				if y.shed == 0 || len(y.accepted) == 0 {
					t.Errorf("%d shed, %d accepted: no overload", y.shed, len(y.accepted))
				}
				for _, name := range y.accepted {
					if s.stored[fmt.Sprintf("%s-%d", name, size-1)] == 0 {
						t.Errorf("%s was accepted and is lost", name)
					}
				}
				full := int(took/commit) * o.Events
				if got := len(y.accepted) * size; got < full*9/10 {
					t.Errorf("%d events stored; a disk that is kept busy takes %d", got, full)
				}
			})
		})
	}
}

// TestACrowdOfSinglesIsNotShed: they all go into the next commit, however slow
// the disk is.
func TestACrowdOfSinglesIsNotShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openOver(t, &slowStore{fixed: 1500 * time.Millisecond}, Commit{})
		var y tally
		var senders sync.WaitGroup
		for n := range 900 {
			senders.Go(func() {
				for i := range 10 {
					y.send(t, j, fmt.Sprintf("%d-%d", n, i), 1)
				}
			})
		}
		senders.Wait()
		if y.shed > 0 || len(y.accepted) != 9000 {
			t.Errorf("%d shed, %d accepted", y.shed, len(y.accepted))
		}
	})
}

// TestADiskThatDoesNotAnswerIsNotWaitedForByMany: once a commit is overdue,
// nobody else is let in, and when it ends all are.
func TestADiskThatDoesNotAnswerIsNotWaitedForByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := 10 * time.Second
		s := &slowStore{fixed: time.Millisecond, stall: func() time.Duration { d := hang; hang = 0; return d }}
		j := openOver(t, s, Commit{})
		var first sync.WaitGroup
		var y tally
		first.Go(func() { y.send(t, j, "first", 1) })
		time.Sleep(1900 * time.Millisecond)
		if err := j.Accepting(); err != nil {
			t.Errorf("within the bound: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := j.Accepting(); gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
			t.Errorf("beyond the bound: %v, want unavailable", err)
		}
		if y.send(t, j, "second", 1); y.shed != 1 {
			t.Error("a call was let in while the disk did not answer")
		}
		first.Wait()
		synctest.Wait()
		if err := j.Accepting(); err != nil {
			t.Errorf("when the disk answers again: %v", err)
		}
		if y.send(t, j, "third", 1); len(y.accepted) != 2 {
			t.Errorf("accepted %v", y.accepted)
		}
	})
}
