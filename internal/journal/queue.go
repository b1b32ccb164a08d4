package journal

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// queue holds the calls that wait for the committer. It is bounded by bytes,
// and by the time that a new call must expect to wait: when more comes in than
// the disk takes, some are refused at once instead of all being slow.
type queue struct {
	opts Commit
	wake chan struct{} // holds one token: there may be something

	// mu guards the fields below. It is held only to move calls.
	mu     sync.Mutex
	calls  []*call
	load   load // of calls
	closed bool
	taken  load      // of the commit under way
	began  time.Time // when it was taken; zero if there is none
	rate   float64   // bytes per second of full commits, as learned; zero until there was one
}

// load is how much calls have to store.
type load struct{ events, bytes int }

// firstRate stands in for the pace of the disk until it is known: one that few
// disks do not reach.
const firstRate = 8 << 20

// of reports whether l is at least that share of a full commit: 1 is all of
// it, 2 is half.
func (l load) of(c Commit, share int) bool {
	return l.events*share >= c.Events || l.bytes*share >= c.Bytes
}

func newQueue(c Commit) *queue { return &queue{opts: c, wake: make(chan struct{}, 1)} }

// add refuses when too much waits already: the disk does not keep up.
func (q *queue) add(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refuse(time.Now()); err != nil {
		return err
	}
	if q.load.bytes > 0 && q.load.bytes+c.size > q.opts.Queue {
		return crowded("too many events wait to be stored: the disk does not keep up", time.Second)
	}
	q.calls = append(q.calls, c)
	q.load.events += len(c.events)
	q.load.bytes += c.size
	q.stir()
	return nil
}

// stir must be called with mu held.
func (q *queue) stir() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// accepting returns why add would refuse any call now.
func (q *queue) accepting(now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refuse(now)
}

// refuse must be called with mu held.
func (q *queue) refuse(now time.Time) error {
	if q.closed {
		return errClosed()
	}
	if wait := q.waits(now); wait > q.opts.Wait {
		return crowded(fmt.Sprintf("events would wait %v to be stored: the disk does not keep up", wait.Round(100*time.Millisecond)), wait-q.opts.Wait)
	}
	return nil
}

// crowded asks each caller to come back at another moment: all who were refused
// together would otherwise meet again.
func crowded(message string, retry time.Duration) error {
	retry = max(retry, time.Second)
	return &gatecast.Error{
		Code: gatecast.Unavailable, Message: message, Remedy: "send again a little later", Retry: retry + rand.N(2*retry),
	}
}

// expect returns how long a new call must expect to wait for its turn.
func (q *queue) expect(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waits(now)
}

// waits must be called with mu held. What goes into the next commit together
// waits for the one under way only, however slow the disk is. What lies beyond
// goes by full commits, whose pace is known once there were some. A commit that
// does not end is a disk that does not answer: its age counts, too.
func (q *queue) waits(now time.Time) (wait time.Duration) {
	if !q.began.IsZero() {
		wait = now.Sub(q.began)
	}
	if q.load.of(q.opts, 1) {
		wait += time.Duration(float64(q.load.bytes) / cmp.Or(q.rate, firstRate) * float64(time.Second))
	}
	return wait
}

// take returns what fits into one commit, at least one call; closed is true
// once nothing is left and nothing can come.
func (q *queue) take() (calls []*call, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, take := 0, load{}
	for ; n < len(q.calls); n++ {
		more := load{take.events + len(q.calls[n].events), take.bytes + q.calls[n].size}
		if n > 0 && (more.events > q.opts.Events || more.bytes > q.opts.Bytes) {
			break
		}
		take = more
	}
	q.load.events -= take.events
	q.load.bytes -= take.bytes
	calls = append(calls, q.calls[:n]...)
	clear(q.calls[:n])
	if q.calls = q.calls[n:]; len(q.calls) == 0 {
		q.calls = nil
	}
	if n > 0 {
		q.taken, q.began = take, time.Now()
	}
	return calls, q.closed && n == 0
}

// stored ends the commit that take began, with the number of events that are
// new on disk. Commits that are small, or mostly duplicates, tell nothing about
// the pace of full ones.
func (q *queue) stored(events int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	took := time.Since(q.began)
	q.began = time.Time{}
	if !q.taken.of(q.opts, 2) || 2*events < q.taken.events || took <= 0 {
		return
	}
	rate := float64(q.taken.bytes) / took.Seconds()
	if q.rate == 0 {
		q.rate = rate
	}
	q.rate += (rate - q.rate) / 8
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.stir()
}
