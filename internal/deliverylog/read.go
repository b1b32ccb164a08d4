package deliverylog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
)

// Query is what to read of a subscription's attempts.
type Query struct {
	Outcome gatecast.Outcome // only these; empty: all
	Before  string           // where to go on: [Page.Next]; empty: at the newest
	Limit   int              // attempts of a page, 1 to 1000; default 100
}

// Page is a part of the list.
type Page struct {
	Attempts []gatecast.Attempt // newest first
	Next     string             // for the page after this one; empty: there is none
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Read returns attempts of a subscription, newest first, with those that are
// still in memory. A page's Next stays good whatever is added meanwhile; what
// has been removed to make room is left out. Its error is NotFound if there can
// be no such subscription, Invalid if the query cannot stand, and Unavailable
// if a file cannot be read.
func (l *Log) Read(ctx context.Context, id string, q Query) (Page, error) {
	if !gatecast.ValidSubscriptionID(id) {
		return Page{}, gatecast.Errorf(gatecast.NotFound, "there is no such subscription")
	}
	p, err := newPicker(q)
	if err != nil {
		return Page{}, err
	}
	// First memory, then files from the newest: a line moves that way, and
	// would be missed in the other direction. One that is met twice has a
	// number that does not fall.
	waiting, writing := l.unwritten(id)
	if !backwards(waiting, p.take) || !backwards(writing, p.take) {
		return p.page(), nil
	}
	for _, name := range l.files(id) {
		more, err := eachLine(ctx, name, p.take)
		if ctx.Err() != nil {
			return Page{}, ctx.Err()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Page{}, unavailable(fmt.Errorf("read the delivery log: %w", err))
		}
		if !more {
			break
		}
	}
	return p.page(), nil
}

func (l *Log) unwritten(id string) (waiting, writing []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sheets[id]; s != nil {
		return s.waiting, s.writing
	}
	return nil, nil
}

// picker chooses the attempts of a page from lines, newest first.
type picker struct {
	outcome gatecast.Outcome
	limit   int
	below   uint64 // only numbers below this one are still to come
	last    uint64 // number of the last one chosen
	chosen  []gatecast.Attempt
	more    bool
}

func newPicker(q Query) (*picker, error) {
	p := &picker{outcome: q.Outcome, limit: q.Limit, below: math.MaxUint64}
	if p.limit == 0 {
		p.limit = defaultLimit
	}
	if p.limit < 1 || p.limit > maxLimit {
		return nil, gatecast.Errorf(gatecast.Invalid, "a page has 1 to %d attempts", maxLimit)
	}
	if q.Before != "" {
		n, err := strconv.ParseUint(q.Before, 10, 64)
		if err != nil {
			return nil, &gatecast.Error{
				Code: gatecast.Invalid, Message: "this is not a place in the delivery log",
				Remedy: `give what the page before said in "next", or nothing`,
			}
		}
		p.below = n
	}
	return p, nil
}

// take looks at the next older line and reports whether it wants another. A
// line that is none is passed over.
func (p *picker) take(line []byte) bool {
	r, err := parse(line)
	if err != nil || r.N >= p.below {
		return true
	}
	p.below = r.N
	if p.outcome != "" && r.Outcome != p.outcome {
		return true
	}
	if len(p.chosen) == p.limit {
		p.more = true
		return false
	}
	p.last = r.N
	p.chosen = append(p.chosen, r.attempt())
	return true
}

func (p *picker) page() Page {
	out := Page{Attempts: p.chosen}
	if p.more {
		out.Next = strconv.FormatUint(p.last, 10)
	}
	return out
}

const (
	suffix      = ".ndjson"
	olderSuffix = ".1.ndjson"
)

// files returns the names of a subscription's files, the newer one first.
func (l *Log) files(id string) [2]string {
	base := filepath.Join(l.opts.Dir, id)
	return [2]string{base + suffix, base + olderSuffix}
}

// subscriptions returns the IDs that there are files of.
func (l *Log) subscriptions() ([]string, error) {
	entries, err := os.ReadDir(l.opts.Dir)
	seen := make(map[string]bool)
	var ids []string
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if !gatecast.ValidSubscriptionID(id) || seen[id] || (e.Name() != id+suffix && e.Name() != id+olderSuffix) {
			continue
		}
		seen[id] = true
		ids = append(ids, id)
	}
	return ids, err
}

// newest returns the highest number in any file.
func (l *Log) newest() (uint64, error) {
	ids, err := l.subscriptions()
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, id := range ids {
		for _, name := range l.files(id) {
			found := false
			_, err := eachLine(context.Background(), name, func(line []byte) bool {
				r, err := parse(line)
				if err == nil {
					n, found = max(n, r.N), true
				}
				return !found
			})
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return 0, err
			}
			if found {
				break
			}
		}
	}
	return n, nil
}
