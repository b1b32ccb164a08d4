package ws

import (
	"container/list"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// conn is one client: a socket and a position. It has no queue; what it has
// not been sent yet is in the ring or in the journal.
type conn struct {
	sock    *wsconn.Conn
	shard   *shard
	who     identity
	trail   trail
	receipt receipt       // what it confirms, and for whom
	told    atomic.Bool   // a note of Drained is under way
	turn    *list.Element // in the queue where it stands, which guards it; nil while it is in none

	// Owned by the shard, except begin and view while state is replaying: then
	// by the replayer, until it posts the connection back.
	begin   beginning
	view    *view
	wanted  *view // what view is to become at the next chance
	session *senselink.Session
	seat    seat
}

// identity is who is connected. It never changes.
type identity struct {
	app       string
	asked     resume.Request
	remote    string
	connected time.Time
	born      gatecast.Seq // newest event when it connected: what it is sent up to here is replayed
}

// seat is a connection's place in its shard, which owns it.
type seat struct {
	index   int       // in its group; -1 while it is in none
	beat    int       // in the heap of beats; -1 while it is in none
	due     time.Time // when it is to be attended to
	leaving bool      // to be closed as soon as it is level
	partBy  time.Time // when it is closed all the same; zero until it is level and leaving
	drains  drains
}

// drains tells a client that reads slowly from one that is gone: its system
// acknowledges more and more of what lies before it.
type drains struct {
	acknowledged uint64 // bytes, when last looked at
	behind       bool   // there was more, then
}

// progress reports whether the client has taken bytes since the last look, of
// those that waited for it then. That counts as a sign of life: a Ping is
// behind all of them, and a slow client may come to it late.
func (d *drains) progress(sock *wsconn.Conn) bool {
	left, known := sock.Underway()
	if !known {
		return false
	}
	acknowledged := sock.Stats().BytesOut - min(sock.Stats().BytesOut, uint64(left))
	moved := d.behind && acknowledged > d.acknowledged
	d.acknowledged, d.behind = acknowledged, left > 0
	return moved
}

// trail is how far a connection has got. It is written by its shard, or by the
// replayer while that has the connection, and read by anybody.
type trail struct {
	state  atomic.Int32
	opened atomic.Bool   // start and pos are known; before that, pos is where it may turn out to go on
	start  atomic.Uint64 // it began after this position
	pos    atomic.Uint64 // newest event sent, or passed over by the view; out of date while it is level
	sent   atomic.Uint64 // newest event sent; stored before pos
	events atomic.Uint64 // sent
	over   atomic.Bool   // its socket has refused an event for good
}

// pass says that there is nothing to send up to a position.
func (t *trail) pass(pos gatecast.Seq) { t.pos.Store(max(t.pos.Load(), uint64(pos))) }

// took says that the socket has taken n events up to a position.
func (t *trail) took(n int, last gatecast.Seq) {
	t.events.Add(uint64(n))
	t.sent.Store(uint64(last))
	t.pass(last)
}

// position returns the newest event that a connection was sent, or that its
// view passed over. Whoever is level is where its shard is, or even further.
// The shard's position is read first: who is level after that had all of it.
// The connection's own is read last: who has left has set it before.
func (c *conn) position() gatecast.Seq {
	shards := c.shard.pos.Load()
	if c.state() != level {
		shards = 0
	}
	return gatecast.Seq(max(shards, c.trail.pos.Load()))
}

// state is where a connection stands.
type state int32

const (
	fresh     state = iota // not yet seen by its shard
	level                  // has everything its shard has pushed
	queued                 // behind, in the shard's queue
	blocked                // behind; a note brings it on: its socket is full, or it has to acknowledge
	replaying              // reads the journal, in the replayer's hands
	dead                   // its socket is gone
)

// enter is for the shard only.
func (c *conn) state() state    { return state(c.trail.state.Load()) }
func (c *conn) enter(now state) { c.trail.state.Store(int32(now)) }

// Drained tells the shard that the socket takes frames again. It tells once
// until the shard has looked, however often a client makes it happen.
func (c *conn) Drained() {
	if c.told.CompareAndSwap(false, true) {
		c.shard.post(note{conn: c, what: drained})
	}
}
