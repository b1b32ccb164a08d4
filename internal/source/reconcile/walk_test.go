package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// listRow is a row of a list that changes while it is read.
type listRow struct {
	id int
	at time.Time
}

// list answers as a server does, and changes after each answer.
type list struct {
	unit       time.Duration
	rows       []listRow
	most       int
	tellTotal  bool
	tellSize   bool
	descending bool
	exclusive  bool
	change     func(l *list)
	asked      int
}

func (l *list) ask(size int) func(context.Context, time.Time, time.Time, int) (answer, error) {
	return func(_ context.Context, from, to time.Time, page int) (answer, error) {
		l.asked++
		size := min(size, l.most)
		var rows []listRow
		for _, r := range l.rows {
			if at := r.at.Truncate(l.unit); !at.Before(from) && (at.Before(to) || at.Equal(to) && !l.exclusive) {
				rows = append(rows, r)
			}
		}
		slices.SortStableFunc(rows, func(a, b listRow) int { return a.at.Compare(b.at) })
		if l.descending {
			slices.Reverse(rows)
		}
		a := answer{total: unknown, size: unknown}
		if l.tellTotal {
			a.total = len(rows)
		}
		if l.tellSize {
			a.size = size
		}
		rows = rows[min(len(rows), (page-1)*size):min(len(rows), page*size)]
		for _, r := range rows {
			a.rows = append(a.rows, jsontext.Value(fmt.Sprintf("[%d,%d]", r.id, r.at.UnixNano())))
		}
		l.change(l)
		return a, nil
	}
}

func TestAWalkMissesNoRowThatIsThereAllTheTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(3_600_000, 0)
		unit := rapid.SampledFrom([]time.Duration{time.Second, time.Hour}).Draw(t, "unit")
		length := rapid.IntRange(1, 300).Draw(t, "length")
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		place := func() time.Time {
			return start.Add(time.Duration(rapid.Int64Range(0, int64(length)*int64(unit)-1).Draw(t, "at")))
		}
		l := &list{
			unit: unit, most: rapid.IntRange(2, 12).Draw(t, "most"), tellTotal: flag("total"), tellSize: flag("size"),
			descending: flag("descending"), exclusive: flag("exclusive"),
		}
		next := 0
		add := func(at time.Time) { next++; l.rows = append(l.rows, listRow{next, at}) }
		for range rapid.IntRange(0, 120).Draw(t, "rows") {
			add(place())
		}
		if flag("crowd") { // more than a page at one moment
			at := place()
			for range 30 {
				add(at)
			}
		}
		staying := len(l.rows)
		going := rapid.IntRange(0, 30).Draw(t, "going")
		for range going {
			add(place())
		}
		changes := rapid.IntRange(0, 20).Draw(t, "changes")
		l.change = func(l *list) {
			if changes--; changes < 0 {
				return
			}
			if going > 0 && flag("go") {
				i := staying + rapid.IntRange(0, going-1).Draw(t, "who")
				l.rows = slices.Delete(l.rows, i, i+1)
				going--
				return
			}
			add(place())
		}
		seen := make(map[int]bool)
		size := rapid.IntRange(2, 10).Draw(t, "page")
		k := &walk{unit: unit, size: size, ask: l.ask(size), take: func(_ context.Context, rows []jsontext.Value) ([]string, error) {
			var ids []string
			for _, row := range rows {
				var id int
				var at int64
				if _, err := fmt.Sscanf(string(row), "[%d,%d]", &id, &at); err != nil {
					return nil, err
				}
				seen[id] = true
				ids = append(ids, strconv.Itoa(id))
			}
			return ids, nil
		}}
		if err := k.run(context.Background(), start, start.Add(time.Duration(length)*unit)); err != nil {
			return // it says so: nothing is stated
		}
		for id := 1; id <= staying; id++ {
			if !seen[id] {
				t.Fatalf("row %d of %d was not seen", id, staying)
			}
		}
	})
}

func TestAWalkAsksLittleMoreThanItHasPages(t *testing.T) {
	l := &list{unit: time.Second, most: 200, tellTotal: true, change: func(*list) {}}
	start := time.Unix(3_600_000, 0)
	for i := range 10_000 {
		l.rows = append(l.rows, listRow{i, start.Add(time.Duration(i) * 500 * time.Millisecond)})
	}
	k := &walk{unit: time.Second, size: 200, ask: l.ask(200), take: func(_ context.Context, rows []jsontext.Value) ([]string, error) {
		var ids []string
		for _, row := range rows {
			var id, at int64
			_, _ = fmt.Sscanf(string(row), "[%d,%d]", &id, &at)
			ids = append(ids, strconv.FormatInt(id, 10))
		}
		return ids, nil
	}}
	if err := k.run(t.Context(), start, start.Add(2*time.Hour)); err != nil || l.asked > 90 {
		t.Errorf("%d questions for 50 pages, %v", l.asked, err)
	}
	l.tellTotal, l.asked = false, 0
	if err := k.run(t.Context(), start, start.Add(2*time.Hour)); err != nil || l.asked > 400 {
		t.Errorf("%d questions for 50 pages of which the server does not tell how many there are, %v", l.asked, err)
	}
}

func TestAWalkOfSmallPagesGoesFastOverWhatIsEmpty(t *testing.T) {
	start := time.Unix(3_600_000, 0)
	l := &list{unit: time.Second, most: 2, tellTotal: true, change: func(*list) {}}
	for i := range 10 {
		l.rows = append(l.rows, listRow{i, start})
	}
	k := &walk{unit: time.Second, size: 2, ask: l.ask(2), take: func(_ context.Context, rows []jsontext.Value) ([]string, error) {
		var ids []string
		for _, row := range rows {
			ids = append(ids, string(row))
		}
		return ids, nil
	}}
	if err := k.run(t.Context(), start, start.Add(24*time.Hour)); err != nil || l.asked > 100 {
		t.Errorf("%d questions for 10 rows, %v", l.asked, err)
	}
}

func TestAListThatRepeatsItselfIsNoLists(t *testing.T) {
	rows := []jsontext.Value{jsontext.Value("1"), jsontext.Value("2")}
	asked := 0
	k := &walk{
		unit: time.Second, size: 2,
		ask: func(context.Context, time.Time, time.Time, int) (answer, error) {
			asked++
			return answer{rows: rows, total: unknown, size: unknown}, nil
		},
		take: func(_ context.Context, rows []jsontext.Value) ([]string, error) {
			return []string{"1", "2"}, nil
		},
	}
	if err := k.run(t.Context(), time.Unix(0, 0), time.Unix(60, 0)); err == nil || asked > 100 {
		t.Errorf("%v after %d questions, want an error soon", err, asked)
	}
}
