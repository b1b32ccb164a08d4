package client

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// Event is one event as the server pushed it. Its ID is made from what was
// pushed ("record:DEVICE:ID"), so the same event has the same ID whenever it
// comes; Seq, Stored and Source do not travel and are empty, and Late is told to
// [Client.Subscribe] alone.
type Event struct {
	gatecast.Event

	Raw []byte // the whole message: JSON, byte for byte; yours to keep
}

// State is a change of the connection.
type State struct {
	Connected bool
	Err       error         // why it is gone; nil when connected, and after the loop was left
	Attempt   int           // failures in a row so far; 0 when connected
	Retry     time.Duration // until the next attempt; 0 if there is none
}

// errLeft ends a session because the consumer has left its loop.
var errLeft = errors.New("the loop was left")

// Events connects as the app and yields every event the server pushes, for as
// long as the loop runs. It reconnects by itself, whatever happens, and yields
// an error only as the very last thing: that of ctx; the server's refusal, as
// a [*gatecast.Error] with the code Unauthenticated or Forbidden; NotFound or
// Invalid if no such server is there; TooLarge for a message beyond
// MaxMessage.
//
// The body of the loop is the acknowledgement. The server's pings are answered
// between two events only, so a pong says that all events before it have been
// handled. An event may come twice (after a reconnect), with the same ID. What
// of the time without a connection is pushed later is the server's choice: to
// be sure of it, and told where it is not, use [Client.Subscribe]. A body that
// takes longer than the server's dead_after (90 s) for one event loses the
// connection.
//
// Each loop over it is a connection of its own.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err := c.keep(ctx, func(ctx context.Context) (healthy bool, err error) {
			l, err := c.dial(ctx, nil)
			if err != nil {
				return false, err
			}
			defer l.closeWith(ctx, func() {}, nil)()
			return c.read(l, func(m message) error {
				if m.event == nil {
					return nil
				}
				if !yield(*m.event, nil) {
					return errLeft
				}
				return ctx.Err() // the next event is not to be handed out any more
			})
		})
		if !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

// keep makes one connection after the other, until one ends for good or ctx
// does, and returns why. session is the life of one; healthy says that it
// lasted.
func (c *Client) keep(ctx context.Context, session func(context.Context) (healthy bool, err error)) error {
	failures := 0
	for {
		healthy, err := session(ctx)
		if errors.Is(err, errLeft) {
			c.opts.OnState(State{})
			return err
		}
		if healthy {
			failures = 0
		}
		failures++
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if ctx.Err() != nil || !c.worthRetrying(err) {
			c.opts.OnState(State{Err: err, Attempt: failures})
			return err
		}
		wait := c.waitAfter(err, failures)
		c.opts.Log.Info("connection lost", "error", err, "attempt", failures, "retry_in", wait)
		c.opts.OnState(State{Err: err, Attempt: failures, Retry: wait})
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

func (c *Client) worthRetrying(err error) bool {
	_, denied := errors.AsType[*deniedError](err)
	return passing(err) || (denied && c.opts.RetryDenied)
}

// waitAfter is how long to wait after err. A server that restarts (1012) has
// spread its goodbyes already, and those that come back first find no queue:
// a second at most.
func (c *Client) waitAfter(err error, failures int) time.Duration {
	if closed, ok := errors.AsType[*closedError](err); ok && closed.code == statusServiceRestart && failures == 1 {
		return time.Duration(c.opts.Backoff.Rand() * float64(min(time.Second, c.opts.Backoff.Max)))
	}
	var after time.Duration
	if e, ok := errors.AsType[*gatecast.Error](err); ok {
		after = min(e.Retry, c.opts.Backoff.Max)
	}
	return c.opts.Backoff.wait(failures, after)
}

// read hands every message to handle until the connection or handle fails, or
// the server denies the app.
func (c *Client) read(l *link, handle func(message) error) (healthy bool, err error) {
	var connected time.Time
	defer func() { healthy = !connected.IsZero() && time.Since(connected) >= c.opts.Backoff.Healthy }()
	for {
		text, err := l.next()
		if err != nil {
			return false, err
		}
		m, err := c.decode(text)
		if err != nil { // a denial; what cannot be read is for handle to judge
			return false, err
		}
		if m.connected && connected.IsZero() {
			connected = time.Now()
			c.opts.OnState(State{Connected: true})
		}
		if err := handle(m); err != nil {
			return false, err
		}
	}
}

// timestampOf is the time as the protocol writes it.
func timestampOf(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
