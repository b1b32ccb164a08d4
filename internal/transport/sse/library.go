package sse

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"golang.org/x/time/rate"
)

// library is the journal as it is lent out to streams: to a few at a time, and
// no faster than the disk can spare.
type library struct {
	history History
	readers *queue
	pace    *rate.Limiter // nil: no limit
}

func newLibrary(h History, o Options) *library {
	l := &library{history: h, readers: newQueue(o.Readers)}
	if o.ReadRate > 0 {
		l.pace = rate.NewLimiter(rate.Limit(o.ReadRate), int(min(o.ReadRate, 1<<30)))
	}
	return l
}

// pay takes bytes out of what may be read, and returns how long to wait before
// that is in order. It is paid in advance: otherwise all who come at once would
// read a page each before anybody is slowed down.
func (l *library) pay(bytes int) time.Duration {
	var wait time.Duration
	if l.pace == nil {
		return wait
	}
	now := time.Now()
	for bytes > 0 {
		part := min(bytes, l.pace.Burst()) // more is never granted at a time
		wait = l.pace.ReserveN(now, part).DelayFrom(now)
		bytes -= part
	}
	return wait
}

// read reads the journal in a turn of its queue, and ends the turn.
func (l *library) read(ctx context.Context, turn *ticket, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	defer l.readers.leave(turn)
	return l.history.Read(ctx, after, buf)
}

// sizeOf returns the bytes of events' data, which is what they take of the
// journal but for a little.
func sizeOf(events []*gatecast.Event) int {
	n := 0
	for _, e := range events {
		n += len(e.Data)
	}
	return n
}
