package journal

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNoHistoryForbidsBatchesOrSingles: whatever the disk has done until now,
// a lone event goes alone and a crowd goes together.
func TestNoHistoryForbidsBatchesOrSingles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPace()
		for range rapid.IntRange(0, 60).Draw(t, "commits") {
			n := rapid.IntRange(1, 1000).Draw(t, "events")
			took := time.Duration(rapid.Int64Range(int64(100*time.Microsecond), int64(10*time.Second)).Draw(t, "took"))
			if rapid.Bool().Draw(t, "single") {
				p.learn(true, n, took*time.Duration(n))
			} else {
				p.learn(false, n, took+time.Duration(n)*perEvent)
			}
		}
		if !p.alone(1) || !p.alone(2) {
			t.Fatalf("%+v: two events would go as a batch", p)
		}
		if p.alone(200) {
			t.Fatalf("%+v: 200 events would go one by one", p)
		}
	})
}

// TestThePaceFollowsTheDisk: a batch is worth it from that number on at which
// its flushes are fewer.
func TestThePaceFollowsTheDisk(t *testing.T) {
	const flush = time.Millisecond
	p := newPace()
	for range 100 {
		p.learn(true, 1, flush)
		p.learn(false, 100, 7*flush+100*perEvent)
	}
	if !p.alone(6) || p.alone(9) {
		t.Errorf("%+v: six alone %v, nine alone %v; a batch costs seven flushes", p, p.alone(6), p.alone(9))
	}
}
