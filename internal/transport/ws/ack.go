package ws

import (
	"encoding/json"
	"sync/atomic"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// acks is the bookkeeping of a client that acknowledges by messages of its own
// ({"ack":SEQ}). It is sent so many events at most that it has not yet
// acknowledged; then it waits, which is its own choice.
type acks struct {
	limit   int
	claimed atomic.Uint64 // newest position it has acknowledged; written by the socket's reader
	told    atomic.Bool   // a note of acked is under way
	open    atomic.Int64  // len(flying), for others than the owner

	flying []gatecast.Seq // sent and not acknowledged, at most limit; owned like conn.begin
}

func newAcks(limit int) *acks { return &acks{limit: limit} }

func (a *acks) count() int { return int(a.open.Load()) }

// credit returns how many more events may be sent.
func (a *acks) credit() int { return a.limit - len(a.flying) }

func (a *acks) sent(seqs []gatecast.Seq) {
	a.flying = append(a.flying, seqs...)
	a.open.Store(int64(len(a.flying)))
}

// land strikes off what has been acknowledged.
func (a *acks) land() {
	claimed, n := gatecast.Seq(a.claimed.Load()), 0
	for n < len(a.flying) && a.flying[n] <= claimed {
		n++
	}
	a.flying = append(a.flying[:0], a.flying[n:]...)
	a.open.Store(int64(len(a.flying)))
}

// maxAck is the largest message, in bytes, that is looked at for being an
// acknowledgement: a client must not make the server read much of nothing.
const maxAck = 1024

// Message is what a client says. The protocol gives a client nothing to say,
// many say something all the same, and none of it is heeded, unless the client
// has chosen to acknowledge by messages.
func (c *conn) Message(_ bool, payload []byte) {
	a := c.receipt.acks
	if a == nil || len(payload) > maxAck {
		return
	}
	var m struct {
		Ack json.RawMessage `json:"ack"`
	}
	if json.Unmarshal(payload, &m) != nil || m.Ack == nil {
		return // a greeting, perhaps
	}
	var seq uint64
	if json.Unmarshal(m.Ack, &seq) != nil {
		c.sock.Close(wsconn.StatusPolicy, `"ack" is to be the seq of an event`)
		return
	}
	if gatecast.Seq(seq) > c.shard.ring.Head() {
		c.sock.Close(wsconn.StatusPolicy, "acknowledged an event that does not exist yet")
		return
	}
	if seq > a.claimed.Load() { // nobody else writes it
		a.claimed.Store(seq)
	}
	if seq <= c.trail.sent.Load() {
		c.confirm(seq) // here and now: if it leaves next, its next connection begins after it
	}
	if a.told.CompareAndSwap(false, true) {
		c.shard.post(note{conn: c, what: acked})
	}
}

// confirm takes note that everything up to a position is confirmed. It may be
// called by the socket's reader and by the shard.
func (c *conn) confirm(seq uint64) {
	for {
		old := c.receipt.confirmed.Load()
		if seq < old {
			return
		}
		if c.receipt.confirmed.CompareAndSwap(old, seq) {
			break
		}
	}
	if c.receipt.keeps {
		c.shard.cursors.Confirm(c.receipt.consumer, gatecast.Seq(seq))
	}
}

// reckon acts on what a connection has acknowledged. While the replayer has
// the connection, what is in flight is the replayer's: that is reckoned when it
// hands the connection back. While it is not known where a connection begins,
// its position may be one of another journal.
func (s *shard) reckon(c *conn) {
	a := c.receipt.acks
	if a == nil || !c.trail.opened.Load() {
		return
	}
	if now := min(a.claimed.Load(), c.trail.sent.Load()); now > c.receipt.confirmed.Load() {
		c.confirm(now)
	}
	if c.state() != replaying {
		a.land()
		s.settle(c) // over what it does not see; that it does not see it is nothing it has said
	}
}
