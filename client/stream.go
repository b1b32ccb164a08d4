package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
)

const (
	saveDelay   = 100 * time.Millisecond // between the saves of a cursor
	saveTimeout = 10 * time.Second       // of one of them
	tellDelay   = 50 * time.Millisecond  // between acknowledgements to the server
)

// stream is one loop over Subscribe. All but the ledger belongs to the loop's
// goroutine.
type stream struct {
	client *Client
	sub    Subscription
	course *course
	ledger *ledger
	yield  func(*Delivery, error) bool

	// idle holds a token unless the loop's body runs: the last acknowledgement
	// of a connection waits for it, so that it covers what the body is at.
	idle chan struct{}
}

func (c *Client) subscribe(ctx context.Context, s Subscription, yield func(*Delivery, error) bool) error {
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return err
	}
	st := &stream{
		client: c, sub: s, yield: yield,
		course: newCourse(s.Name != "", s.Remember), ledger: newLedger(s.InFlight),
		idle: make(chan struct{}, 1),
	}
	st.idle <- struct{}{}
	if s.Name != "" {
		return c.keep(ctx, st.named)
	}
	return st.own(ctx)
}

// own runs the loop with a cursor on this side.
func (s *stream) own(ctx context.Context) (err error) {
	saved, there, err := s.sub.Cursor.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the cursor: %w", err)
	}
	if there {
		s.course.resume(saved)
		s.ledger.begin(place{Position: saved})
	}
	ended, end := context.WithCancelCause(ctx)
	defer end(nil)
	saver := &keeper{
		moved: s.ledger.moved, delay: saveDelay, urgent: func() bool { return false }, failed: end,
		flush: func() error { return s.save(ctx, &saved) },
	}
	saver.start()
	defer func() {
		failed := saver.stop()
		if errors.Is(err, errLeft) && failed != nil {
			s.client.opts.Log.Error("the loop was left", "error", failed)
		} else if failed != nil {
			err = failed
		}
	}()
	err = s.client.keep(ended, func(ctx context.Context) (bool, error) {
		since := s.sub.Since.since
		if s.course.known {
			since = resume.Since{Kind: resume.AfterSeq, Seq: s.course.seen.Seq, Epoch: s.course.seen.Epoch}
		}
		l, err := s.client.dial(ctx, s.sub.query(since))
		if err != nil {
			return false, err
		}
		defer l.closeWith(ctx, func() {}, nil)()
		return s.client.read(l, func(m message) error { return s.take(ctx, m) })
	})
	if ctx.Err() == nil && ended.Err() != nil { // nobody ended it but the saver
		return context.Cause(ended)
	}
	return err
}

// save saves the cursor unless it is the last one saved. The end of ctx does
// not stop it: that is when it matters.
func (s *stream) save(ctx context.Context, last *Position) error {
	p, there := s.ledger.position()
	if !there || p == *last {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := s.sub.Cursor.Save(ctx, p); err != nil {
		return fmt.Errorf("save the cursor: %w", err)
	}
	*last = p
	return nil
}

// named is one connection whose cursor the server keeps.
func (s *stream) named(ctx context.Context) (healthy bool, err error) {
	l, err := s.client.dial(ctx, s.sub.query(resume.Since{}))
	if err != nil {
		return false, err
	}
	s.ledger.connect(place{})
	teller := &keeper{
		moved: s.ledger.moved, delay: tellDelay, urgent: s.ledger.urgent,
		failed: func(error) { _ = l.rwc.Close() }, // the reader finds it broken
		flush:  func() error { return s.tell(l) },
	}
	teller.start()
	answered := make(chan struct{})
	stop := l.closeWith(ctx, func() {
		<-s.idle
		defer func() { s.idle <- struct{}{} }()
		defer l.watch(goodbyeTimeout).Stop()
		_ = teller.stop() // what it cannot say any more, the next connection says
	}, answered)
	defer func() { part(l, err, stop, answered) }()
	return s.client.read(l, func(m message) error { return s.take(ctx, m) })
}

// part ends a connection whose cursor the server keeps. It waits for the answer
// to the goodbye: the server has read the last acknowledgement then, and the
// next loop begins after it.
func part(l *link, err error, stop func(), answered chan<- struct{}) {
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(answered)
		if _, closed := errors.AsType[*closedError](err); !closed {
			l.drain()
		}
	})
	stop()
	reading.Wait()
}

// tell sends the acknowledgement that the connection is owed.
func (s *stream) tell(l *link) error {
	seq, owed := s.ledger.tell()
	if !owed {
		return nil
	}
	text := strconv.AppendUint([]byte(`{"ack":`), uint64(seq), 10)
	return l.write(ws.NewTextFrame(append(text, '}')), s.client.opts.DeadAfter)
}

// take handles one message.
func (s *stream) take(ctx context.Context, m message) error {
	switch {
	case m.unreadable:
		return gatecast.Errorf(gatecast.Malformed, "the server sent a message that cannot be read")
	case m.begin != nil:
		return s.begin(ctx, m.begin)
	case m.event != nil && m.number == number{}:
		e := gatecast.Errorf(gatecast.Invalid, "the server does not number its events, so nothing can be resumed there")
		e.Remedy = "use Events, or update the server"
		return e
	case m.event != nil:
		return s.push(ctx, m)
	}
	return nil
}

// begin takes in where the server begins.
func (s *stream) begin(ctx context.Context, b *begin) error {
	gap := s.course.begin(b)
	at := place{b.start, s.course.seen.age}
	s.ledger.connect(at)
	if gap == nil {
		s.ledger.begin(at)
		return nil
	}
	return s.lost(ctx, gap, b.raw)
}

// lost hands out a gap.
func (s *stream) lost(ctx context.Context, gap *gatecast.GapNotice, raw []byte) error {
	at := place{Position{s.course.seen.Epoch, gap.To}, s.course.seen.age}
	d := &Delivery{Epoch: at.Epoch, Gap: gap}
	d.Seq, d.Raw = at.Seq, raw
	return s.hand(ctx, d, at)
}

// push takes in an event.
func (s *stream) push(ctx context.Context, m message) error {
	e, n := m.event, m.number
	verdict, gap := s.course.push(n.Position, e.ID, m.data)
	at := place{n.Position, s.course.seen.age}
	s.ledger.arrive(at)
	if gap != nil {
		if err := s.lost(ctx, gap, nil); err != nil {
			return err
		}
	}
	if verdict == repeated {
		s.ledger.skip(at)
	}
	if verdict != fresh {
		return nil
	}
	e.Seq, e.Late = n.Seq, n.late
	return s.hand(ctx, &Delivery{Event: *e, Epoch: n.Epoch, Replay: n.replay}, at)
}

// hand waits for room and hands d to the loop's body.
func (s *stream) hand(ctx context.Context, d *Delivery, at place) error {
	for warned := false; !s.ledger.room(); warned = true {
		if !warned {
			s.client.opts.Log.Warn("waiting for acknowledgements", "in_flight", s.sub.InFlight)
		}
		select {
		case <-s.ledger.freed:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	<-s.idle // taken only at the end of a connection, and not for long
	defer func() { s.idle <- struct{}{} }()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	number := s.ledger.hand(at, d.Gap == nil)
	d.ack = func() { s.ledger.ack(number) }
	if !s.yield(d, nil) {
		return errLeft
	}
	return ctx.Err()
}
