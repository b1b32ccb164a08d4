package buckettest

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatecast/gatecast/internal/bucket"
)

// Line is a node's connection to a bucket, on which requests go wrong. Watches
// do not.
type Line struct {
	bucket.Bucket
	Timeout time.Duration // of a request; default 5 s

	// mu guards the fields below; it is held only to copy them.
	mu    sync.Mutex
	spoil func(Request) Fault
	stale bucket.Bucket
}

// Request is a request to a bucket: "get", "put", "set" or "delete".
type Request struct{ Op, Key string }

// Fault is what becomes of a request. The zero value is that nothing goes wrong.
type Fault struct {
	Lost   error           // it does not reach the bucket
	Cut    bool            // nor this, and nothing is heard of it until its time is over
	Unsaid error           // it is done, and this is heard of it in place of the answer
	Late   <-chan struct{} // it was sent, and the bucket gets it when this closes, whoever still waits
}

// ErrCut is behind the error of a request that was cut off.
var ErrCut = errors.New("the line is cut")

// Spoil has f decide from now on what becomes of each request; nil has nothing
// go wrong. It is called from whichever goroutine asks.
func (l *Line) Spoil(f func(Request) Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoil = f
}

// Stale has reads answered by another bucket from now on, which holds what this
// one held at some time; nil ends that.
func (l *Line) Stale(old bucket.Bucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = old
}

func (l *Line) fate(op, key string) Fault {
	l.mu.Lock()
	spoil := l.spoil
	l.mu.Unlock()
	if spoil == nil {
		return Fault{}
	}
	return spoil(Request{op, key})
}

// send does a request as far as its fate lets it.
func (l *Line) send(ctx context.Context, op, key string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(l.Timeout, 5*time.Second))
	defer cancel()
	f := l.fate(op, key)
	if f.Late != nil {
		<-f.Late
		ctx = context.WithoutCancel(ctx)
	}
	if f.Lost != nil {
		return bucket.Unavailable(f.Lost)
	}
	if f.Cut {
		<-ctx.Done()
		return bucket.Unavailable(ErrCut)
	}
	err := do(ctx)
	if err == nil && f.Unsaid != nil {
		return bucket.Unavailable(f.Unsaid)
	}
	return err
}

// Get is [bucket.Bucket]'s.
func (l *Line) Get(ctx context.Context, key string) (e bucket.Entry, err error) {
	l.mu.Lock()
	from := cmp.Or(l.stale, l.Bucket)
	l.mu.Unlock()
	err = l.send(ctx, "get", key, func(ctx context.Context) error {
		e, err = from.Get(ctx, key)
		return err
	})
	if err != nil {
		return bucket.Entry{}, err
	}
	return e, nil
}

// Put is [bucket.Bucket]'s.
func (l *Line) Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return l.write(ctx, "put", key, func(ctx context.Context) (uint64, error) { return l.Bucket.Put(ctx, key, value, rev) })
}

// Set is [bucket.Bucket]'s.
func (l *Line) Set(ctx context.Context, key string, value []byte) (uint64, error) {
	return l.write(ctx, "set", key, func(ctx context.Context) (uint64, error) { return l.Bucket.Set(ctx, key, value) })
}

// Delete is [bucket.Bucket]'s.
func (l *Line) Delete(ctx context.Context, key string, rev uint64) error {
	return l.send(ctx, "delete", key, func(ctx context.Context) error { return l.Bucket.Delete(ctx, key, rev) })
}

func (l *Line) write(ctx context.Context, op, key string, do func(context.Context) (uint64, error)) (now uint64, err error) {
	err = l.send(ctx, op, key, func(ctx context.Context) error {
		now, err = do(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return now, nil
}
