package client

import (
	"sync"

	"github.com/gatecast/gatecast"
)

// ledger knows what has been handed out and what of it is acknowledged. Its
// cursor moves over whatever is acknowledged without a hole before it.
type ledger struct {
	limit int           // events handed out after the cursor, at most
	freed chan struct{} // holds one token after the cursor has moved, for whoever waits for room
	moved chan struct{} // the same, for whoever keeps the cursor

	// mu guards everything below. Acknowledgements come from any goroutine.
	mu     sync.Mutex
	queue  []entry // after the cursor, in the order of handing out; see room
	base   uint64  // number of queue[0]
	events int     // in queue
	passed uint64  // events the cursor has moved over, ever
	cursor place
	known  bool // cursor is one
	line   line
}

// place is a position in one of the journals met. age counts them: a journal
// that was set back keeps its epoch and is another one all the same.
type place struct {
	Position
	age int
}

// entry is what was handed out, or passed over, in its turn.
type entry struct {
	at    place
	event bool // one handed out
	done  bool // acknowledged, or nothing to acknowledge
}

// line is the connection as its acknowledgements see it.
type line struct {
	age    int
	pushed gatecast.Seq // newest event that came on it
	told   gatecast.Seq // newest acknowledgement sent on it, or where it began
	passed uint64       // ledger.passed at that time
}

func newLedger(limit int) *ledger {
	return &ledger{limit: limit, freed: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
}

// begin sets the cursor, if there is none yet and nothing is on its way.
func (l *ledger) begin(at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known && len(l.queue) == 0 {
		l.cursor, l.known = at, true
		signal(l.moved)
	}
}

// room reports whether something may be handed out. It bounds the queue, which
// besides events holds gaps, and no two neighbours that were passed over.
func (l *ledger) room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events < l.limit && len(l.queue) < 4*l.limit
}

// hand notes what is handed out now and returns the number to acknowledge it
// by.
func (l *ledger) hand(at place, event bool) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, entry{at: at, event: event})
	if event {
		l.events++
	}
	return l.base + uint64(len(l.queue)) - 1
}

// skip notes an event that is not handed out.
func (l *ledger) skip(at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.queue); n > 0 && l.queue[n-1].done {
		l.queue[n-1].at = at
		return
	}
	l.queue = append(l.queue, entry{at: at, done: true})
	l.advance()
}

// ack notes that what has the number n is acknowledged. Twice is no harm.
func (l *ledger) ack(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.base {
		return
	}
	l.queue[n-l.base].done = true
	l.advance()
}

// advance moves the cursor. l.mu must be held.
func (l *ledger) advance() {
	n := 0
	for ; n < len(l.queue) && l.queue[n].done; n++ {
		l.cursor, l.known = l.queue[n].at, true
		if l.queue[n].event {
			l.events--
			l.passed++
		}
	}
	if n == 0 {
		return
	}
	l.queue = l.queue[n:]
	l.base += uint64(n)
	signal(l.freed)
	signal(l.moved)
}

// position returns the cursor; ok is false if there is none.
func (l *ledger) position() (p Position, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursor.Position, l.known
}

// connect forgets the last connection. The new one begins after at.
func (l *ledger) connect(at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = line{age: at.age, pushed: at.Seq, told: at.Seq, passed: l.passed}
}

// arrive notes that an event came on the connection, new or not.
func (l *ledger) arrive(at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line.age != at.age {
		l.line = line{age: at.age, told: at.Seq - 1, passed: l.passed}
	}
	l.line.pushed = max(l.line.pushed, at.Seq)
	signal(l.moved) // it may be one that was acknowledged long ago
}

// tell returns the acknowledgement that the connection is owed, and counts it
// as sent. It never covers what did not come on this connection: what another
// was told about means nothing here.
func (l *ledger) tell() (seq gatecast.Seq, owed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq = min(l.cursor.Seq, l.line.pushed)
	if !l.known || l.cursor.age != l.line.age || seq <= l.line.told {
		return 0, false
	}
	l.line.told, l.line.passed = seq, l.passed
	return seq, true
}

// urgent reports whether what the connection has not been told of is half of
// what may be on its way.
func (l *ledger) urgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passed-l.line.passed >= uint64(max(l.limit/2, 1))
}

// signal leaves a token, unless one is there already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
