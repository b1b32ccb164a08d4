package reconcile

import (
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
	near      = 10 * time.Minute    // zones differ by a quarter of an hour at least
	widest    = 27 * time.Hour      // and by 26 hours at most
	wide      = 90 * 24 * time.Hour // how far back any record at all is looked for
	reach     = 7 * 24 * time.Hour  // how far back a look goes to begin with a record that is known
	questions = 3                   // about records of before, where nothing is listed
)

// sighting is a numbered record, and when it happened.
type sighting struct {
	ID int64     `json:"id"`
	At time.Time `json:"at"`
}

// proof is that a source's list means the times that it is asked for: it listed
// a record when it was asked for just that record's time. Without it an empty
// list says nothing, for it is what a question about the wrong time is answered
// with.
type proof struct {
	Settings string   `json:"settings"` // by which the statement was made, see settingsPrint
	Record   sighting `json:"record"`   // the newest by which it was so
	Lacking  string   `json:"lacking,omitempty"`
}

// settingsPrint tells settings apart that may be answered differently.
func settingsPrint(s *gatecast.SourceSettings, zone *time.Location) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d", s.REST.URL, s.REST.Style, zone, s.AppKey, s.Company))
	return hex.EncodeToString(sum[:8])
}

// seen is what a look has seen of the records that have a time.
type seen struct {
	oldest, newest sighting       // that were listed; zero: none was
	listed         map[int64]bool // of known, which of them were
	known          []sighting     // the newest that the journal had before, the newest first; at most mostRecent
	top            int64          // highest number listed
}

// know takes over what the journal has, and lets the look begin with the newest
// record of that: it must be listed again, and then so is all that came after
// it, whatever zone the server takes the question to be of. What was pushed a
// moment ago may be listed later.
func (l *look) know() {
	l.seen.listed = make(map[int64]bool)
	for _, s := range l.w.audit.recent {
		if s.At.Before(l.start.Add(-2 * l.w.rec.opts.Margin)) {
			l.seen.known = append(l.seen.known, s)
		}
	}
	slices.SortStableFunc(l.seen.known, func(a, b sighting) int { return b.At.Compare(a.At) })
	if len(l.seen.known) == 0 {
		return
	}
	if newest := l.seen.known[0].At; newest.Before(l.from) && newest.After(l.start.Add(-reach)) {
		l.from = newest
	}
}

// see takes note of a row.
func (s *seen) see(id int64, at time.Time) {
	s.top = max(s.top, id)
	if slices.ContainsFunc(s.known, func(k sighting) bool { return k.ID == id }) {
		s.listed[id] = true
	}
	if at.IsZero() {
		return
	}
	if s.newest.ID == 0 || at.After(s.newest.At) {
		s.newest = sighting{id, at}
	}
	if s.oldest.ID == 0 || at.Before(s.oldest.At) {
		s.oldest = sighting{id, at}
	}
}

// missed returns the known records that happened in the stretch of the look and
// were not listed, the newest first.
func (l *look) missed() []sighting {
	var list []sighting
	for _, k := range l.seen.known {
		if !k.At.Before(l.from) && !l.seen.listed[k.ID] {
			list = append(list, k)
		}
	}
	return list
}

// prove returns an error if the lists are not what they seem to be, and a reason
// if nobody can say.
func (l *look) prove(ctx context.Context, u *upstream) (reason string, err error) {
	if c := &l.count; c.records > 0 && c.astray == c.records {
		return "", doubt("the server lists %d records, all of other times than it was asked for", c.records)
	}
	if l.seen.newest.ID == 0 {
		return l.proveSilence(ctx, u)
	}
	for _, s := range []sighting{l.seen.oldest, l.seen.newest} {
		if s != l.seen.newest && s.At.Sub(l.from) <= near {
			continue // there is no room for another zone between
		}
		listed, err := l.lists(ctx, u, s)
		if err != nil {
			return "", err
		}
		if !listed {
			return "", doubt("the server lists record %d of %s, but not when it is asked for just that time", s.ID, l.clockText(s.At))
		}
	}
	l.proven = l.seen.newest
	return "", nil
}

// proveSilence says what a list without any records is worth.
func (l *look) proveSilence(ctx context.Context, u *upstream) (reason string, err error) {
	missed := l.missed()
	witnesses := slices.DeleteFunc(slices.Clone(l.seen.known), func(s sighting) bool { return slices.Contains(missed, s) })
	if s := l.w.note.Proof.Record; s.ID != 0 && !slices.Contains(witnesses, s) {
		witnesses = append(witnesses, s)
	}
	for _, s := range witnesses[:min(questions, len(witnesses))] {
		listed, err := l.lists(ctx, u, s)
		if err != nil {
			return "", err
		}
		if listed {
			l.proven = s
			return "", nil
		}
	}
	if len(missed) > 0 {
		return "", doubt("the server lists no records at all, and has pushed one of %s", l.clockText(missed[0].At))
	}
	return l.proveByAny(ctx, u)
}

// proveByAny looks for any record at all, in a stretch so wide that a wrong zone
// does not matter.
func (l *look) proveByAny(ctx context.Context, u *upstream) (reason string, err error) {
	a, err := u.newest(ctx, l.start.Add(-wide), l.start.Add(widest))
	if err != nil {
		return "", err
	}
	for _, row := range a.rows {
		e, n, err := l.read(gatecast.Record, row)
		if err != nil || e.At.IsZero() {
			continue // the next one serves as well
		}
		s := sighting{n.ID, e.At}
		listed, err := l.lists(ctx, u, s)
		switch {
		case err != nil:
			return "", err
		case !listed:
			return "", doubt("the server has record %d of %s, but does not list it when it is asked for just that time", s.ID, l.clockText(s.At))
		}
		l.proven = s
		return "", nil
	}
	return "no record is listed yet, so nobody can say whether the server lists those of the times it is asked for", nil
}

// doubt is an error about a list that cannot be what it seems to be.
func doubt(format string, args ...any) error {
	e := gatecast.Errorf(gatecast.Unavailable, format, args...)
	e.Remedy = "check rest.zone of the source, and the server's clock"
	return e
}

func (l *look) clockText(at time.Time) string { return at.In(l.zone).Format(time.DateTime) }

// lists reports whether the source lists a record when it is asked for just the
// second it happened in, and those beside it.
func (l *look) lists(ctx context.Context, u *upstream, s sighting) (bool, error) {
	found := false
	k := &walk{unit: time.Second, size: u.size, ask: u.records, take: func(_ context.Context, rows []jsontext.Value) ([]string, error) {
		ids := make([]string, 0, len(rows))
		for _, row := range rows {
			data, err := translate(gatecast.Record, row, l.zone)
			if err != nil {
				continue // the walk over all of them has put it aside
			}
			id := senselink.NumbersOf(data).ID
			found = found || id == s.ID
			ids = append(ids, strconv.FormatInt(id, 10))
		}
		return ids, nil
	}}
	at := s.At.Truncate(time.Second)
	err := k.run(ctx, at.Add(-time.Second), at.Add(time.Second))
	return found, err
}
