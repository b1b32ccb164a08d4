package journal

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// MemOptions tunes a [Mem]. The zero value keeps everything.
type MemOptions struct {
	MaxEvents int           // the oldest go beyond it; default no limit
	MaxBytes  int64         // likewise
	MaxAge    time.Duration // likewise, looked at on each call; default no limit
	Dedup     Dedup
	Commit    Commit // its size limits
}

// Mem is the journal in memory, with the same contract but for the disk: for
// tests, and for nothing that must survive.
type Mem struct {
	opts    MemOptions
	epoch   string
	tail    *tail
	closing chan struct{}

	// mu guards the fields below. It is held only to copy or to append.
	mu     sync.Mutex
	events []gatecast.Event
	last   gatecast.Seq
	bytes  uint64
	index  *index
	fault  error
	closed bool
}

// OpenMem makes an empty journal in memory.
func OpenMem(o MemOptions) *Mem {
	o.Dedup, o.Commit = o.Dedup.withDefaults(), o.Commit.withDefaults()
	return &Mem{
		opts: o, epoch: newEpoch(), tail: newTail(0, 0, 0),
		closing: make(chan struct{}), index: newIndex(o.Dedup),
	}
}

// Append is Journal.Append.
func (m *Mem) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	if _, err := validate(events, m.opts.Commit); err != nil || len(events) == 0 {
		return gatecast.Receipt{}, err
	}
	if err := ctx.Err(); err != nil {
		return gatecast.Receipt{}, unavailable(context.WithoutCancel(ctx), "the caller has given up", err)
	}
	r, err := m.store(events, time.Now().UTC().Truncate(time.Millisecond))
	m.tail.advance(r.Last) // a slower call's lower end changes nothing
	return r, err
}

// Accepting is Journal.Accepting; nothing waits here.
func (m *Mem) Accepting() error { return m.Healthy() }

func (m *Mem) store(events []gatecast.Event, now time.Time) (gatecast.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return gatecast.Receipt{}, errClosed()
	case m.fault != nil:
		return gatecast.Receipt{}, m.fault
	}
	var r gatecast.Receipt
	m.index.expire(now)
	for _, e := range events {
		id := hashID(e.ID)
		if m.index.find(id) > 0 {
			r.Duplicates++
			continue
		}
		m.last++
		e.Seq, e.Stored = m.last, now
		if !e.At.IsZero() {
			e.At = time.Unix(e.At.Unix(), 0).UTC()
		}
		m.index.add(id, m.last, now)
		m.events = append(m.events, e)
		m.bytes += uint64(len(e.Data) + overhead)
		r.Accepted++
		r.First, r.Last = cmp.Or(r.First, m.last), m.last
	}
	m.retain(now)
	return r, nil
}

// retain must be called with mu held.
func (m *Mem) retain(now time.Time) {
	drop := 0
	if m.opts.MaxEvents > 0 {
		drop = max(0, len(m.events)-m.opts.MaxEvents)
	}
	if m.opts.MaxAge > 0 {
		for drop < len(m.events) && now.Sub(m.events[drop].Stored) > m.opts.MaxAge {
			drop++
		}
	}
	for i := range drop {
		m.bytes -= uint64(len(m.events[i].Data) + overhead)
	}
	for m.opts.MaxBytes > 0 && drop < len(m.events) && m.bytes > uint64(m.opts.MaxBytes) {
		m.bytes -= uint64(len(m.events[drop].Data) + overhead)
		drop++
	}
	m.events = m.events[drop:]
}

// Read is Journal.Read.
func (m *Mem) Read(ctx context.Context, after gatecast.Seq, limit int) ([]gatecast.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed()
	}
	m.retain(time.Now())
	first := m.last + 1 - gatecast.Seq(len(m.events))
	if after > m.last || after+1 < first {
		return nil, gapError(after, first, m.last)
	}
	rest := m.events[after+1-first:]
	return append([]gatecast.Event(nil), rest[:min(max(limit, 0), len(rest))]...), nil
}

// Follow is Journal.Follow.
func (m *Mem) Follow(ctx context.Context, after gatecast.Seq) gatecast.Stream {
	return follow(ctx, after, m.tail, m.closing, m.Read)
}

// Extent is Journal.Extent.
func (m *Mem) Extent(context.Context) (gatecast.Extent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retain(time.Now())
	return gatecast.Extent{
		Epoch: m.epoch, First: m.last + 1 - gatecast.Seq(len(m.events)), Last: m.last,
		Events: uint64(len(m.events)), Bytes: m.bytes,
	}, nil
}

// Since is Journal.Since, whatever the clock has done.
func (m *Mem) Since(ctx context.Context, t time.Time) (gatecast.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	t = searchable(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, errClosed()
	}
	m.retain(time.Now())
	for i := range m.events {
		if !m.events[i].Stored.Before(t) {
			return m.events[i].Seq - 1, nil
		}
	}
	return m.last, nil
}

// Expire removes the oldest events up to a position: what retention looks like
// from above.
func (m *Mem) Expire(upTo gatecast.Seq) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.events) > 0 && m.events[0].Seq <= upTo {
		m.bytes -= uint64(len(m.events[0].Data) + overhead)
		m.events = m.events[1:]
	}
}

// Healthy returns what Fail has set.
func (m *Mem) Healthy() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed()
	}
	return m.fault
}

// Fail makes Append and Healthy answer with err until Fail(nil): what a full
// disk looks like from above.
func (m *Mem) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

// Close ends readers; later calls answer Unavailable.
func (m *Mem) Close(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		close(m.closing)
	}
	return nil
}
