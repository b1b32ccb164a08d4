// Package buckettest is what every bucket must do, as a test suite, and what
// the tests of those who keep something in one share: a server, and a line to a
// bucket on which requests go wrong.
//
// It knows no bucket from within. Start at [Run] and [Line].
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// patience is how long something may take that happens by itself.
const patience = time.Minute

// Run tests buckets. Each test calls open for an empty one, and again for another
// node's way to the same.
func Run(t *testing.T, open func(t *testing.T) (node func() bucket.Bucket)) {
	for name, test := range map[string]func(*testing.T, func() bucket.Bucket){
		"WhatIsWrittenIsRead":                           testPut,
		"AKeyIsWrittenOverTheRevisionThatIsKnown":       testRevisions,
		"SetWritesWhateverThereIs":                      testSet,
		"ARemovedKeyIsGoneAndMayBeWrittenAnew":          testDelete,
		"AKeyIsRemovedAtTheRevisionThatIsKnown":         testDeleteChanged,
		"RevisionsRiseOverTheWholeBucket":               testRising,
		"OfManyWhoWriteOverARevisionOneSucceeds":        testContest,
		"ValuesAreKeptToTheByte":                        testBytes,
		"WhatIsTooLargeIsRefusedAndChangesNothing":      testLimit,
		"AnEndedContextIsUnavailable":                   testContext,
		"AWatchTellsWhatThereIsAndThenWhatChanges":      testWatch,
		"AWatchOfAnEmptyBucketIsSyncedAtOnce":           testWatchEmpty,
		"AWatchOfKeysTellsNoValues":                     testWatchKeys,
		"AWatchTellsOfRemovals":                         testWatchRemovals,
		"AWatchEndsWhenItsTellerHasEnough":              testWatchEnough,
		"AWatchEndsWithItsContext":                      testWatchContext,
		"NobodyWhoWatchesMissesTheNewestStateOfAKey":    testWatchNewest,
		"WhoFollowsIsToldOnceThatAWatchIsSynced":        testFollow,
		"AReaderSeesWhatItHasWrittenAndWhatOthersWrote": testOwnWrites,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// T is a test, of the standard library or of another.
type T interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// Entries returns what is in a bucket, removed keys too if it remembers them, in
// the order of revisions.
func Entries(t T, b bucket.Bucket) (all []bucket.Entry) {
	t.Helper()
	err := b.Watch(t.Context(), bucket.Whole, func(e bucket.Entry) bool {
		if !e.Synced {
			all = append(all, e)
		}
		return !e.Synced
	})
	if err != nil {
		t.Fatalf("list a bucket: %v", err)
	}
	return all
}

// Value returns the value of a key.
func Value(t T, b bucket.Bucket, key string) string { return string(Entry(t, b, key).Value) }

// Entry returns the entry of a key that is there.
func Entry(t T, b bucket.Bucket, key string) bucket.Entry {
	t.Helper()
	e, err := b.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return e
}

// Revision returns the newest revision in a bucket.
func Revision(t T, b bucket.Bucket) (newest uint64) {
	t.Helper()
	for _, e := range Entries(t, b) {
		newest = max(newest, e.Rev)
	}
	return newest
}

func put(t *testing.T, b bucket.Bucket, key, value string, rev uint64) uint64 {
	t.Helper()
	rev, err := b.Put(t.Context(), key, []byte(value), rev)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return rev
}

func missing(t *testing.T, b bucket.Bucket, key string) {
	t.Helper()
	if e, err := b.Get(t.Context(), key); !errors.Is(err, bucket.ErrMissing) {
		t.Errorf("get %s: %q at %d, %v; want that it is missing", key, e.Value, e.Rev, err)
	}
}

func want(t *testing.T, b bucket.Bucket, key, value string, rev uint64) {
	t.Helper()
	e := Entry(t, b, key)
	if e.Key != key || string(e.Value) != value || e.Rev != rev || e.Gone || e.Synced {
		t.Errorf("%+v, want %s = %q at %d", e, key, value, rev)
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("%s: %v, want that it is unavailable", what, err)
	}
}

func testPut(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	missing(t, a, "x")
	rev := put(t, a, "x", "1", 0)
	want(t, a, "x", "1", rev)
	want(t, b, "x", "1", rev)
	missing(t, b, "x.y")
}

func testRevisions(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	first := put(t, a, "x", "1", 0)
	second := put(t, b, "x", "2", first)
	for _, rev := range []uint64{0, first, second + 1} {
		if _, err := a.Put(t.Context(), "x", []byte("3"), rev); !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("a put over %d: %v", rev, err)
		}
	}
	if _, err := a.Put(t.Context(), "y", []byte("3"), second); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("a put over the revision of another key: %v", err)
	}
	want(t, a, "x", "2", second)
	missing(t, a, "y")
}

func testSet(t *testing.T, node func() bucket.Bucket) {
	b := node()
	var rev uint64
	for _, value := range []string{"1", "2"} {
		next, err := b.Set(t.Context(), "x", []byte(value))
		if err != nil || next <= rev {
			t.Fatalf("revision %d after %d, %v", next, rev, err)
		}
		rev = next
		want(t, b, "x", value, rev)
	}
	put(t, b, "x", "3", rev)
}

func testDelete(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	rev := put(t, a, "x", "1", 0)
	if err := b.Delete(t.Context(), "x", rev); err != nil {
		t.Fatal(err)
	}
	missing(t, a, "x")
	if _, err := a.Put(t.Context(), "x", []byte("2"), rev); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("a put over what was removed: %v", err)
	}
	again := put(t, a, "x", "3", 0)
	want(t, b, "x", "3", again)
	for range 2 { // the second finds nothing
		if err := a.Delete(t.Context(), "x", 0); err != nil {
			t.Errorf("a removal whatever there is: %v", err)
		}
	}
	missing(t, b, "x")
	if _, err := a.Set(t.Context(), "x", []byte("4")); err != nil || Value(t, b, "x") != "4" {
		t.Errorf("set after a removal: %v", err)
	}
}

func testDeleteChanged(t *testing.T, node func() bucket.Bucket) {
	b := node()
	first := put(t, b, "x", "1", 0)
	second := put(t, b, "x", "2", first)
	for key, rev := range map[string]uint64{"x": first, "y": second} {
		if err := b.Delete(t.Context(), key, rev); !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("the removal of %s at %d: %v", key, rev, err)
		}
	}
	want(t, b, "x", "2", second)
}

func testRising(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	last := uint64(0)
	for i := range 20 {
		key := fmt.Sprint("k", i%7)
		rev, err := []bucket.Bucket{a, b}[i%2].Set(t.Context(), key, nil)
		if err != nil || rev <= last {
			t.Fatalf("revision %d after %d, %v", rev, last, err)
		}
		last = rev
		if i%5 == 0 {
			if err := a.Delete(t.Context(), key, rev); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func testContest(t *testing.T, node func() bucket.Bucket) {
	for _, over := range []bool{false, true} {
		key := fmt.Sprint("x", over)
		rev := uint64(0)
		if over {
			rev = put(t, node(), key, "0", 0)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		won := map[string]uint64{}
		for i := range 8 {
			b, value := node(), fmt.Sprint(i)
			all.Go(func() {
				now, err := b.Put(t.Context(), key, []byte(value), rev)
				if err != nil && !errors.Is(err, bucket.ErrChanged) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					won[value] = now
				}
			})
		}
		all.Wait()
		e := Entry(t, node(), key)
		if len(won) != 1 || won[string(e.Value)] != e.Rev {
			t.Errorf("%v have succeeded, and there is %q at %d", won, e.Value, e.Rev)
		}
	}
}

func testBytes(t *testing.T, node func() bucket.Bucket) {
	b := node()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for key, value := range map[string][]byte{"empty": {}, "every": every, "a.b-c_d.E": []byte("\r\n\r\n")} {
		mine := bytes.Clone(value)
		if _, err := b.Put(t.Context(), key, mine, 0); err != nil {
			t.Fatal(err)
		}
		clear(mine) // the bucket has its own
		if got := Value(t, b, key); got != string(value) {
			t.Errorf("%s: %q, want %q", key, got, value)
		}
	}
}

func testLimit(t *testing.T, node func() bucket.Bucket) {
	b := node()
	most := strings.Repeat("x", b.Limit())
	rev := put(t, b, strings.Repeat("k", 200), most, 0)
	want(t, b, strings.Repeat("k", 200), most, rev)
	large := bytes.Repeat([]byte("x"), b.Limit()+overhead+1)
	_, err := b.Put(t.Context(), "x", large, 0)
	unavailable(t, "a put of too much", err)
	_, err = b.Set(t.Context(), "x", large)
	unavailable(t, "a set of too much", err)
	missing(t, b, "x")
}

// overhead is more than any bucket takes beyond what it promises.
const overhead = 8 << 10

func testContext(t *testing.T, node func() bucket.Bucket) {
	b := node()
	rev := put(t, b, "x", "1", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Get(ctx, "x")
	unavailable(t, "get", err)
	_, err = b.Put(ctx, "x", []byte("2"), rev)
	unavailable(t, "put", err)
	_, err = b.Set(ctx, "y", nil)
	unavailable(t, "set", err)
	unavailable(t, "delete", b.Delete(ctx, "x", rev))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not tell its cause", err)
	}
}

func testOwnWrites(t *testing.T, node func() bucket.Bucket) {
	a, b := node(), node()
	rev := uint64(0)
	for i := range 200 {
		w, r := a, b
		if i%2 == 0 {
			w, r = b, a
		}
		rev = put(t, w, "x", fmt.Sprint(i), rev)
		want(t, w, "x", fmt.Sprint(i), rev)
		want(t, r, "x", fmt.Sprint(i), rev)
	}
}
