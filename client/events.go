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
// comes; Seq, Stored and Source do not travel and are empty.
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
// the server takes in while there is no connection is not pushed later. A body
// that takes longer than the server's dead_after (90 s) for one event loses the
// connection.
//
// Each loop over it is a connection of its own.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		failures := 0
		for {
			healthy, err := c.session(ctx, yield)
			if errors.Is(err, errLeft) {
				c.opts.OnState(State{})
				return
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
				yield(Event{}, err)
				return
			}
			wait := c.waitAfter(err, failures)
			c.opts.Log.Info("connection lost", "error", err, "attempt", failures, "retry_in", wait)
			c.opts.OnState(State{Err: err, Attempt: failures, Retry: wait})
			if !sleep(ctx, wait) {
				yield(Event{}, ctx.Err())
				return
			}
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

// session is the life of one connection. healthy says that it lasted.
func (c *Client) session(ctx context.Context, yield func(Event, error) bool) (healthy bool, err error) {
	l, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	stop := l.closeWith(ctx)
	defer stop()
	var connected time.Time
	defer func() { healthy = !connected.IsZero() && time.Since(connected) >= c.opts.Backoff.Healthy }()
	for {
		text, err := l.next()
		if err != nil {
			return false, err
		}
		m, err := c.decode(text)
		if err != nil { // a denial; what cannot be read is no reason to go
			return false, err
		}
		if m.connected && connected.IsZero() {
			connected = time.Now()
			c.opts.OnState(State{Connected: true})
		}
		if m.event == nil {
			continue
		}
		if !yield(*m.event, nil) {
			return false, errLeft
		}
		if ctx.Err() != nil { // the next event is not to be handed out any more
			return false, ctx.Err()
		}
	}
}

// timestampOf is the time as the protocol writes it.
func timestampOf(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
