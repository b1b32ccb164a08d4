package bucket

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A lease is a key that its holder rewrites. Nobody's clock is compared with
// another's: a node takes the lease when the key has not changed for TakeAfter of
// its own clock, and a holder that could not rewrite it for GiveUp stops by
// itself. What lies between the two is how long the work may take to stop, and
// how wrong the clocks may go.
const (
	RenewEvery = 3 * time.Second  // a holder rewrites the key
	GiveUp     = 9 * time.Second  // a holder stops that could not rewrite it for so long, counted from when it last began to
	TakeAfter  = 15 * time.Second // others take the lease when the key has not changed for so long
	LookEvery  = time.Second      // others look at the key, and a holder tries again
	patience   = 2 * time.Second  // for one request
)

// LeaseKey is the key of a bucket's lease, unless LeaseOptions.Key names another.
const LeaseKey = "lease"

const leaseVersion = 1

// leaseRecord is how a lease lies in its bucket.
type leaseRecord struct {
	V      int    `json:"v"`
	Writer string `json:"w"`
	Node   string `json:"n"`           // for people
	Time   int64  `json:"t"`           // when it was written, Unix milliseconds, for people
	Free   bool   `json:"f,omitempty"` // its holder has given it back
}

// LeaseOptions tunes a Lease. The zero value suits, but for Work.
type LeaseOptions struct {
	Key    string           // default LeaseKey
	Work   string           // what the holder does, for the log: "delivers to subscriptions"
	Node   string           // names this node, for people; default: Writer
	Writer string           // names this process, and no other; default: a random name
	Now    func() time.Time // for what is written, for people; default time.Now
	Log    *slog.Logger     // default: discard
}

func (o LeaseOptions) withDefaults() LeaseOptions {
	o.Key = cmp.Or(o.Key, LeaseKey)
	o.Writer = cmp.Or(o.Writer, rand.Text())
	o.Node = cmp.Or(o.Node, o.Writer)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Lease says which of several nodes does something. It promises that two do not
// hold it at the same time, as long as their clocks run equally fast within a
// fifth or so and none of them stands still unnoticed between a look at its clock
// and what it does next. Whoever must not be wrong even then writes over
// revisions, so that what a former holder writes late comes to nothing.
//
// [Lease.Keep] is for work that begins and ends with the lease; it is made of
// Campaign, Hold and Release. One goroutine at a time calls these.
type Lease struct {
	bucket  Bucket
	opts    LeaseOptions
	news    chan struct{} // holds one token after the key has changed
	absence Outage
	holder  atomic.Pointer[string] // the node that was last seen to hold it; nil: none was
	held    atomic.Bool
}

// NewLease makes a Lease over a key of a bucket. It asks nobody yet.
func NewLease(b Bucket, o LeaseOptions) *Lease {
	return &Lease{bucket: b, opts: o.withDefaults(), news: make(chan struct{}, 1)}
}

// Term is the lease as this node has it.
type Term struct {
	Over  uint64    // revision of the key that it was taken over
	rev   uint64    // its own
	began time.Time // when the latest writing of it began
}

// Changed tells that the key may have changed, so that whoever waits for it
// looks now. It never blocks.
func (l *Lease) Changed() {
	select {
	case l.news <- struct{}{}:
	default: // it has yet to look anyway
	}
}

// Held reports whether this node has the lease.
func (l *Lease) Held() bool { return l.held.Load() }

// Holder returns the node that was last seen to hold the lease; empty if none
// was.
func (l *Lease) Holder() string {
	if name := l.holder.Load(); name != nil {
		return *name
	}
	return ""
}

// Healthy returns nil, or why the lease can be neither read nor written.
func (l *Lease) Healthy() error { return l.absence.Err() }

// Keep takes the lease whenever it may be taken, and does work while this node
// has it, until ctx ends. What work is given ends when the lease is lost, and with
// ctx; work has to return within TakeAfter less GiveUp then. The lease is given
// back when work has returned.
func (l *Lease) Keep(ctx context.Context, work func(held context.Context)) {
	for ctx.Err() == nil {
		if t, ok := l.Campaign(ctx, func() bool { return true }); ok {
			l.serve(ctx, t, work)
		}
	}
}

// serve does work for one term. The lease is renewed until work has returned,
// also after ctx has ended.
func (l *Lease) serve(ctx context.Context, t Term, work func(held context.Context)) {
	held, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		work(held)
	}()
	lost := l.Hold(context.WithoutCancel(ctx), &t, over)
	stop()
	<-over
	if lost == nil {
		l.Release(ctx, t)
	}
}

// Campaign takes the lease as soon as it may be taken. It gives up when ctx ends
// or it is no longer wanted, which it asks before each look.
func (l *Lease) Campaign(ctx context.Context, wanted func() bool) (Term, bool) {
	seen, since := uint64(0), time.Now()
	for wanted() {
		news := l.news
		e, r, err := l.look(ctx)
		if err == nil {
			l.reachable()
		}
		switch {
		case err != nil:
			l.unreachable(ctx, err)
		case r.Free || r.Writer == l.opts.Writer || e.Rev == seen && time.Since(since) >= TakeAfter:
			began := time.Now()
			rev, err := l.sign(ctx, e.Rev, false)
			if err == nil {
				return Term{e.Rev, rev, began}, true
			}
			if !errors.Is(err, ErrChanged) { // else another node was faster
				l.unreachable(ctx, err)
				news = nil // they may be of this very write
			}
		case e.Rev != seen:
			seen, since = e.Rev, time.Now()
		}
		select {
		case <-ctx.Done():
			return Term{}, false
		case <-news:
		case <-time.After(LookEvery):
		}
	}
	return Term{}, false
}

// look reads the lease. One that does not exist is free. It may say that this
// process has written it, which then has not heard of that.
func (l *Lease) look(ctx context.Context) (e Entry, r leaseRecord, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err = l.bucket.Get(ctx, l.opts.Key)
	switch {
	case errors.Is(err, ErrMissing):
		r, err = leaseRecord{Free: true}, nil
	case err != nil:
		return e, r, err
	default:
		if broken := json.Unmarshal(e.Value, &r); broken != nil {
			l.opts.Log.Error("the lease cannot be read; it is taken if its holder does not renew it", "err", broken)
			r = leaseRecord{}
		}
	}
	name := r.Node
	if r.Free {
		name = ""
	}
	l.holder.Store(&name)
	return e, r, nil
}

// sign writes the lease in this node's name, over the revision rev.
func (l *Lease) sign(ctx context.Context, rev uint64, free bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := json.Marshal(leaseRecord{
		V: leaseVersion, Writer: l.opts.Writer, Node: l.opts.Node, Time: l.opts.Now().UnixMilli(), Free: free,
	}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return 0, fmt.Errorf("encode the lease: %w", err)
	}
	rev, err = l.bucket.Put(ctx, l.opts.Key, value, rev)
	if err != nil {
		return 0, fmt.Errorf("write the lease: %w", err)
	}
	return rev, nil
}

var (
	errTaken   = errors.New("another node has taken the lease")
	errTooLate = errors.New("the lease could not be renewed in time")
)

// Hold renews the lease until ctx ends or done closes: then it returns nil, and
// whoever called it gives the lease back when the work has stopped. Else it
// returns why the lease is lost. Its time counts from when a renewal began, not
// from when it was heard of: others count from later.
func (l *Lease) Hold(ctx context.Context, t *Term, done <-chan struct{}) error {
	l.held.Store(true)
	defer l.held.Store(false)
	l.holder.Store(&l.opts.Node)
	l.opts.Log.Info("this node "+l.opts.Work, "node", l.opts.Node)
	for next := t.began.Add(RenewEvery); ; {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		tried := time.Now()
		rev, err := l.renew(ctx, *t)
		switch {
		case err == nil:
			t.rev, t.began, next = rev, tried, tried.Add(RenewEvery)
			l.reachable()
		case errors.Is(err, ErrChanged):
			return l.lost(errTaken)
		case time.Since(t.began) >= GiveUp:
			return l.lost(errTooLate)
		default:
			l.unreachable(ctx, err)
			next = earlier(tried.Add(LookEvery), t.began.Add(GiveUp))
		}
	}
}

func (l *Lease) lost(why error) error {
	l.opts.Log.Warn("this node no longer "+l.opts.Work, "reason", why.Error())
	return why
}

// renew rewrites the lease, in time or not at all. If the key stands at another
// revision because an earlier try got through unheard, it goes on from that.
func (l *Lease) renew(ctx context.Context, t Term) (uint64, error) {
	ctx, cancel := context.WithDeadline(ctx, t.began.Add(GiveUp))
	defer cancel()
	rev, err := l.sign(ctx, t.rev, false)
	if !errors.Is(err, ErrChanged) {
		return rev, err
	}
	e, r, err := l.look(ctx)
	if err != nil {
		return 0, err
	}
	if r.Writer != l.opts.Writer {
		return 0, ErrChanged
	}
	return l.sign(ctx, e.Rev, false)
}

// Release gives the lease back, also when ctx has ended. If that fails, others
// take it a little later.
func (l *Lease) Release(ctx context.Context, t Term) {
	_, err := l.sign(context.WithoutCancel(ctx), t.rev, true)
	if err != nil && !errors.Is(err, ErrChanged) {
		l.opts.Log.Warn("the lease was not given back; it will be taken when it has expired", "work", l.opts.Work, "err", err)
	}
}

// unreachable tells that the lease cannot be read or written.
func (l *Lease) unreachable(ctx context.Context, err error) {
	if ctx.Err() == nil && l.absence.Begin(err) {
		l.opts.Log.Error("the lease that says which node "+l.opts.Work+" is out of reach, trying again", "err", err)
	}
}

func (l *Lease) reachable() {
	if l.absence.End() {
		l.opts.Log.Info("the lease that says which node " + l.opts.Work + " is within reach again")
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
