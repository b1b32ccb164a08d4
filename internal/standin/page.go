package standin

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Sizes of a page.
const (
	usualSize   = 20
	largestSize = 1000
)

// paging is which page of a list is wanted.
type paging struct {
	page, size int
	ascending  bool
}

// readPaging reads page, size and order.
func readPaging(q url.Values) (paging, error) {
	p := paging{page: 1, size: usualSize}
	for _, n := range []struct {
		name string
		into *int
		most int
	}{{"page", &p.page, 1 << 30}, {"size", &p.size, largestSize}} {
		text := q.Get(n.name)
		if text == "" {
			continue
		}
		v, err := strconv.Atoi(text)
		if err != nil || v < 1 || v > n.most {
			return p, gatecast.Errorf(gatecast.Invalid, "%s is not between 1 and %d", n.name, n.most)
		}
		*n.into = v
	}
	switch order := strings.ToLower(q.Get("order")); order {
	case "asc":
		p.ascending = true
	case "", "desc":
	default:
		return p, gatecast.Errorf(gatecast.Invalid, "order is neither asc nor desc")
	}
	return p, nil
}

// cut returns the page of a list of events, which it puts in order of their
// times and then of their numbers. short leaves out its last row.
func (p paging) cut(all []Event, short bool) []Event {
	slices.SortStableFunc(all, func(a, b Event) int {
		c := cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
		if !p.ascending {
			return -c
		}
		return c
	})
	from := min(int64(p.page-1)*int64(p.size), int64(len(all)))
	rows := all[from:min(from+int64(p.size), int64(len(all)))]
	if short && len(rows) > 0 {
		rows = rows[:len(rows)-1]
	}
	return rows
}

// pages is how many there are.
func (p paging) pages(total int) int { return (total + p.size - 1) / p.size }

// span is a stretch of time, its ends included; a zero end is open.
type span struct{ from, to time.Time }

// readSpan reads two times of the same form.
func readSpan(q url.Values, from, to, form string, zone *time.Location) (span, error) {
	var sp span
	for _, end := range []struct {
		name string
		into *time.Time
	}{{from, &sp.from}, {to, &sp.to}} {
		text := q.Get(end.name)
		if text == "" {
			continue
		}
		at, err := time.ParseInLocation(form, text, zone)
		if err != nil {
			return sp, gatecast.Errorf(gatecast.Invalid, "%s is not of the form %s", end.name, form)
		}
		*end.into = at
	}
	return sp, nil
}

// holds reports whether a time lies inside. The vendor knows whole seconds.
func (sp span) holds(at time.Time) bool {
	at = at.Truncate(time.Second)
	return !at.Before(sp.from) && (sp.to.IsZero() || !at.After(sp.to))
}
