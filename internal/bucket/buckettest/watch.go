package buckettest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast/internal/bucket"
)

// observe watches a bucket until the test ends, and returns what it is told.
func observe(t *testing.T, b bucket.Bucket, what bucket.What) <-chan bucket.Entry {
	t.Helper()
	told := make(chan bucket.Entry, 1000) // more than any test here writes
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		err := b.Watch(ctx, what, func(e bucket.Entry) bool { told <- e; return true })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); watching.Wait() })
	return told
}

func next(t *testing.T, told <-chan bucket.Entry) bucket.Entry {
	t.Helper()
	select {
	case e := <-told:
		return e
	case <-time.After(patience):
		t.Fatal("nothing is told")
		return bucket.Entry{}
	}
}

func line(e bucket.Entry) string {
	switch {
	case e.Synced:
		return "synced"
	case e.Gone:
		return fmt.Sprintf("%s is gone at %d", e.Key, e.Rev)
	}
	return fmt.Sprintf("%s=%s at %d", e.Key, e.Value, e.Rev)
}

func hear(t *testing.T, told <-chan bucket.Entry, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got := line(next(t, told)); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func testWatch(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	x := put(t, a, "x", "1", 0)
	y := put(t, a, "y", "2", 0)
	x = put(t, a, "x", "3", x)
	told := observe(t, b, bucket.Whole)
	hear(t, told, fmt.Sprintf("y=2 at %d", y), fmt.Sprintf("x=3 at %d", x), "synced")
	z := put(t, a, "z", "4", 0)
	y = put(t, b, "y", "5", y)
	hear(t, told, fmt.Sprintf("z=4 at %d", z), fmt.Sprintf("y=5 at %d", y))
}

func testWatchEmpty(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	told := observe(t, b, bucket.Whole)
	hear(t, told, "synced")
	hear(t, told, fmt.Sprintf("x=1 at %d", put(t, a, "x", "1", 0)))
}

func testWatchKeys(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	x := put(t, a, "x", "1", 0)
	told := observe(t, b, bucket.Keys)
	hear(t, told, fmt.Sprintf("x= at %d", x), "synced")
	hear(t, told, fmt.Sprintf("x= at %d", put(t, a, "x", "2", x)))
}

func testWatchRemovals(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	x := put(t, a, "x", "1", 0)
	for _, what := range []bucket.What{bucket.Whole, bucket.Keys} {
		told := observe(t, b, what)
		for e := next(t, told); !e.Synced; e = next(t, told) {
			if e.Key != "x" {
				t.Errorf("told %s", line(e))
			}
		}
		if err := a.Delete(t.Context(), "x", x); err != nil {
			t.Fatal(err)
		}
		e := next(t, told)
		if e.Key != "x" || !e.Gone || e.Rev <= x || len(e.Value) > 0 {
			t.Errorf("told %s, want that x is gone after %d", line(e), x)
		}
		x = put(t, a, "x", "", 0)
		hear(t, told, fmt.Sprintf("x= at %d", x))
	}
}

func testWatchEnough(t *testing.T, node func() bucket.Bucket) {
	b := node()
	for key := range 3 {
		put(t, b, fmt.Sprint(key), "", 0)
	}
	for enough := range 4 {
		n := 0
		err := b.Watch(t.Context(), bucket.Keys, func(bucket.Entry) bool { n++; return n <= enough })
		if err != nil || n != enough+1 {
			t.Errorf("%d are told, %v; want %d", n, err, enough+1)
		}
	}
}

func testWatchContext(t *testing.T, node func() bucket.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	err := node().Watch(ctx, bucket.Whole, func(e bucket.Entry) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// testWatchNewest begins watches while somebody writes.
func testWatchNewest(t *testing.T, node func() bucket.Bucket) {
	a := node()
	const keys, writes = 5, 100
	newest := map[string]uint64{}
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range writes {
			key := fmt.Sprint(i % keys)
			rev, err := a.Put(t.Context(), key, []byte(fmt.Sprint(i)), newest[key])
			if err != nil {
				t.Error(err)
				return
			}
			newest[key] = rev
		}
	})
	var told []<-chan bucket.Entry
	for range 4 {
		told = append(told, observe(t, node(), bucket.Whole))
	}
	writing.Wait()
	for i, told := range told {
		known, last := map[string]uint64{}, uint64(0)
		for behind := len(newest); behind > 0; {
			e := next(t, told)
			if e.Synced {
				continue
			}
			if e.Rev <= last {
				t.Fatalf("watch %d: revision %d after %d", i, e.Rev, last)
			}
			known[e.Key], last = e.Rev, e.Rev
			if e.Rev == newest[e.Key] {
				behind--
			}
		}
		for key, rev := range newest {
			if known[key] != rev {
				t.Errorf("watch %d: %s is at %d, it was told %d", i, key, rev, known[key])
			}
		}
	}
}

func testFollow(t *testing.T, node func() bucket.Bucket) {
	a := node()
	x := put(t, a, "x", "1", 0)
	told := make(chan bucket.Entry, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	b := node()
	following.Go(func() {
		bucket.Follow(ctx, b, bucket.Watcher{
			Tell: func(e bucket.Entry) { told <- e },
			Lost: func(err error, _ int) time.Duration { t.Errorf("lost: %v", err); return 0 },
		})
	})
	hear(t, told, fmt.Sprintf("x=1 at %d", x), "synced")
	hear(t, told, fmt.Sprintf("x=2 at %d", put(t, a, "x", "2", x)))
	cancel()
	following.Wait()
}
