package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"
)

// openStream opens the stream and holds it against the high-water mark.
func (j *Journal) openStream(ctx context.Context) (err error) {
	var old reached
	if !j.remote {
		if j.link.mark, old, err = openMark(j.opts.Dir); err != nil {
			return err
		}
		if j.link.mark.ages, err = openAges(j.opts.Dir); err != nil {
			j.opts.Log.Warn("events lost at the front may be taken for old ones", "err", err)
		}
	}
	if j.stream, err = j.awaitStream(ctx, old.last == 0); err != nil {
		return err
	}
	state := j.stream.CachedInfo().State
	last := gatecast.Seq(state.LastSeq)
	switch {
	case old.last == 0:
	case old.epoch != epochOf(j.stream):
		j.holes.add(Hole{From: 1, To: old.last, What: whatOther, Epoch: old.epoch})
	case last < old.last:
		j.holes.add(Hole{From: last + 1, To: old.last, What: whatTail, Epoch: old.epoch})
		if j.stream, err = changeEpoch(ctx, j.link.js, j.stream); err != nil {
			return err
		}
	}
	j.epoch = epochOf(j.stream)
	j.holes.begin(j.epoch)
	if old.epoch == j.epoch {
		j.checkFront(old, state)
	}
	j.link.mark.see(state.FirstSeq)
	return j.link.mark.reset(j.epoch, last, j.opts.MaxAge)
}

// awaitTold is how often the log says that a cluster is being waited for.
const awaitTold = 10 * time.Second

// awaitStream opens the stream, and waits for a cluster that has no leader yet
// or cannot be reached, until ctx ends.
func (j *Journal) awaitStream(ctx context.Context, mayCreate bool) (jetstream.Stream, error) {
	for told := (time.Time{}); ; {
		s, err := openStream(ctx, j.link.js, j.opts, mayCreate)
		if err == nil || !j.remote || !passing(err) {
			return s, err
		}
		if time.Since(told) >= awaitTold {
			j.opts.Log.Warn("waiting for the cluster", "err", err)
			told = time.Now()
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return nil, &gatecast.Error{
				Code: gatecast.Unavailable, Message: "the NATS cluster does not answer",
				Remedy: "check its address and that it has a leader", Retry: time.Second, Cause: err,
			}
		}
	}
}

// passing reports whether an error is one of a cluster that is just starting,
// electing or out of reach.
func passing(err error) bool {
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code == 503
}

// checkFront tells lost events at the front from those that retention has
// removed: JetStream presents both as a later first event.
func (j *Journal) checkFront(old reached, state jetstream.StreamState) {
	first := gatecast.Seq(state.FirstSeq)
	if state.Msgs == 0 {
		first = gatecast.Seq(state.LastSeq) + 1
	}
	lost := Hole{From: max(old.first, 1), To: first - 1, What: whatFront}
	bySize := state.Bytes >= uint64(j.opts.MaxBytes)/2
	if maxAge := j.link.mark.ages.limit(j.opts.MaxAge); maxAge > 0 && !bySize {
		young, known := j.link.mark.ages.young(j.epoch, maxAge, time.Now())
		// Without that knowledge: the newest event was stored shortly before the
		// mark was written, so age cannot have removed everything unless the
		// mark is that old.
		byAge := state.Msgs > 0 || time.Since(time.Unix(old.at, 0)) > maxAge
		switch {
		case known:
			lost.From = max(lost.From, young+1)
		case byAge:
			return
		}
	}
	if lost.From <= lost.To && !bySize {
		j.holes.add(lost)
	}
}

// checkTail reads the newest events before anybody else does: it fills the
// dedup index and checks the events as the scrub does with all others.
func (j *Journal) checkTail(ctx context.Context, x *index, state jetstream.StreamState) error {
	first, last := gatecast.Seq(state.FirstSeq), gatecast.Seq(state.LastSeq)
	if state.Msgs == 0 {
		return nil
	}
	since := time.Now().Add(-j.opts.Dedup.Window).UTC().Format(time.RFC3339Nano)
	msgs, err := j.fetch.request(ctx, fetchRequest{Since: since, Batch: 1, MaxBytes: 1})
	if err != nil {
		return fmt.Errorf("find the events of the dedup window: %w", err)
	}
	from := last + 1
	if len(msgs) > 0 {
		from = msgs[0].seq
	}
	from = max(min(from, last+1), first, last+1-min(last, gatecast.Seq(j.opts.Dedup.Max)))
	check := max(first, last+1-min(last, gatecast.Seq(j.opts.Check.Tail)))
	return j.walk(ctx, min(from, check), last, func(e gatecast.Event) {
		if e.Seq >= from && e.ID != "" {
			x.add(hashID(e.ID), e.Seq, e.Stored)
		}
	})
}

// scrub checks the whole journal once, slowly, behind everybody's back.
func (j *Journal) scrub(ctx context.Context) {
	info, err := j.info(ctx)
	if err != nil {
		j.opts.Log.Warn("the journal was not checked for damage", "err", err)
		return
	}
	if info.State.Msgs == 0 {
		return
	}
	limit := rate.NewLimiter(rate.Limit(j.opts.Check.Scrub), max(1000, j.opts.Check.Scrub/4))
	err = j.walk(ctx, gatecast.Seq(info.State.FirstSeq), gatecast.Seq(info.State.LastSeq), func(gatecast.Event) {
		_ = limit.Wait(ctx) // fails with ctx, as the walk does
	})
	if err != nil && ctx.Err() == nil {
		j.opts.Log.Warn("the check for damage ended early", "err", err)
	}
	if err == nil {
		j.opts.Log.Info("the journal was checked for damage", "first", info.State.FirstSeq, "last", info.State.LastSeq)
	}
}

// walk visits the stored events from first to last, checks each, and records
// damage and breaks.
func (j *Journal) walk(ctx context.Context, first, last gatecast.Seq, visit func(gatecast.Event)) error {
	for next := first; next <= last; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// What goes on without a break, and is sound, comes quickly.
		if events := j.link.runs.page(ctx, next-1, last, readMost); len(events) > 0 {
			for _, e := range events {
				visit(e)
			}
			next += gatecast.Seq(len(events))
			continue
		}
		after, err := j.walkSlowly(ctx, next, last, visit)
		if err != nil {
			return err
		}
		next = after
	}
	return nil
}

// walkSlowly is walk for one stretch, by a direct get. It returns where to go
// on.
func (j *Journal) walkSlowly(ctx context.Context, next, last gatecast.Seq, visit func(gatecast.Event)) (gatecast.Seq, error) {
	msgs, err := j.patientFetch(ctx, next)
	if err != nil {
		return 0, err
	}
	if len(msgs) == 0 || msgs[0].seq != next {
		after, m, err := j.explainBreak(ctx, next-1, msgs)
		if gatecast.CodeOf(err) == gatecast.Gap {
			after, err = j.oldest(ctx)
		}
		if err != nil {
			return 0, err
		}
		if m != nil {
			visit(j.checked(*m))
		}
		return after + 1, nil
	}
	for _, m := range msgs {
		if m.seq != next || m.seq > last {
			break
		}
		visit(j.checked(m))
		next++
	}
	return next, nil
}

// checked returns an event, and records it as damaged if it is.
func (j *Journal) checked(m stored) gatecast.Event {
	e, err := decode(m.seq, m.msg.Header, m.msg.Data)
	if errors.Is(err, errDamaged) {
		j.holes.add(Hole{From: m.seq, To: m.seq, What: whatChanged})
	}
	return e
}

// patientFetch asks again while JetStream is away, until ctx ends.
func (j *Journal) patientFetch(ctx context.Context, from gatecast.Seq) ([]stored, error) {
	for {
		rctx, cancel := context.WithTimeout(ctx, readTimeout)
		msgs, err := j.fetch.fetch(rctx, from, 1000)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, nats.ErrNoResponders) {
			return msgs, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// oldest returns the Seq before the oldest event held.
func (j *Journal) oldest(ctx context.Context) (gatecast.Seq, error) {
	info, err := j.info(ctx)
	if err != nil {
		return 0, err
	}
	if info.State.Msgs == 0 {
		return gatecast.Seq(info.State.LastSeq), nil
	}
	return gatecast.Seq(info.State.FirstSeq) - 1, nil
}
