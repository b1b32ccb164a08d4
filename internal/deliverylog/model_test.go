package deliverylog

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// model is a log as a slice for each subscription, oldest first, and how much
// of it is on disk.
type model struct {
	all    [3][]gatecast.Attempt
	onDisk [3]int
}

func TestTheLogIsASliceForEachSubscription(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		l := open(t, Options{Dir: dir})
		var m model
		n := 0
		which := func(rt *rapid.T) int { return rapid.IntRange(0, 2).Draw(rt, "subscription") }
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				s := which(rt)
				for range rapid.IntRange(1, 30).Draw(rt, "attempts") {
					n++
					a := attempt(n)
					a.Outcome = rapid.SampledFrom([]gatecast.Outcome{gatecast.Delivered, gatecast.Refused}).Draw(rt, "outcome")
					a.Answer = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "answer")
					l.Add(subscription(s), a)
					m.all[s] = append(m.all[s], a)
				}
			},
			"flush": func(*rapid.T) {
				flush(t, l)
				for s := range m.all {
					m.onDisk[s] = len(m.all[s])
				}
			},
			"crash": func(*rapid.T) {
				l = open(t, Options{Dir: dir})
				for s := range m.all {
					m.all[s] = m.all[s][:m.onDisk[s]]
				}
			},
			"forget": func(rt *rapid.T) {
				s := which(rt)
				l.Forget(subscription(s))
				m.all[s], m.onDisk[s] = nil, 0
			},
			"read": func(rt *rapid.T) {
				s := which(rt)
				q := Query{
					Limit:   rapid.IntRange(1, 40).Draw(rt, "limit"),
					Outcome: rapid.SampledFrom([]gatecast.Outcome{"", gatecast.Delivered, gatecast.Refused}).Draw(rt, "outcome"),
				}
				var want []gatecast.Attempt
				for _, a := range slices.Backward(m.all[s]) {
					if q.Outcome == "" || a.Outcome == q.Outcome {
						want = append(want, a)
					}
				}
				if diff := cmp.Diff(want, read(t, l, subscription(s), q)); diff != "" {
					rt.Fatal(diff)
				}
			},
		})
	})
}

// With little room the list is the newest of the slice, as far as there is
// room for them, and the files never take more.
func TestOldAttemptsMakeRoomForNewOnes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		l := open(t, Options{Dir: dir, MaxBytes: minBytes})
		n := 0
		for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
			for range rapid.IntRange(0, 80).Draw(rt, "attempts") {
				n++
				a := attempt(n)
				a.Answer = make([]byte, rapid.SampledFrom([]int{0, 100, 1024}).Draw(rt, "answer"))
				l.Add(subscription(1), a)
			}
			flush(t, l)
			var bytes, lines int
			for _, name := range l.files(subscription(1)) {
				b, err := os.ReadFile(name)
				if err != nil && !os.IsNotExist(err) {
					rt.Fatal(err)
				}
				bytes += len(b)
				lines += strings.Count(string(b), "\n")
			}
			if bytes > minBytes {
				rt.Fatalf("%d bytes in files, %d are allowed", bytes, minBytes)
			}
			got := seqs(read(t, l, subscription(1), Query{Limit: rapid.IntRange(10, 100).Draw(rt, "limit")}))
			if diff := cmp.Diff(down(n, n-lines+1), got); diff != "" {
				rt.Fatal(diff)
			}
			if lines < min(n, 3) {
				rt.Fatalf("%d attempts are kept of %d", lines, n)
			}
		}
	})
}

// A reader that pages while attempts come, move to files and make room sees
// all that was there when it began, from the newest on, none of it twice, and
// none is missing between two that it sees.
func TestPagesFitTogetherWhileTheLogIsWritten(t *testing.T) {
	const attempts = 10_000
	l := open(t, Options{MaxBytes: 256 << 10})
	var added atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for n := 1; n <= attempts; n++ {
			l.Add(subscription(1), attempt(n))
			added.Store(int64(n))
			if n%37 == 0 {
				flush(t, l)
			}
		}
	})
	for limit := 10; ; limit++ {
		there := int(added.Load())
		got := seqs(read(t, l, subscription(1), Query{Limit: limit}))
		if there > 0 && (len(got) == 0 || got[0] < there) {
			t.Fatalf("%d had been added, the newest is missing", there)
		}
		for i := 1; i < len(got); i++ {
			if got[i] != got[i-1]-1 {
				t.Fatalf("after %d comes %d", got[i-1], got[i])
			}
		}
		if there == attempts {
			return
		}
	}
}

// Lines lie across the blocks that a file is read in, and across files.
func TestAListOfManyBlocksIsReadWhole(t *testing.T) {
	l := open(t, Options{})
	const attempts = 3000
	for n := range attempts {
		a := attempt(n)
		a.Error = strings.Repeat("e", n*7%300)
		l.Add(subscription(1), a)
		if n%700 == 0 {
			flush(t, l)
		}
	}
	flush(t, l)
	if diff := cmp.Diff(down(attempts-1, 0), seqs(read(t, l, subscription(1), Query{Limit: 1000}))); diff != "" {
		t.Error(diff)
	}
}

func TestAThousandSubscriptionsAtOnce(t *testing.T) {
	dir := t.TempDir()
	const subscriptions, each = 1000, 12
	l := open(t, Options{Dir: dir, Interval: 5 * time.Millisecond, MaxBuffered: subscriptions * each})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var wg sync.WaitGroup
	for part := range 10 {
		wg.Go(func() {
			for n := range each {
				for s := part; s < subscriptions; s += 10 {
					l.Add(subscription(s), attempt(n))
				}
			}
		})
	}
	wg.Wait()
	for s := 0; s < subscriptions; s += 97 {
		if diff := cmp.Diff(down(each-1, 0), seqs(read(t, l, subscription(s), Query{Limit: 5}))); diff != "" {
			t.Errorf("%d, while it is written:\n%s", s, diff)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(l.meters.written); n != subscriptions*each {
		t.Errorf("%v written, want all", n)
	}
	l = open(t, Options{Dir: dir})
	for s := range subscriptions {
		if diff := cmp.Diff(down(each-1, 0), seqs(read(t, l, subscription(s), Query{}))); diff != "" {
			t.Fatalf("%d:\n%s", s, diff)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != subscriptions {
		t.Errorf("%d files", len(names))
	}
}
