package bucket

import (
	"context"
	"time"
)

// Watcher is who is told what happens in a bucket.
type Watcher struct {
	What  What
	Begin func() // everything there is will be told anew; default: nothing
	Tell  func(Entry)
	// Lost is told that the watch was lost, why, and how many watches in a row
	// have been lost since one was Synced, not counting this one. It says how
	// long to wait before the next.
	Lost func(err error, before int) (pause time.Duration)
}

// Follow watches a bucket until ctx ends, and again whenever the watch is lost.
func Follow(ctx context.Context, b Bucket, w Watcher) {
	for failures := 0; ; failures++ {
		if w.Begin != nil {
			w.Begin()
		}
		err := b.Watch(ctx, w.What, func(e Entry) bool {
			if e.Synced {
				failures = 0
			}
			w.Tell(e)
			return true
		})
		if ctx.Err() != nil {
			return
		}
		pause := time.NewTimer(w.Lost(err, failures))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}
