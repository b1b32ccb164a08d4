package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// rowReason begins the reason why a row of a kind is in the quarantine. Inject
// knows rows by it.
func rowReason(kind gatecast.Kind) string { return "a row of the list of " + kind.String() + "s: " }

// RowKind returns what a quarantined message is a row of a list of, and whether
// it is one; any other came by a push. A row that somebody has replaced by a
// message as it is pushed is none any more.
func RowKind(q *gatecast.Quarantined) (gatecast.Kind, bool) {
	for _, kind := range gatecast.Kinds() {
		if strings.HasPrefix(q.Reason, rowReason(kind)) {
			return kind, !isMessage(q.Body)
		}
	}
	return 0, false
}

// isMessage reports whether a text is an event in an envelope: no row has data
// of its own.
func isMessage(body []byte) bool {
	dec := jsontext.NewDecoder(strings.NewReader(string(body)))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return false
		}
		is := name.String() == "data"
		if is && dec.PeekKind() == '{' {
			return true
		}
		if dec.SkipValue() != nil {
			return false
		}
	}
	return false
}

// errand is a row that somebody wants to be stored. What came of it is set
// before done is closed.
type errand struct {
	kind    gatecast.Kind
	row     jsontext.Value
	done    chan struct{}
	receipt gatecast.Receipt
	err     error
}

// Inject understands a quarantined row (see [RowKind]) as if its source listed
// it now, and stores its event, marked late, unless it is here. It waits for a
// look that is under way. Its error is NotFound if there is no such source,
// Conflict if it is not asked what it has any more, and Invalid or Malformed if
// the row is not understood.
func (r *Reconciler) Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	kind, is := RowKind(&q)
	if !is {
		return gatecast.Receipt{}, gatecast.Errorf(gatecast.Invalid, "this is no row of a list")
	}
	if _, there := r.Sources.Source(q.Source); !there {
		return gatecast.Receipt{}, gatecast.Errorf(gatecast.NotFound, "there is no source with the name %.40q any more", q.Source)
	}
	w := r.worker(q.Source)
	if w == nil {
		e := gatecast.Errorf(gatecast.Conflict, "source %q is not asked what it has: nobody knows how its rows are to be read", q.Source)
		e.Remedy = "give it the address of its REST interface again, or inject the message as it would have been pushed"
		return gatecast.Receipt{}, e
	}
	return w.errand(ctx, &errand{kind: kind, row: q.Body, done: make(chan struct{})})
}

func (w *worker) errand(ctx context.Context, e *errand) (gatecast.Receipt, error) {
	w.shared.mu.Lock()
	w.shared.errands = append(w.shared.errands, e)
	w.shared.mu.Unlock()
	w.wake()
	select {
	case <-e.done:
		return e.receipt, e.err
	case <-w.ended:
		return gatecast.Receipt{}, gatecast.Errorf(gatecast.Unavailable, "the source is not looked at any more")
	case <-ctx.Done():
		w.shared.mu.Lock()
		w.shared.errands = slices.DeleteFunc(w.shared.errands, func(other *errand) bool { return other == e })
		w.shared.mu.Unlock()
		return gatecast.Receipt{}, unavailable(fmt.Errorf("the source is being looked at, which takes long: %w", ctx.Err()))
	}
}

// runErrands does what others have asked for.
func (w *worker) runErrands(ctx context.Context) {
	w.shared.mu.Lock()
	errands := w.shared.errands
	w.shared.errands = nil
	w.shared.mu.Unlock()
	for _, e := range errands {
		e.receipt, e.err = w.inject(ctx, e)
		close(e.done)
	}
}

// inject stores the event of a row.
func (w *worker) inject(ctx context.Context, e *errand) (gatecast.Receipt, error) {
	l := newLook(w, w.source(), time.Now(), false)
	event, n, err := l.read(e.kind, e.row)
	if err != nil {
		return gatecast.Receipt{}, err
	}
	if l.foreign(n) {
		return gatecast.Receipt{}, nil
	}
	if err := w.audit.level(ctx); err != nil {
		return gatecast.Receipt{}, unavailable(err)
	}
	if w.audit.has(keyOfRow(e.kind, n)) {
		return gatecast.Receipt{Duplicates: 1}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	receipt, err := w.rec.Journal.Append(ctx, []gatecast.Event{event})
	if err != nil || receipt.Accepted == 0 {
		return receipt, err
	}
	w.rec.metrics.filled.WithLabelValues(w.name).Add(float64(receipt.Accepted))
	w.note.Filled += uint64(receipt.Accepted)
	if err := w.note.write(ctx, w.rec.opts.Notes, w.name); err != nil {
		w.rec.opts.Log.Warn("what is known of a source is not on disk", "source", w.name, "err", err)
	}
	w.publish()
	return receipt, nil
}

// keyOfRow is what tells the event of a row from others.
func keyOfRow(kind gatecast.Kind, n senselink.Numbers) key {
	if kind == gatecast.Alarm {
		return key{Kind: kind, Status: n.Status, ID: n.ID}
	}
	return key{Kind: kind, ID: n.ID}
}

// foreign reports whether an event is of a company that the source is not to
// bring.
func (l *look) foreign(n senselink.Numbers) bool {
	own := l.source.Settings.Company
	return own != 0 && n.Company != 0 && n.Company != own
}

// corrected reports whether the event of a row that cannot be understood is here
// all the same: somebody has put it right by hand.
func (l *look) corrected(kind gatecast.Kind, row jsontext.Value) bool {
	data, err := translate(kind, row, l.zone)
	if err != nil {
		return false
	}
	n := senselink.NumbersOf(data)
	return n.ID > 0 && l.w.audit.has(keyOfRow(kind, n))
}
