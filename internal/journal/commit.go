package journal

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
)

// committer is the one goroutine that writes. It alone owns the dedup index
// and the high-water mark, and so needs no lock.
type committer struct {
	queue *queue
	store store
	fetch fetcher
	sound func() error // why what is read back may not be on disk; nil if remote
	opts  Commit
	log   *slog.Logger
	meter *meters
	tail  *tail

	index   *index
	indexed gatecast.Seq // the index knows the stream up to here
	doubt   bool         // a commit with unknown outcome lies behind; look before the next one
	mark    *mark
	pace    pace
}

// item is one event of a commit that is not known as a duplicate.
type item struct {
	event *gatecast.Event
	draft *draft
	seq   gatecast.Seq // zero until stored
	dup   bool         // it was stored before this commit
	tried bool         // an earlier try may have stored it
}

// run commits until the queue is closed and empty. quit ends attempts that
// JetStream does not answer.
func (c *committer) run(quit context.Context) {
	idle := time.NewTicker(time.Second)
	defer idle.Stop()
	defer c.store.close()
	for {
		calls, closed := c.queue.take()
		if closed {
			return
		}
		if len(calls) > 0 {
			c.queue.stored(c.commit(quit, calls))
			continue
		}
		select {
		case <-c.queue.wake:
		case <-idle.C:
			c.tick(quit)
		}
	}
}

// tick does what a commit leaves for later.
func (c *committer) tick(quit context.Context) {
	ctx, cancel := context.WithTimeout(quit, c.opts.Timeout)
	defer cancel()
	if err := c.store.idle(ctx); err != nil && quit.Err() == nil {
		c.log.Warn("the journal's connection is made anew", "err", err)
	}
	err := c.mark.sync()
	if !c.doubt {
		err = errors.Join(err, c.mark.note())
	}
	if err != nil {
		c.log.Error("the high-water mark is behind", "err", err)
	}
}

// commit stores what is new in the calls together, and answers them: one flush
// for each lone event, a few for a batch of any size (see pace). It returns how
// many events are new on disk.
func (c *committer) commit(quit context.Context, calls []*call) (stored int) {
	calls = waiting(calls)
	if len(calls) == 0 {
		return 0
	}
	if err := c.settle(quit, calls, nil); err != nil {
		answerAll(calls, err)
		return 0
	}
	c.tail.advance(c.indexed)
	items, owner := c.plan(calls)
	base, _ := c.tail.end()
	start := time.Now()
	if err := c.storeAll(quit, calls, items); err != nil {
		answerAll(calls, err)
		return 0
	}
	took := time.Since(start)
	end := c.publishResult(items, base)
	for i, call := range calls {
		r := receipt(call, owner[i], base)
		c.meter.stored(r)
		call.done <- outcome{receipt: r}
	}
	// Nobody waits for what follows. Should the process be killed before it,
	// the mark is one commit behind, which is less than a power cut may cost it.
	if len(items) > 0 {
		c.meter.commit(len(items), took)
	}
	if end > base {
		if err := errors.Join(c.mark.set(end), c.mark.note()); err != nil {
			c.log.Error("the high-water mark is behind", "err", err)
		}
	}
	return len(items)
}

func waiting(calls []*call) []*call {
	kept := calls[:0]
	for _, call := range calls {
		if !call.abandoned() {
			kept = append(kept, call)
		}
	}
	return kept
}

func answerAll(calls []*call, err error) {
	for _, call := range calls {
		call.done <- outcome{err: err}
	}
}

// plan picks the events that are not yet stored; owner holds, for each call,
// the items that are its own. A call's items stay next to each other.
func (c *committer) plan(calls []*call) (items []*item, owner [][]*item) {
	n := 0
	for _, call := range calls {
		n += len(call.events)
	}
	slab := make([]item, n)
	items, owner = make([]*item, 0, n), make([][]*item, 0, len(calls))
	seen := make(map[idHash]bool, n)
	for _, call := range calls {
		first := len(items)
		for i := range call.events {
			id := call.drafts[i].id
			if seen[id] || c.index.find(id) > 0 {
				continue
			}
			seen[id] = true
			it := &slab[len(items)]
			it.event, it.draft = &call.events[i], &call.drafts[i]
			items = append(items, it)
		}
		owner = append(owner, items[first:len(items):len(items)])
	}
	return items, owner
}

// storeAll tries until each item has its Seq, nobody waits any more, or the
// server refuses for good.
func (c *committer) storeAll(quit context.Context, calls []*call, items []*item) error {
	refused := 0 // batches refused for a duplicate
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		missing := unstored(items)
		if len(missing) == 0 {
			return nil
		}
		// A batch that is refused again, although the index is level with the
		// stream, holds an ID that only the server remembers.
		single := len(missing) == 1 || refused > 1 || (loneEvents(calls) && c.alone(len(missing)))
		v := c.try(quit, missing, single)
		if v.err == nil {
			continue
		}
		c.doubt = true
		if v.final {
			return v.err
		}
		if v.duplicate {
			refused++
		} else {
			c.log.Warn("the outcome of a commit is unknown; looking, then trying again", "events", len(missing), "err", v.err)
			if !pause(quit, calls, wait) {
				return unavailable(quit, "the journal does not answer", v.err)
			}
		}
		if err := c.settle(quit, calls, items); err != nil {
			return err
		}
	}
}

func (c *committer) try(quit context.Context, items []*item, single bool) verdict {
	ctx, cancel := context.WithTimeout(quit, c.opts.Timeout)
	defer cancel()
	publish := c.store.batch
	if single {
		publish = c.store.singles
	}
	start := time.Now()
	v := publish(ctx, items)
	if v.err == nil {
		c.pace.learn(single, len(items), time.Since(start))
	}
	if !v.duplicate {
		markTried(items)
	}
	return v
}

// loneEvents reports whether no call has more than one event, so that no
// atomic batch is needed to keep calls whole.
func loneEvents(calls []*call) bool {
	for _, call := range calls {
		if len(call.events) > 1 {
			return false
		}
	}
	return true
}

// alone reports whether n events go one by one.
func (c *committer) alone(n int) bool {
	if c.opts.Singles > 0 {
		return n <= c.opts.Singles
	}
	return c.pace.alone(n)
}

func markTried(items []*item) {
	for _, it := range items {
		it.tried = true
	}
}

func unstored(items []*item) []*item {
	out := make([]*item, 0, len(items))
	for _, it := range items {
		if it.seq == 0 {
			out = append(out, it)
		}
	}
	return out
}

// pause waits and reports whether anybody still waits for the outcome.
func pause(quit context.Context, calls []*call, d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-quit.Done():
		return false
	}
	for _, call := range calls {
		if !call.abandoned() {
			return true
		}
	}
	return false
}

// settle brings the index up to the stream's end where that may be further than
// we know: after a commit in doubt, or when another node has written. Items
// that turn out to be stored get their Seq, unless JetStream has failed to write
// since it was started: then nothing is settled, or acknowledged, any more.
func (c *committer) settle(quit context.Context, calls []*call, items []*item) error {
	end, _ := c.tail.end()
	if !c.doubt && end <= c.indexed {
		return nil
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ctx, cancel := context.WithTimeout(quit, c.opts.Timeout)
		err := c.catchUp(ctx)
		cancel()
		if err == nil {
			break
		}
		c.log.Warn("the journal's end cannot be read; trying again", "err", err)
		if !pause(quit, calls, wait) {
			return unavailable(quit, "the journal does not answer", err)
		}
	}
	// After a failed fsync JetStream still shows what it holds in memory only,
	// but it remembers the failure until it is restarted.
	if c.sound != nil {
		if err := c.sound(); err != nil {
			return err
		}
	}
	c.doubt = false
	for _, it := range items {
		it.seq = c.index.find(it.draft.id)
	}
	return nil
}

// catchUp reads what the stream holds beyond the index.
func (c *committer) catchUp(ctx context.Context) error {
	for {
		msgs, err := c.fetch.fetch(ctx, c.indexed+1, 1000)
		if err != nil || len(msgs) == 0 {
			return err
		}
		for _, m := range msgs {
			if id, at := identity(m.msg.Header); id != "" {
				c.index.add(hashID(id), m.seq, at)
			}
			c.indexed = m.seq
		}
	}
}

// publishResult makes stored items known to the index and to readers, and
// returns the journal's new end.
func (c *committer) publishResult(items []*item, base gatecast.Seq) (end gatecast.Seq) {
	fresh := make([]gatecast.Event, 0, len(items))
	end = base
	for _, it := range items {
		c.index.add(it.draft.id, it.seq, it.event.Stored)
		end = max(end, it.seq)
		switch {
		case it.seq == c.indexed+1:
			c.indexed = it.seq
		case it.seq > c.indexed:
			c.doubt = true // somebody else's events lie between; the index needs them
		}
		if it.dup = it.dup || it.seq <= base; !it.dup {
			it.event.Seq = it.seq
			fresh = append(fresh, *it.event)
		}
	}
	if end > base {
		c.tail.push(fresh)
		c.tail.advance(end)
	}
	return end
}

func receipt(call *call, own []*item, base gatecast.Seq) gatecast.Receipt {
	r := gatecast.Receipt{}
	for _, it := range own {
		if it.dup {
			continue
		}
		r.Accepted++
		if r.First == 0 {
			r.First = it.seq
		}
		r.Last = it.seq
	}
	r.Duplicates = len(call.events) - r.Accepted
	return r
}
