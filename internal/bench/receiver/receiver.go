// Package receiver is an endpoint that takes webhooks, counts exactly what it
// got, and fails in every way there is.
//
// It owns the listener, one [Inbox] per path ("/0", "/1" and so on) with the
// books of what came there, and the ways in which an endpoint misbehaves (see
// [Behaviour], [Refuse] and [Silent]). It never judges the server that calls: it
// keeps the books, and who reads them knows what they should hold. It takes
// little of the machine that it shares with that server: of a body it looks for
// message IDs only, and reads no JSON. Start at [Listen].
package receiver

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what an endpoint needs to know. All of it is optional.
type Options struct {
	Inboxes int // how many paths there are; default 1

	// Number tells from its message ID which event something is, or that it is
	// none of those that are counted. The default takes the digits that the ID
	// ends with.
	Number func(messageID []byte) (n uint64, ok bool)

	// Most is the highest number that is counted, 16,777,216 by default: the books
	// of an inbox have 40 bytes for each number up to the highest that came.
	Most uint64
}

func (o Options) withDefaults() Options {
	o.Inboxes = cmp.Or(o.Inboxes, 1)
	o.Most = cmp.Or(o.Most, 1<<24)
	if o.Number == nil {
		o.Number = trailing
	}
	return o
}

// Receiver is an endpoint. Its inboxes keep their books also while it is down,
// and after Close.
type Receiver struct {
	opts    Options
	inboxes []*Inbox
	address string
	started time.Time
	seed    maphash.Seed // of the hashes that bodies are compared by

	events   atomic.Int64 // see Events
	requests atomic.Int64 // see Requests

	// mu guards the fields below: Up, Down and Close come one after the other.
	// They wait under it for what they end, which never needs it.
	mu      sync.Mutex
	door    *door    // nil: down
	refuser *Refuser // holds the address while the endpoint is down; nil: nothing does
}

// Listen opens an endpoint at an address such as "127.0.0.1:0", with every inbox
// answering 200.
func Listen(address string, o Options) (*Receiver, error) {
	o = o.withDefaults()
	r := &Receiver{opts: o, address: address, started: time.Now(), seed: maphash.MakeSeed()}
	for range o.Inboxes {
		r.inboxes = append(r.inboxes, newInbox(r))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.open()
}

// Address is where it listens: "127.0.0.1:45123".
func (r *Receiver) Address() string { return r.address }

// URL is that of an inbox.
func (r *Receiver) URL(inbox int) string { return "http://" + r.address + "/" + strconv.Itoa(inbox) }

// Inbox returns one by its number, from 0.
func (r *Receiver) Inbox(i int) *Inbox { return r.inboxes[i] }

// Started is the moment that times in the books count from.
func (r *Receiver) Started() time.Time { return r.started }

// Events is how many events have been accepted in all inboxes together, each
// counted once per inbox.
func (r *Receiver) Events() int64 { return r.events.Load() }

// Requests is how many requests have come, whatever became of them.
func (r *Receiver) Requests() int64 { return r.requests.Load() }

// Down closes the listener and cuts all connections. From then on the address
// refuses.
func (r *Receiver) Down() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.door == nil {
		return nil
	}
	r.shut()
	var err error
	r.refuser, err = Refuse(r.address)
	return err
}

// Up listens again, at the same address.
func (r *Receiver) Up() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.door != nil {
		return nil
	}
	return r.open()
}

// Close ends the endpoint and waits for everything that it was doing.
func (r *Receiver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut()
	r.release()
}

func (r *Receiver) open() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	r.release()
	r.address = l.Addr().String()
	r.door = newDoor(l, r.serve)
	return nil
}

func (r *Receiver) shut() {
	if r.door != nil {
		r.door.close()
		r.door = nil
	}
}

func (r *Receiver) release() {
	if r.refuser != nil {
		r.refuser.Close()
		r.refuser = nil
	}
}
