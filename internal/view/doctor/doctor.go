// Package doctor looks for what is wrong with a server, or with the machine it
// runs on, and says what to do about it.
//
// It owns the checks and the words of their findings. It changes nothing but a
// file of its own, which it writes to measure the disk and removes; it repairs
// nothing, decides nothing for others, and never tells a secret. Measuring is
// kept apart from judging: functions named judge are pure. Start at
// [Doctor.Examine], or at [Offline] for a server that does not run.
package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
)

// Sources knows the servers that events come from.
type Sources interface{ Sources() []*gatecast.Source }

// SourceStates tells how sources stand.
type SourceStates interface {
	State(name string) gatecast.SourceState
}

// Subscriptions knows the URLs that events are posted to.
type Subscriptions interface {
	Subscriptions() []*gatecast.Subscription
}

// Deliveries tells how subscriptions stand.
type Deliveries interface {
	State(id string) gatecast.SubscriptionState
}

// Quarantine keeps what could not be understood.
type Quarantine interface {
	// List returns up to limit of it, newest first, after the one with the ID
	// before; an empty ID is before the newest.
	List(ctx context.Context, before string, limit int) ([]gatecast.Quarantined, error)
}

// Journal knows what is stored.
type Journal interface {
	Extent(ctx context.Context) (gatecast.Extent, error)
	// Since returns the position after which everything was stored at t or later.
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
}

// Health is what the server says of itself.
type Health interface {
	Reasons() []string  // why it is not ready
	Warnings() []string // what is wrong besides
}

// Parts is what a running server is examined by. All are required.
type Parts struct {
	Sources       Sources
	States        SourceStates
	Subscriptions Subscriptions
	Deliveries    Deliveries
	Quarantine    Quarantine
	Journal       Journal
	Health        Health
}

// Options tells what is examined. Config and DataDir are required.
type Options struct {
	Config  config.Config
	DataDir string        // absolute
	Version string        // of the program; default "devel"
	Limit   time.Duration // for all of an examination; default 15 s
	// Rest is how long an examination is given again to whoever asks, for no
	// request may make the server connect to others at will; default 10 s.
	Rest time.Duration
	// LoginEvery is how often a source is logged in at, at most: its server
	// counts logins, and those of who follows it come first. Default 1 min.
	LoginEvery time.Duration

	Transport http.RoundTripper // of questions to sources; default one of its own, with the system's certificate authorities
	TLS       *tls.Config       // of logins; default the system's certificate authorities
	Now       func() time.Time  // default time.Now
}

func (o Options) withDefaults() Options {
	o.Version = cmp.Or(o.Version, "devel")
	o.Limit = cmp.Or(o.Limit, 15*time.Second)
	o.Rest = cmp.Or(o.Rest, 10*time.Second)
	o.LoginEvery = cmp.Or(o.LoginEvery, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Doctor examines one server.
type Doctor struct {
	Parts
	opts Options

	// turn holds one token, and who has it examines. Everything below belongs to
	// that one.
	turn   chan struct{}
	began  time.Time            // of the latest examination
	last   *gatecast.Diagnosis  // of the latest, if it came to its end
	logins map[string]time.Time // the latest of each source; no more than there are sources
}

// New makes a doctor. It does nothing before [Doctor.Examine].
func New(p Parts, o Options) *Doctor {
	d := &Doctor{Parts: p, opts: o.withDefaults(), turn: make(chan struct{}, 1), logins: make(map[string]time.Time)}
	d.turn <- struct{}{}
	return d
}

// Examine looks at everything, and returns what it found. One examination runs
// at a time, and one younger than Options.Rest is given again. Its error is
// TooMany if it must rest after one that was broken off, or the context's.
func (d *Doctor) Examine(ctx context.Context) (gatecast.Diagnosis, error) {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return gatecast.Diagnosis{}, ctx.Err()
	}
	now := d.opts.Now()
	if age := now.Sub(d.began); age >= 0 && age < d.opts.Rest && !d.began.IsZero() {
		defer d.giveBack()
		return d.again(d.opts.Rest - age)
	}
	d.began, d.last = now, nil
	findings, done := examine(ctx, d.opts.Limit, d.checks(now))
	diagnosis := gatecast.Diagnosis{At: now, Took: d.opts.Now().Sub(now), Findings: findings}
	select {
	case <-done:
		if ctx.Err() == nil {
			d.last = &diagnosis
		}
		d.giveBack()
	default:
		// A check hangs in the system, as on a dead network disk. Nobody examines
		// before it comes back.
		go func() { <-done; d.giveBack() }()
	}
	return diagnosis, ctx.Err()
}

func (d *Doctor) giveBack() { d.turn <- struct{}{} }

// again returns the latest examination. It needs the turn.
func (d *Doctor) again(wait time.Duration) (gatecast.Diagnosis, error) {
	if d.last != nil {
		return *d.last, nil
	}
	e := gatecast.Errorf(gatecast.TooMany, "an examination was broken off a moment ago")
	e.Remedy = "try again in a few seconds"
	e.Retry = wait
	return gatecast.Diagnosis{}, e
}
