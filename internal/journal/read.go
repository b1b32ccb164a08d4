package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// readTimeout bounds one request to JetStream, so that a lost answer turns
// into an error and not into silence.
const readTimeout = 5 * time.Second

// readMost is how many events one Read brings into memory at most.
const readMost = 1000

// Read returns up to limit events with a Seq beyond after, oldest first. It does
// not wait: at the end it returns none. It may return fewer than there are, but
// none only at the end. Damaged events are left out and reported by Holes. A
// Gap error tells that the next events are not, or no longer, in the journal.
func (j *Journal) Read(ctx context.Context, after gatecast.Seq, limit int) ([]gatecast.Event, error) {
	if limit <= 0 {
		return nil, nil
	}
	if events, held := j.tail.after(after, limit); held {
		return events, nil
	}
	last, err := j.endAtLeast(ctx, after)
	if err != nil {
		return nil, err
	}
	if after == last {
		return nil, nil
	}
	limit = min(limit, readMost)
	// What goes on without a break comes quickly; what does not is looked into.
	if events := j.link.runs.page(ctx, after, last, limit); len(events) > 0 {
		return events, nil
	}
	for from := after; from < last; {
		events, next, err := j.readStretch(ctx, from, last, limit)
		if err != nil || len(events) > 0 {
			return events, err
		}
		from = next
	}
	return nil, nil
}

// endAtLeast returns the committed end, or a Gap error if after lies beyond it.
func (j *Journal) endAtLeast(ctx context.Context, after gatecast.Seq) (gatecast.Seq, error) {
	last, _ := j.tail.end()
	if after > last && j.remote {
		// Another node may be ahead of what we have heard.
		info, err := j.info(ctx)
		if err != nil {
			return 0, err
		}
		last = max(last, gatecast.Seq(info.State.LastSeq))
		j.tail.advance(last)
	}
	if after > last {
		return 0, gapError(after, 1, last)
	}
	return last, nil
}

// readStretch returns the readable events that follow from without a break, or
// none and where to go on: a break is either retention, which is told, or a
// hole, which is recorded and stepped over.
func (j *Journal) readStretch(ctx context.Context, from, last gatecast.Seq, limit int) ([]gatecast.Event, gatecast.Seq, error) {
	rctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msgs, err := j.fetch.fetch(rctx, from+1, limit)
	if err != nil {
		return nil, from, unavailable(ctx, "the journal cannot be read at the moment", err)
	}
	if len(msgs) == 0 || msgs[0].seq != from+1 {
		next, m, err := j.explainBreak(rctx, from, msgs)
		if err != nil && rctx.Err() != nil {
			err = unavailable(ctx, "the journal cannot be read at the moment", err)
		}
		if err != nil {
			return nil, from, err
		}
		if m == nil {
			return nil, next, nil
		}
		msgs = []stored{*m}
	}
	var events []gatecast.Event
	for _, m := range msgs {
		if m.seq != from+1 || m.seq > last {
			break
		}
		e, err := decode(m.seq, m.msg.Header, m.msg.Data)
		from = m.seq
		if errors.Is(err, errDamaged) {
			j.holes.add(Hole{From: m.seq, To: m.seq, What: whatChanged})
			continue
		}
		events = append(events, e)
	}
	return events, from, nil
}

// explainBreak finds out why msgs do not go on right behind from. Retention is
// a Gap error. A replica that lags is helped out by the leader, whose answer is
// m. Otherwise it is a hole, which is recorded; reading goes on behind next.
func (j *Journal) explainBreak(ctx context.Context, from gatecast.Seq, msgs []stored) (next gatecast.Seq, m *stored, err error) {
	m, err = j.fetch.ask(ctx, from+1)
	if err != nil {
		return 0, nil, unavailable(ctx, "the journal cannot be read at the moment", err)
	}
	if m != nil {
		return from + 1, m, nil
	}
	last, err := j.stillHeld(ctx, from)
	if err != nil {
		return 0, nil, err
	}
	if next, err = j.skipHole(ctx, from+1, last, msgs); err != nil {
		return 0, nil, err
	}
	// Retention may have passed by while we looked.
	if _, err = j.stillHeld(ctx, from); err != nil {
		return 0, nil, err
	}
	j.holes.add(Hole{From: from + 1, To: next, What: whatMissing})
	return next, nil, nil
}

// stillHeld returns the stream's end, or a Gap error if retention has removed
// what follows from.
func (j *Journal) stillHeld(ctx context.Context, from gatecast.Seq) (gatecast.Seq, error) {
	info, err := j.info(ctx)
	if err != nil {
		return 0, err
	}
	first, last := gatecast.Seq(info.State.FirstSeq), gatecast.Seq(info.State.LastSeq)
	if info.State.Msgs == 0 {
		first = last + 1
	}
	if from+1 < first {
		return 0, gapError(from, first, last)
	}
	if from+1 > last {
		return 0, unavailable(ctx, "the journal's leader is behind", errors.New("waiting for the leader"))
	}
	return last, nil
}

// skipHole returns the last Seq of the hole that begins at from, as far as it
// can be followed in half the time of a read: the next read goes on there, and
// none, however large the hole, begins anew.
func (j *Journal) skipHole(ctx context.Context, from, last gatecast.Seq, msgs []stored) (gatecast.Seq, error) {
	if j.remote {
		return from, nil // a replica's answer proves nothing about the next one
	}
	stop := time.Now().Add(readTimeout / 2)
	for ; len(msgs) == 0 && from < last; from++ {
		if time.Now().After(stop) {
			return from, nil
		}
		var err error
		if msgs, err = j.fetch.fetch(ctx, from+1, 1); err != nil {
			return 0, unavailable(ctx, "the journal cannot be read at the moment", err)
		}
	}
	if len(msgs) == 0 {
		return last, nil
	}
	return msgs[0].seq - 1, nil
}

// Follow streams the events beyond after: first those stored, then each one as
// soon as it is on disk, in order, each once. It waits out hiccups of JetStream.
// It ends with the context's error, with Unavailable once the journal is closed,
// or with a Gap error when retention has overtaken it. It may be ranged over again.
func (j *Journal) Follow(ctx context.Context, after gatecast.Seq) gatecast.Stream {
	return follow(ctx, after, j.tail, j.closing, j.readPatiently)
}

// readPatiently reads until there is an answer or a reason to stop.
func (j *Journal) readPatiently(ctx context.Context, after gatecast.Seq, limit int) ([]gatecast.Event, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		events, err := j.Read(ctx, after, limit)
		if gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
			return events, err
		}
		j.opts.Log.Warn("a reader waits for the journal", "after", after, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-j.closing:
			return nil, errClosed()
		}
	}
}

type readFunc func(ctx context.Context, after gatecast.Seq, limit int) ([]gatecast.Event, error)

// follow is what both journals stream with: memory first, else read.
func follow(ctx context.Context, after gatecast.Seq, t *tail, closing <-chan struct{}, read readFunc) gatecast.Stream {
	return func(yield func(gatecast.Event, error) bool) {
		cursor := after
		for {
			end, moved := t.end()
			if cursor == end {
				select {
				case <-moved:
					continue
				case <-ctx.Done():
					yield(gatecast.Event{}, ctx.Err())
				case <-closing:
					yield(gatecast.Event{}, errClosed())
				}
				return
			}
			events, err := read(ctx, cursor, 512)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(gatecast.Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
				cursor = e.Seq
			}
			if len(events) == 0 {
				cursor = max(cursor, end) // only holes were left
			}
		}
	}
}

// unavailable wraps what JetStream says, unless the caller has given up.
func unavailable(ctx context.Context, message string, cause error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", message, err)
	}
	return &gatecast.Error{
		Code: gatecast.Unavailable, Message: message, Remedy: "see the journal's health", Retry: time.Second, Cause: cause,
	}
}
