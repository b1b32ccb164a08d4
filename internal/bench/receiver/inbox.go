package receiver

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Inbox is one path of the endpoint, with the books of what came there.
type Inbox struct {
	owner  *Receiver
	behave atomic.Pointer[Behaviour]
	check  atomic.Pointer[Check]

	mu    sync.Mutex // guards the fields below; nothing is waited for under it
	books Books
	sums  map[uint64]uint64 // webhook-id to body, both hashed: a retry has to be the same
}

// Check is what a careful receiver does with a request before it believes it.
// Its error goes into the books, and the call is answered nevertheless.
type Check func(header http.Header, body []byte) error

// Books is what has come to an inbox.
type Books struct {
	Requests int
	Entries  []Entry  // by the event's number; those that never came have no tries
	Order    []uint64 // numbers of the events in the order in which they were accepted first
	Foreign  int      // events that are not counted, see [Options.Number]
	Faults   []string // the first few things that must not happen
	Faulty   int      // how many there were of them
}

// Entry is what has come of one event.
type Entry struct {
	Tries    int           // how often it came
	Accepted int           // how often it was answered with 2xx, as far as can be known here
	First    time.Duration // when it came first, since [Receiver.Started]
	Taken    time.Duration // when it was accepted first; zero if it was not
}

// mostFaults is how many are told, all of them being counted.
const mostFaults = 20

func newInbox(r *Receiver) *Inbox {
	b := &Inbox{owner: r, sums: make(map[uint64]uint64)}
	b.Behave(OK())
	return b
}

// Behave changes what the inbox does from the next call on.
func (b *Inbox) Behave(how Behaviour) { b.behave.Store(&how) }

func (b *Inbox) behaviour() Behaviour { return *b.behave.Load() }

// Check has every request looked at from now on; nil: none.
func (b *Inbox) Check(c Check) {
	if c == nil {
		b.check.Store(nil)
		return
	}
	b.check.Store(&c)
}

// Books returns a copy of the books as they stand.
func (b *Inbox) Books() Books {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.books
	k.Entries, k.Order, k.Faults = slices.Clone(k.Entries), slices.Clone(k.Order), slices.Clone(k.Faults)
	return k
}

// Accepted is how many events have been accepted, each counted once.
func (b *Inbox) Accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.books.Order)
}

// Entry returns what has come of an event.
func (b *Inbox) Entry(n uint64) Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < uint64(len(b.books.Entries)) {
		return b.books.Entries[n]
	}
	return Entry{}
}

// note writes a request into the books and returns it as a call.
func (b *Inbox) note(header http.Header, body []byte, at time.Duration) Call {
	var failed error
	if check := b.check.Load(); check != nil {
		failed = (*check)(header, body)
	}
	c := Call{Batched: bytes.HasPrefix(body, []byte("["))}
	if ids := header["Webhook-Id"]; len(ids) > 0 {
		c.ID = ids[0]
	}
	foreign := 0
	c.Events, foreign = b.owner.opts.numbers(body)
	id, sum := maphash.String(b.owner.seed, c.ID), maphash.Bytes(b.owner.seed, body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.books.Requests++
	b.books.Foreign += foreign
	if failed != nil {
		b.fault("webhook %q: %v", c.ID, failed)
	}
	if before, again := b.sums[id]; again && before != sum {
		b.fault("webhook %q came with another body than before: %.300s", c.ID, body)
	}
	if c.ID != "" {
		b.sums[id] = sum
	}
	for i, n := range c.Events {
		e := b.entry(n)
		if e.Tries++; e.Tries == 1 {
			e.First = at
		}
		if i == 0 {
			c.Try = e.Tries
		}
	}
	return c
}

// accept notes that a call has been answered with 2xx.
func (b *Inbox) accept(c Call, at time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range c.Events {
		e := b.entry(n)
		if e.Accepted++; e.Accepted == 1 {
			e.Taken = at
			b.books.Order = append(b.books.Order, n)
			b.owner.events.Add(1)
		}
	}
}

// entry returns that of an event, until the next one is asked for.
func (b *Inbox) entry(n uint64) *Entry {
	if missing := int(n) + 1 - len(b.books.Entries); missing > 0 {
		b.books.Entries = append(b.books.Entries, make([]Entry, missing)...)
	}
	return &b.books.Entries[n]
}

func (b *Inbox) fault(format string, args ...any) {
	b.books.Faulty++
	if len(b.books.Faults) < mostFaults {
		b.books.Faults = append(b.books.Faults, fmt.Sprintf(format, args...))
	}
}
