package mqtt

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	firstRetry = 50 * time.Millisecond // of the journal
	mostRetry  = time.Second
	// farewell is how long the journal has, at the end of it all, for what was
	// received before.
	farewell = 5 * time.Second
)

// settle stores and answers what is read, until the inbox has ended and is
// empty. While the journal writes some, the next gather: a client that does not
// wait for each acknowledgement shares its flushes with itself. A client that
// cannot be answered any more has its messages stored all the same. After any
// other error nothing is stored or answered.
func (c *client) settle(ctx context.Context) error {
	ctx, cancel := outlive(ctx, farewell)
	defer cancel()
	var failed, gone error
	for {
		tasks := c.inbox.take()
		if len(tasks) == 0 {
			return cmp.Or(failed, gone)
		}
		if failed == nil {
			failed = c.finish(ctx, tasks)
		}
		switch {
		case failed != nil:
			c.lose(tasks)
			c.inbox.close()
		case gone == nil:
			if gone = c.reply(tasks); gone != nil {
				_ = c.conn.Close() // its reader ends
			}
		}
		for i := range tasks {
			c.server.budget.give(c.payer, tasks[i].size)
		}
		c.inbox.done(tasks)
	}
}

// outlive returns a context that ends d after ctx does.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return later, func() { stop(); cancel() }
}

// finish does what tasks are about.
func (c *client) finish(ctx context.Context, tasks []task) error {
	s, start := c.server, time.Now()
	if err := c.store(ctx, tasks); err != nil {
		s.metrics.refused.WithLabelValues("journal").Inc()
		if since, due := s.holdups.due(time.Now()); due {
			s.opts.Log.Warn("the journal takes no events; an mqtt client was cut off without an acknowledgement, and will send again",
				"user", c.user.Name, "err", err, "not_logged", since)
		}
		return &end{"journal", err}
	}
	messages := false
	for i := range tasks {
		r := tasks[i].rubbish
		messages = messages || r != nil || tasks[i].isEvent()
		if r == nil {
			continue
		}
		if err := ctx.Err(); err != nil { // a disk that hangs must not hold up the stop
			return &end{"stopping", err}
		}
		s.Quarantine.Put(r.origin, r.reason, r.body)
		s.metrics.rubbish.WithLabelValues(r.why).Inc()
	}
	if messages {
		s.metrics.duration.Observe(time.Since(start).Seconds())
	}
	return nil
}

// reply answers tasks in their order.
func (c *client) reply(tasks []task) error {
	var answers []byte
	for i := range tasks {
		answers = append(answers, tasks[i].answer...)
	}
	if len(answers) == 0 {
		return nil
	}
	if err := c.write(answers); err != nil {
		return &end{"client", err}
	}
	return nil
}

// store puts the events among tasks into the journal together. If that will
// never take them so, it is given them one by one, and what it does not take
// then is rubbish.
func (c *client) store(ctx context.Context, tasks []task) error {
	var events []gatecast.Event
	for i := range tasks {
		if tasks[i].isEvent() {
			events = append(events, tasks[i].event)
		}
	}
	if len(events) == 0 {
		return nil
	}
	err := c.server.keep(ctx, events)
	if err == nil || !hopeless(err) {
		return err
	}
	for i := range tasks {
		t := &tasks[i]
		if !t.isEvent() {
			continue
		}
		switch err := c.server.keep(ctx, []gatecast.Event{t.event}); {
		case err != nil && !hopeless(err):
			return err
		case err != nil:
			a := address{t.event.Device, t.event.Kind}
			t.rubbish = &rubbish{"payload", a.origin(), "the journal does not take it: " + reasonOf(err), t.event.Data}
		}
	}
	return nil
}

// keep asks the journal until it takes the events, will never take them, or has
// had its time.
func (s *Server) keep(ctx context.Context, events []gatecast.Event) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.StoreTimeout)
	defer cancel()
	for wait := firstRetry; ; wait = min(2*wait, mostRetry) {
		err := s.Journal.Accepting()
		if err == nil {
			var r gatecast.Receipt
			if r, err = s.Journal.Append(ctx, events); err == nil {
				s.metrics.stored(events, r)
				return nil
			}
		}
		if hopeless(err) || !sleep(ctx, wait/2+rand.N(wait)) {
			return err
		}
	}
}

// lose counts what nobody will send again.
func (c *client) lose(tasks []task) {
	for i := range tasks {
		if tasks[i].isEvent() && tasks[i].qos == 0 {
			c.server.metrics.lost.Inc()
		}
	}
}

// hopeless reports whether the journal will never take these events.
func hopeless(err error) bool {
	switch gatecast.CodeOf(err) {
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge:
		return true
	case gatecast.Internal, gatecast.Unauthenticated, gatecast.Forbidden, gatecast.NotFound, gatecast.Conflict,
		gatecast.Gap, gatecast.TooMany, gatecast.Unavailable:
	}
	return false
}
