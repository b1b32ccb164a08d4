package ws

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
)

// receipt is what a connection confirms. The vendor's protocol has no
// acknowledgement, so one is made out of RFC 6455: section 5.5.3 has every
// client answer a Ping with the Ping's own payload, and the order of TCP has
// that answer say that it has read what came before. The payload is a
// position. At most one Ping is outstanding, so a Pong either matches it or
// confirms nothing.
type receipt struct {
	consumer  gatecast.Consumer
	keeps     bool              // what is confirmed moves the consumer's cursor
	window    gatecast.Lookback // of its app
	acks      *acks             // it acknowledges by messages of its own; nil if by Pongs
	asked     atomic.Uint64     // position in the Ping that is outstanding; 0: none
	confirmed atomic.Uint64     // up to here
	answered  atomic.Bool       // it has confirmed something
	silent    atomic.Bool       // it was asked for long and does not answer
	clock     struct {          // owned by the shard
		pinged  time.Time // when it was last asked
		waiting time.Time // since when it could have answered; zero if it is not asked, or not level
		heard   time.Time // when it was last heard of, at that time
		next    time.Time // when it is to be asked; zero if it need not be
	}
}

// Pong confirms what its payload says, if that was asked.
func (c *conn) Pong(payload []byte) {
	r := &c.receipt
	seq, err := strconv.ParseUint(string(payload), 10, 64)
	if err != nil || payload[0] == '0' || !r.asked.CompareAndSwap(seq, 0) {
		return // a sign of life is all it is
	}
	r.answered.Store(true)
	c.shard.metrics.confirmed.Inc()
	c.confirm(seq)
	c.shard.post(note{conn: c, what: confirmed})
}

// expect has a connection asked soon whether it has what it was sent: at once,
// but not more often than the interval, so that a busy connection is asked for
// many events together.
func (s *shard) expect(c *conn, now time.Time) {
	r := &c.receipt
	if !r.keeps || r.acks != nil || !r.clock.next.IsZero() || r.asked.Load() != 0 {
		return
	}
	r.clock.next = now
	if earliest := r.clock.pinged.Add(s.opts.ConfirmInterval); earliest.After(now) {
		r.clock.next = earliest
	}
	if c.seat.beat >= 0 && r.clock.next.Before(c.seat.due) {
		s.beats.set(c, r.clock.next)
	}
}

// ask sends a Ping whose answer confirms everything sent so far. One that is
// outstanding is repeated as it is. While it is not known where a connection
// begins, it has nothing to confirm.
func (s *shard) ask(c *conn, now time.Time) {
	r := &c.receipt
	r.clock.pinged, r.clock.next = now, time.Time{}
	if r.acks != nil || !c.trail.opened.Load() {
		_ = c.sock.Ping(nil) // fails only where the socket is gone, and its reader tells
		return
	}
	pos := r.asked.Load()
	if pos == 0 {
		pos = uint64(c.position())
		r.asked.Store(pos)
		r.clock.waiting = time.Time{}
	}
	s.watch(c, now) // before it is asked: what comes from then on may be its answer
	_ = c.sock.Ping(strconv.AppendUint(nil, pos, 10))
}

// owes reports whether a connection was sent events that it has not confirmed.
func (c *conn) owes() bool {
	if c.receipt.acks != nil {
		return c.receipt.acks.count() > 0
	}
	return c.trail.sent.Load() > c.receipt.confirmed.Load()
}

// heard acts on a confirmation.
func (s *shard) heard(c *conn, now time.Time) {
	c.receipt.silent.Store(false)
	c.receipt.clock.waiting = time.Time{}
	s.settle(c)
	if c.owes() {
		s.expect(c, now)
	}
	s.partIfLevel(c)
}

// settle moves the cursor over events that the connection does not see, if it
// has confirmed all that it was sent before them: an app that sees one alarm a
// day need not pass over the day's records again. The position is read first:
// sent is written before it.
func (s *shard) settle(c *conn) {
	pos := c.position()
	if c.receipt.keeps && c.trail.opened.Load() && !c.owes() {
		s.cursors.Pass(c.receipt.consumer, pos)
	}
}

// watch finds out whether a connection never confirms anything.
func (s *shard) watch(c *conn, now time.Time) {
	r := &c.receipt
	switch {
	case r.acks != nil, r.asked.Load() == 0, c.state() != level, c.sock.Stats().Waiting:
		r.clock.waiting = time.Time{} // it cannot have answered yet
	case r.clock.waiting.IsZero():
		r.clock.waiting, r.clock.heard = now, c.sock.LastRead()
	case c.ignores(now, s.opts.ConfirmTimeout):
		r.silent.Store(true)
	}
	if r.silent.Load() {
		s.passSilent(c, now)
	}
}

// ignores reports whether a connection has had everything for a time and does
// not answer, though somebody is there: it has sent something else meanwhile,
// or its system has acknowledged all bytes. A peer that is gone ignores nothing.
func (c *conn) ignores(now time.Time, patience time.Duration) bool {
	clock := &c.receipt.clock
	return !clock.waiting.IsZero() && now.Sub(clock.waiting) >= patience &&
		(c.sock.LastRead().After(clock.heard) || c.sock.Acknowledged())
}

// shortPatience is how long a connection must have ignored a Ping that ends, to
// count as one that never answers: libraries answer at once.
const shortPatience = 5 * time.Second

// lastWord moves the cursor at a connection's end as far as may be.
func (s *shard) lastWord(c *conn, now time.Time) {
	if c.state() == replaying {
		return // the replayer may still be at work on it
	}
	s.settle(c)
	if !c.receipt.answered.Load() && c.ignores(now, min(shortPatience, s.opts.ConfirmTimeout)) {
		c.receipt.silent.Store(true)
	}
	if c.receipt.silent.Load() {
		s.passSilent(c, now)
	}
}

// passSilent lets the cursor follow what was written to a connection that
// never confirms, unless somebody has confirmed for the same consumer inside
// the window: then that one is waited for. Without this, a client that answers
// no Ping would be sent the same day again at each connect.
func (s *shard) passSilent(c *conn, now time.Time) {
	r := &c.receipt
	if !r.keeps {
		return
	}
	patience := r.window
	if patience == gatecast.LookbackAll {
		patience = gatecast.DefaultLookback
	}
	if cur, ok := s.cursors.Cursor(r.consumer); ok && now.Sub(cur.Confirmed) > time.Duration(patience) {
		s.cursors.Pass(r.consumer, c.position())
	}
}
