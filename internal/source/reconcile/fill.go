package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	astray    = time.Minute      // how long before what was asked for a row may be
	settled   = time.Minute      // how long a connection must have lasted before what happens is expected from it
	inFlight  = 30 * time.Second // how long a push may take
	batch     = 256              // events stored at once
	storeTime = 30 * time.Second // for a batch
)

// taker returns what a walk gives the rows of a kind to.
func (l *look) taker(kind gatecast.Kind) func(context.Context, []jsontext.Value) ([]string, error) {
	return func(ctx context.Context, rows []jsontext.Value) ([]string, error) {
		ids := make([]string, 0, len(rows))
		for _, row := range rows {
			ids = append(ids, l.row(kind, row))
		}
		if len(l.found) < mostFound {
			return ids, nil
		}
		return ids, l.store(ctx)
	}
}

// row takes a row, and keeps its event if the journal has not got it. It returns
// what tells the row from others.
func (l *look) row(kind gatecast.Kind, row jsontext.Value) string {
	e, n, err := l.read(kind, row)
	if err != nil {
		return l.setAside(kind, row, err)
	}
	if kind == gatecast.Record {
		l.count.records++
		l.seen.see(n.ID, e.At)
		if e.At.Before(l.from.Add(-astray)) {
			l.count.astray++
		}
	} else if !e.At.IsZero() && e.At.Before(l.alarmsFrom()) {
		return e.ID
	}
	if l.foreign(n) {
		return e.ID
	}
	k := keyOfRow(kind, n)
	if l.inside[e.ID] || l.w.audit.has(k) {
		return e.ID
	}
	l.inside[e.ID] = true
	l.found = append(l.found, missing{k, e})
	return e.ID
}

// read makes the event of a row, as its push would have made it.
func (l *look) read(kind gatecast.Kind, row jsontext.Value) (gatecast.Event, senselink.Numbers, error) {
	data, err := translate(kind, row, l.zone)
	if err != nil {
		return gatecast.Event{}, senselink.Numbers{}, err
	}
	n := senselink.NumbersOf(data)
	if n.ID <= 0 {
		return gatecast.Event{}, n, gatecast.Errorf(gatecast.Invalid, "the row has no number: nobody can say whether it is here already")
	}
	body := append(strconv.AppendInt([]byte(`{"code":`), int64(kind), 10), `,"data":`...)
	body = append(append(body, data...), '}')
	events, err := l.decoder.Decode(bytes.NewReader(body), senselink.JSON, l.start)
	if err != nil {
		return gatecast.Event{}, n, err
	}
	e := events[0]
	e.ID, e.Source, e.Late = gatecast.UpstreamID(l.source.Name, kind, n.ID, n.Status, data), l.source.Name, true
	return e, n, nil
}

// setAside gives a row that cannot be understood to the quarantine, once, and
// returns what tells it from others.
func (l *look) setAside(kind gatecast.Kind, row jsontext.Value, why error) string {
	sum := sha256.Sum256(row)
	id := "#" + hex.EncodeToString(sum[:])
	if l.corrected(kind, row) {
		return id
	}
	if !l.rubbish[sum] {
		l.count.nameless++
		if len(l.rubbish) < mostAside {
			l.rubbish[sum] = true
		}
	}
	if l.w.aside.add(sum) {
		l.w.rec.Quarantine.Put(l.source.Name, rowReason(kind)+why.Error(), row)
		l.w.rec.metrics.nameless.WithLabelValues(l.source.Name).Inc()
	}
	return id
}

// store stores what was found, in order of time. What has been pushed while the
// lists were read is no longer missing: the audit is level before it decides.
func (l *look) store(ctx context.Context) error {
	if len(l.found) == 0 {
		return nil
	}
	if err := l.w.audit.level(ctx); err != nil {
		return err
	}
	l.found = slices.DeleteFunc(l.found, func(m missing) bool { return l.w.audit.has(m.key) })
	slices.SortStableFunc(l.found, func(a, b missing) int { return a.event.At.Compare(b.event.At) })
	for len(l.found) > 0 {
		some := l.found[:min(batch, len(l.found))]
		if err := l.append(ctx, some); err != nil {
			return err
		}
		l.found = l.found[len(some):]
	}
	l.found, l.inside = nil, make(map[string]bool)
	return l.w.audit.level(ctx)
}

// append stores some events. One that the journal will never take does not keep
// the others out.
func (l *look) append(ctx context.Context, some []missing) error {
	events := make([]gatecast.Event, len(some))
	for i := range some {
		events[i] = some[i].event
	}
	late, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	receipt, err := l.w.rec.Journal.Append(late, events)
	switch {
	case err == nil:
		for i := range some {
			l.filled(&some[i], receipt.Duplicates > 0)
		}
		l.count.filled += receipt.Accepted
		l.w.rec.metrics.filled.WithLabelValues(l.source.Name).Add(float64(receipt.Accepted))
		return nil
	case !hopeless(err):
		return fmt.Errorf("store what was missing: %w", err)
	case len(some) == 1:
		l.setAside(some[0].key.Kind, senselink.AppendPush(nil, &some[0].event), err)
		return nil
	}
	for i := range some {
		if err := l.append(ctx, some[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// hopeless reports whether the journal will never take these events.
func hopeless(err error) bool {
	switch gatecast.CodeOf(err) {
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge:
		return true
	case gatecast.Internal, gatecast.Unauthenticated, gatecast.Forbidden, gatecast.NotFound, gatecast.Conflict,
		gatecast.Gap, gatecast.TooMany, gatecast.Unavailable:
	}
	return false
}

// filled takes note of what a missing event means. Where the journal had some of
// its batch, it may have been pushed a moment ago, and nobody is blamed.
func (l *look) filled(m *missing, some bool) {
	c, at := &l.count, l.clock.ours(m.event.At)
	if c.oldest.IsZero() || at.Before(c.oldest) {
		c.oldest = at
	}
	if at.After(c.newest) {
		c.newest = at
	}
	since := l.w.connectedSince()
	if !some && m.key.Kind == gatecast.Record && !since.IsZero() && at.After(since.Add(settled)) && at.Before(l.start.Add(-inFlight)) {
		c.doubtful++
	}
	// An alarm is listed in its present state. The one that it began with is
	// gone; whether there was one between is not known.
	first := key{gatecast.Alarm, 1, m.key.ID}
	asked := l.w.note.First
	if m.key.Kind == gatecast.Alarm && m.key.Status > 1 && !l.w.audit.has(first) && !asked.IsZero() && at.After(asked) {
		c.lost++
	}
}

// aside remembers what was put into the quarantine, so that it is not put there
// again with every look. Beyond mostAside the oldest are forgotten.
type aside struct {
	had   map[[32]byte]bool
	order [][32]byte
}

const mostAside = 4096

func newAside() *aside { return &aside{had: make(map[[32]byte]bool)} }

// add reports whether a row was not there.
func (a *aside) add(sum [32]byte) bool {
	if a.had[sum] {
		return false
	}
	if len(a.order) >= mostAside {
		delete(a.had, a.order[0])
		a.order = a.order[1:]
	}
	a.had[sum] = true
	a.order = append(a.order, sum)
	return true
}
