package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// sent is one event of the load. Its number stands in the data as "id", which
// is what a client gets to see; its messageId is made of the number too.
type sent struct {
	number int64
	data   string
}

// sample makes event n of the load: records and alarms, with Japanese text,
// escapes, unknown fields and numbers that a careless copy would change.
func sample(n int64) sent {
	if n%5 == 4 {
		return sent{n, fmt.Sprintf(`{"id":%d,"level":2,"code":10002,"description":"ドアがこじ開けられました","status":1,`+
			`"traceId":"t-%d","deviceId":7,"deviceName":"裏口","deviceSn":"SPSP-00000000000000000000000000000%03d",`+
			`"deviceLocation":"1F","alarmTime":"2026-11-24 09:00:00","releaseTime":"","alarmPhoto":"","resloveOption":3}`, n, n/5, n%7)}
	}
	return sent{n, fmt.Sprintf(`{"id":%d,"userId":15,"name":"山田 太郎 \u5c71 \"%d\"","type":1,"direction":0,"verifyScore":0.9630,`+
		`"groups":[{"id":9007199254740993,"name":"既定のグループ","type":1}],"deviceName":"bella pro","signTime":1569725174,`+
		`"sn":"SPSP-00000000000000000000000000000%03d","signDate":"2019-09-29","entryMode":1,"x-unknown":{"b":1e2,"a":[]},`+
		`"signTimeZone":"+09:00","remark":"%s"}`, n, n, n%7, strings.Repeat("備考", int(n%40)))}
}

func (e sent) kind() gatecast.Kind {
	if e.number%5 == 4 {
		return gatecast.Alarm
	}
	return gatecast.Record
}

func (e sent) id() string { return fmt.Sprintf("e2e-%d", e.number) }

// push is the message that clients must receive for the event, byte for byte.
func (e sent) push() string {
	word := "push record"
	if e.kind() == gatecast.Alarm {
		word = "push alarm"
	}
	return fmt.Sprintf(`{"code":%d,"desc":"","message":%q,"data":%s}`, e.kind(), word, e.data)
}

// body is the event as a sender posts it.
func (e sent) body() string {
	return fmt.Sprintf(`{"eventType":%d,"messageId":%q,"sendTime":1583726626015,"data":%s}`, e.kind(), e.id(), e.data)
}

// batch is what one POST carries, and in which shape.
type batch struct {
	events []sent
	lines  bool // NDJSON; otherwise one object, or an array if there are several
}

// encode returns the body and its content type.
func (b batch) encode() (string, []byte) {
	bodies := make([]string, len(b.events))
	for i, e := range b.events {
		bodies[i] = e.body()
	}
	switch {
	case b.lines:
		return "application/x-ndjson", []byte(strings.Join(bodies, "\n") + "\n")
	case len(bodies) == 1:
		return "application/json", []byte(bodies[0])
	}
	return "application/json", []byte("[" + strings.Join(bodies, ",\n ") + "]")
}

// ledger is what the senders know: which events were acknowledged, and which
// batches have an unknown outcome and will be posted again, as they were.
type ledger struct {
	mu       sync.Mutex // guards the fields below; nothing waits under it
	next     int64
	acked    map[int64]bool
	doubtful []batch
	dying    bool           // the disk is being taken away
	racing   map[int64]bool // events whose answer came after that began
	refused  error          // the latest answer that was not success
	changed  chan struct{}  // closed and replaced at every change
}

func newLedger() *ledger {
	return &ledger{acked: map[int64]bool{}, racing: map[int64]bool{}, changed: make(chan struct{})}
}

// change runs f alone and wakes whoever waits.
func (l *ledger) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// take returns a doubtful batch if there is one, otherwise a new one.
func (l *ledger) take(rng *rand.Rand) (b batch) {
	size, lines := 1, false
	if rng.IntN(2) == 0 {
		size, lines = 1+rng.IntN(60), rng.IntN(2) == 0
	}
	l.change(func() {
		if n := len(l.doubtful); n > 0 {
			b, l.doubtful = l.doubtful[n-1], l.doubtful[:n-1]
			return
		}
		b.lines = lines
		for range size {
			b.events = append(b.events, sample(l.next))
			l.next++
		}
	})
	return b
}

// settle notes the outcome of a POST.
func (l *ledger) settle(b batch, r receipt, err error) {
	if err == nil && r.Accepted+r.Duplicates != len(b.events) {
		err = fmt.Errorf("%w: the receipt %+v does not add up to %d events", errRefused, r, len(b.events))
	}
	l.change(func() {
		if err != nil {
			l.doubtful = append(l.doubtful, b)
			if errors.Is(err, errRefused) {
				l.refused = err
			}
		}
		for _, e := range b.events {
			switch {
			case l.dying:
				l.racing[e.number] = true
			case err == nil:
				l.acked[e.number] = true
			}
		}
	})
}

// powerFails begins and ends the moment of a power cut. What is acknowledged
// inside it proves nothing: the kernel sometimes lets an fsync that runs into
// EXT4_IOC_SHUTDOWN return success without having written anything, whereas a
// machine without power answers nobody.
func (l *ledger) powerFails(now bool) {
	l.change(func() { l.dying = now })
}

// until waits until ok holds; ok is asked under the lock after each change.
func (l *ledger) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t)
	for {
		l.mu.Lock()
		done, changed, acked, refused := ok(), l.changed, len(l.acked), l.refused
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("never happened: %s (%d events acknowledged, latest refusal: %v)", what, acked, refused)
		}
	}
}

// untilAcked waits for so many further acknowledged events.
func (l *ledger) untilAcked(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	goal := len(l.acked) + more
	l.mu.Unlock()
	l.until(t, fmt.Sprintf("%d more acknowledged events", more), func() bool { return len(l.acked) >= goal })
}

// load posts from several senders at once until the test calls the function
// returned, or a sender meets an error. Nobody answers a sender for ever: the
// requests end when the server does.
func (l *ledger) load(s *server, rng *rand.Rand, senders int) (halt func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range senders {
		own := rand.New(rand.NewPCG(rng.Uint64(), 2))
		all.Go(func() {
			for ctx.Err() == nil && l.deliver(ctx, s, own) == nil {
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// trickle posts from one sender, not more often than once in pace, until the
// test calls the function returned. The sender goes on after a refusal, so the
// load has no pause, and never posts anything else while a batch is in doubt,
// so the journal holds the events in the order of their numbers.
func (l *ledger) trickle(s *server, rng *rand.Rand, pace time.Duration) (halt func()) {
	ctx, cancel := context.WithCancel(context.Background())
	own := rand.New(rand.NewPCG(rng.Uint64(), 2))
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = l.deliver(ctx, s, own) // settled, and posted again
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); all.Wait() }
}

// deliver posts the next batch.
func (l *ledger) deliver(ctx context.Context, s *server, rng *rand.Rand) error {
	b := l.take(rng)
	contentType, body := b.encode()
	r, err := s.post(ctx, contentType, body)
	l.settle(b, r, err)
	return err
}

// resolve posts again, while no load runs, every batch with an unknown outcome.
func (l *ledger) resolve(t *testing.T, s *server) {
	t.Helper()
	ctx := within(t)
	for len(l.doubtful) > 0 {
		if err := l.deliver(ctx, s, rand.New(rand.NewPCG(0, 0))); err != nil { // draws lots for a new batch only
			t.Fatalf("post again what may be stored already: %v", err)
		}
	}
}

// lost returns the acknowledged events that the journal does not hold.
func (l *ledger) lost(events []gatecast.Event) []int64 {
	held := map[string]bool{}
	for _, e := range events {
		held[e.ID] = true
	}
	var missing []int64
	for n := range l.acked {
		if !held[sample(n).id()] {
			missing = append(missing, n)
		}
	}
	return missing
}

// check compares the journal with what the senders know: each acknowledged
// event is there, nothing is there twice, and every byte is as it was sent.
func (l *ledger) check(t *testing.T, events []gatecast.Event) {
	t.Helper()
	if missing := l.lost(events); len(missing) > 0 {
		t.Errorf("%d of %d acknowledged events are lost, such as number %d", len(missing), len(l.acked), missing[0])
	}
	known := map[string]sent{}
	for n := range l.next {
		known[sample(n).id()] = sample(n)
	}
	seen := map[string]gatecast.Seq{}
	for _, e := range events {
		want, posted := known[e.ID]
		switch first, twice := seen[e.ID]; {
		case twice:
			t.Errorf("event %s is in the journal twice, at %d and %d", e.ID, first, e.Seq)
		case !posted:
			t.Errorf("event %s at %d was never posted", e.ID, e.Seq)
		case !bytes.Equal(e.Data, []byte(want.data)) || e.Kind != want.kind():
			t.Errorf("event %s has changed: kind %v, data %s, posted as %s", e.ID, e.Kind, e.Data, want.data)
		}
		seen[e.ID] = e.Seq
	}
	t.Logf("%d events in the journal, %d acknowledged, %d batches with an unknown outcome", len(events), len(l.acked), len(l.doubtful))
}
