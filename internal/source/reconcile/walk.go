package reconcile

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

const (
	mostPasses = 6     // over a stretch of a list that does not hold still
	mostPages  = 2_000 // of one stretch
	mostStale  = 3     // pages in a row without a row that the pass has not had
	unknown    = -1
)

// answer is one page of a list.
type answer struct {
	rows  []jsontext.Value
	total int // rows of all pages; unknown if it is not told
	size  int // rows of a full page; unknown if it is not told
}

// walk goes through a list of a source, so that no row that was in it from
// the beginning to the end is missed, whatever comes and goes meanwhile, and
// whatever order the list is in.
//
// Pages shift when rows come or go before them. So stretches of time are asked
// for that fit one page: that is one answer, and nothing shifts in it. What does
// not fit and cannot be shorter is read page by page, until a pass finds nothing
// new.
//
// Stretches overlap by their edges, for nobody knows on which side the server
// counts them.
type walk struct {
	unit time.Duration // shortest stretch: what the list's times are counted in
	size int           // rows asked for at once
	ask  func(ctx context.Context, from, to time.Time, page int) (answer, error)
	// take is given all rows, some of them several times, and returns what tells
	// each from the others.
	take func(ctx context.Context, rows []jsontext.Value) ([]string, error)
}

// run walks from one time to another.
func (k *walk) run(ctx context.Context, from, to time.Time) error {
	fits := k.size // rows of a full page, as far as is known
	for end := to; ; {
		a, err := k.ask(ctx, from, end, 1)
		if err != nil {
			return err
		}
		if _, err := k.take(ctx, a.rows); err != nil {
			return err
		}
		span, n := end.Sub(from), len(a.rows)
		switch v := k.judge(a); {
		case v == part && span > k.unit:
			fits = min(fits, max(1, n))
			end = from.Add(min(k.scale(span, fits, max(a.total, 2*n)), span-k.unit))
			continue
		case v != whole:
			if err := k.leaf(ctx, from, end); err != nil {
				return err
			}
		}
		if !end.Before(to) {
			return nil
		}
		from, end = end, end.Add(k.scale(span, fits, n))
		if end.After(to) {
			end = to
		}
	}
}

// verdict is what the first page of a stretch is of it.
type verdict int

const (
	whole  verdict = iota
	part           // or the server does not count what it says that it counts
	unsure         // it may be all there is, or all that the server gives at once
)

func (k *walk) judge(a answer) verdict {
	switch n := len(a.rows); {
	case a.total > n, n >= k.size:
		return part
	case n == 0, a.total != unknown, n < a.size:
		return whole
	}
	return unsure
}

// scale returns how long a stretch should be to fill three quarters of a page,
// if one of a length has so many rows: at least a unit, and at most four times
// as long, which it is behind an empty one.
func (k *walk) scale(span time.Duration, fits, rows int) time.Duration {
	factor := 4.0
	if rows > 0 {
		factor = min(factor, 0.75*float64(fits)/float64(rows))
	}
	return max(k.unit, time.Duration(float64(span)*factor)/k.unit*k.unit)
}

// leaf reads a stretch page by page until it holds still.
func (k *walk) leaf(ctx context.Context, from, to time.Time) error {
	var before map[string]bool
	for range mostPasses {
		ids, told, err := k.pass(ctx, from, to)
		if err != nil {
			return err
		}
		if told && before != nil && maps.Equal(ids, before) {
			return nil
		}
		before = ids
	}
	e := gatecast.Errorf(gatecast.Unavailable, "the list does not hold still, or has fewer rows than it says")
	e.Remedy = "it is asked again later"
	return e
}

// pass reads all pages once. It returns which rows there were, and whether they
// were as many as the server said all the time.
func (k *walk) pass(ctx context.Context, from, to time.Time) (ids map[string]bool, told bool, err error) {
	ids, told = make(map[string]bool), true
	total, count, stale := unknown, 0, 0
	for page := 1; page <= mostPages && stale < mostStale; page++ {
		a, err := k.ask(ctx, from, to, page)
		if err != nil {
			return nil, false, err
		}
		some, err := k.take(ctx, a.rows)
		if err != nil {
			return nil, false, err
		}
		if a.total != unknown {
			told = told && (total == unknown || total == a.total)
			total = a.total
		}
		stale++
		for _, id := range some {
			if !ids[id] {
				stale = 0
			}
			ids[id] = true
		}
		if count += len(a.rows); len(a.rows) == 0 {
			return ids, told && count >= total, nil
		}
	}
	return nil, false, errors.New("the list has no end")
}
