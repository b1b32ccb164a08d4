package ws

import (
	"container/list"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// conn is one client: a socket and a position. It has no queue; what it has
// not been sent yet is in the ring or in the journal.
type conn struct {
	sock  *wsconn.Conn
	app   string
	shard *shard
	told  atomic.Bool   // a note of Drained is under way
	turn  *list.Element // in the replayer's queue, which guards it; nil while it is not there

	// Owned by the shard, except pos and view while state is replaying: then
	// by the replayer, until it posts the connection back.
	pos     gatecast.Seq // newest event sent, or passed over by the view
	view    view
	state   state
	wanted  view // what view is to become at the next chance
	leaving bool // to be closed as soon as it is level
	session *senselink.Session
	due     time.Time // when the session wants to be asked again
	index   int       // in its group; -1 while it is in none
	beat    int       // in the shard's heap of beats; -1 while it is in none
}

// state is where a connection stands.
type state int

const (
	fresh     state = iota // not yet seen by its shard
	level                  // has everything its shard has pushed
	blocked                // behind; a note of drained brings it on: its socket is full, or others had their turn
	replaying              // reads the journal, in the replayer's hands
	dead                   // its socket is gone
)

// Message is what a client says. The protocol gives a client nothing to say,
// many say something all the same, and none of it is heeded.
func (c *conn) Message(bool, []byte) {}

// Pong needs no answer: that bytes came is enough, it is counted in LastRead.
func (c *conn) Pong([]byte) {}

// Drained tells the shard that the socket takes frames again. It tells once
// until the shard has looked, however often a client makes it happen.
func (c *conn) Drained() {
	if c.told.CompareAndSwap(false, true) {
		c.shard.post(note{conn: c, what: drained})
	}
}

// view is the filter of a connection, in a form that can be a map's key:
// connections with the same view share one selection of frames.
type view struct {
	record, alarm bool
}

func viewOf(f gatecast.Filter) view {
	return view{
		record: f.Match(&gatecast.Event{Kind: gatecast.Record}),
		alarm:  f.Match(&gatecast.Event{Kind: gatecast.Alarm}),
	}
}

func (v view) sees(ev *gatecast.Event) bool {
	return ev.Kind == gatecast.Record && v.record || ev.Kind == gatecast.Alarm && v.alarm
}
