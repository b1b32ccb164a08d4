package journaltest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
	"pgregory.net/rapid"
)

// writers sends calls of mixed sizes from several senders at once.
func writers(t *testing.T, j Journal, senders, calls int) (total int) {
	t.Helper()
	var wg sync.WaitGroup
	sizes := make([][]int, senders)
	for w := range sizes {
		rnd := rand.New(rand.NewPCG(1, uint64(w)))
		for range calls {
			n := 1
			if rnd.IntN(3) == 0 {
				n += rnd.IntN(40)
			}
			sizes[w] = append(sizes[w], n)
			total += n
		}
	}
	for w := range sizes {
		wg.Go(func() {
			for c, n := range sizes[w] {
				events := Events(fmt.Sprintf("w%d/c%d", w, c), n)
				r, err := j.Append(bounded(t), events)
				if err != nil || r.Accepted != n || r.Duplicates != 0 || r.Last-r.First+1 != gatecast.Seq(n) {
					t.Errorf("sender %d, call %d of %d events: %+v, %v", w, c, n, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return total
}

func callsStayWhole(t *testing.T, s Subject) {
	j := open(t, s, Limits{Ring: 64})
	total := writers(t, j, 16, 25)
	events := readAll(t, j, 0, 333)
	if len(events) != total {
		t.Fatalf("%d events stored, want %d", len(events), total)
	}
	next := make(map[string]int) // call each sender is at
	for i := 0; i < len(events); {
		sender, call, _ := place(t, events[i].ID)
		if want := next[sender]; call != want {
			t.Fatalf("seq %d: sender %s at call %d, want %d", events[i].Seq, sender, call, want)
		}
		next[sender]++
		prefix := fmt.Sprintf("%s/c%d-", sender, call)
		for n := 1; i < len(events) && strings.HasPrefix(events[i].ID, prefix); n++ {
			if want := fmt.Sprint(prefix, n); events[i].ID != want {
				t.Fatalf("seq %d holds %s, want %s", events[i].Seq, events[i].ID, want)
			}
			if i > 0 && events[i].Seq != events[i-1].Seq+1 {
				t.Fatalf("seq %d follows %d", events[i].Seq, events[i-1].Seq)
			}
			i++
		}
	}
}

func place(t *testing.T, id string) (sender string, call, n int) {
	t.Helper()
	sender, rest, _ := strings.Cut(id, "/")
	if _, err := fmt.Sscanf(rest, "c%d-%d", &call, &n); err != nil {
		t.Fatalf("foreign event %q: %v", id, err)
	}
	return sender, call, n
}

func oneOfManySenders(t *testing.T, s Subject) {
	j := open(t, s, Limits{})
	const rounds, senders = 20, 8
	var mu sync.Mutex
	accepted := 0
	for round := range rounds {
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				events := Events(fmt.Sprint("round", round), 1+round%3)
				r, err := j.Append(bounded(t), events)
				if err != nil || r.Accepted+r.Duplicates != len(events) {
					t.Errorf("round %d: %+v, %v", round, r, err)
				}
				mu.Lock()
				defer mu.Unlock()
				accepted += r.Accepted
			})
		}
		wg.Wait()
	}
	stored := len(readAll(t, j, 0, 100))
	if want := 7*1 + 7*2 + 6*3; stored != want || accepted != want {
		t.Errorf("%d events stored, %d accepted, want %d", stored, accepted, want)
	}
}

func followersSeeEverything(t *testing.T, s Subject) {
	j := open(t, s, Limits{Ring: 32})
	const early = 30
	mustAppend(t, j, Events("w99/c0", early)...)
	seen := make([][]gatecast.Event, 6)
	total := make(chan int)
	var followers sync.WaitGroup
	for f := range seen {
		after := gatecast.Seq(f * early / (len(seen) - 1)) // from the beginning, the middle, the end
		followers.Go(func() {
			end := gatecast.Seq(0)
			ctx := bounded(t)
			for e, err := range j.Follow(ctx, after) {
				if err != nil {
					t.Errorf("follower %d after %d events: %v", f, len(seen[f]), err)
					return
				}
				if f == 1 && len(seen[f])%100 == 0 {
					// A slow one: it falls off the memory and must not miss a thing.
					if _, err := j.Extent(ctx); err != nil {
						t.Errorf("Extent: %v", err)
					}
				}
				seen[f] = append(seen[f], e)
				if e.ID == "last-1" {
					end = e.Seq
					break
				}
			}
			if want := int(end - after); len(seen[f]) != want {
				t.Errorf("follower %d saw %d events, want %d", f, len(seen[f]), want)
			}
		})
	}
	go func() {
		n := writers(t, j, 8, 25)
		if _, err := j.Append(bounded(t), Events("last", 1)); err != nil {
			t.Errorf("Append: %v", err)
		}
		total <- n
	}()
	n := <-total
	followers.Wait()
	if want := early + n + 1; len(seen[0]) != want {
		t.Errorf("the first follower saw %d events, want %d", len(seen[0]), want)
	}
	for f := range seen {
		for i, e := range seen[f] {
			if i > 0 && e.Seq != seen[f][i-1].Seq+1 {
				t.Fatalf("follower %d: seq %d follows %d", f, e.Seq, seen[f][i-1].Seq)
			}
		}
	}
}

// modelAgrees drives a journal and a slice with the same random calls.
func modelAgrees(t *testing.T, s Subject) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		j := s.Open(t, fmt.Sprintf("%s-%d", t.Name(), round), Limits{Ring: rapid.IntRange(1, 8).Draw(rt, "ring")})
		defer closeJournal(t, j)
		var stored []string
		known := make(map[string]bool)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "append") {
				appendBoth(rt, t, j, &stored, known)
			} else {
				readBoth(rt, t, j, stored)
			}
		}
	})
}

func appendBoth(rt *rapid.T, t *testing.T, j Journal, stored *[]string, known map[string]bool) {
	names := rapid.SliceOfN(rapid.StringMatching(`[a-d][0-9 %]`), 1, 12).Draw(rt, "ids")
	var events []gatecast.Event
	var want gatecast.Receipt
	for _, id := range names {
		events = append(events, Event(id))
		if known[id] {
			want.Duplicates++
			continue
		}
		known[id] = true
		*stored = append(*stored, id)
		want.Accepted++
	}
	if want.Accepted > 0 {
		want.Last = gatecast.Seq(len(*stored))
		want.First = want.Last - gatecast.Seq(want.Accepted) + 1
	}
	if got := mustAppend(t, j, events...); got != want {
		rt.Fatalf("Append(%q): %+v, want %+v", names, got, want)
	}
}

func readBoth(rt *rapid.T, t *testing.T, j Journal, stored []string) {
	after := rapid.IntRange(0, len(stored)+2).Draw(rt, "after")
	limit := rapid.IntRange(1, 10).Draw(rt, "limit")
	got, err := j.Read(bounded(t), gatecast.Seq(after), limit)
	if after > len(stored) {
		if gatecast.CodeOf(err) != gatecast.Gap {
			rt.Fatalf("Read(%d) of %d: %v, want a gap", after, len(stored), err)
		}
		return
	}
	want := stored[after:min(after+limit, len(stored))]
	if err != nil || ids(got) != strings.Join(want, " ") {
		rt.Fatalf("Read(%d, %d): %q, %v, want %q", after, limit, ids(got), err, want)
	}
}
