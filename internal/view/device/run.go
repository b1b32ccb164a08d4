package device

import (
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	page   = 512             // events read at a time
	glance = 5 * time.Second // how long news of the journal may stay away before it is looked at anyway
)

// Run reads the journal from where it stood when the file was written, or from
// its beginning, and judges the devices, until ctx ends.
func (t *Tracker) Run(ctx context.Context) error {
	moved, stop := t.Hub.Listen()
	defer stop()
	if err := t.open(ctx); err != nil {
		return err // ctx's
	}
	defer t.save()
	judge := time.NewTicker(t.opts.Every)
	defer judge.Stop()
	look := time.NewTicker(glance)
	defer look.Stop()
	keep := time.NewTicker(t.opts.SaveEvery)
	defer keep.Stop()
	for ctx.Err() == nil {
		if err := t.advance(ctx); err != nil && ctx.Err() == nil {
			t.opts.Log.Warn("the journal cannot be read; devices are judged by what came before", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-moved:
		case <-look.C:
		case <-judge.C:
			t.judgeAll(time.Now())
		case <-keep.C:
			t.save()
		}
	}
	return ctx.Err()
}

// open waits for a journal that can be asked, and reads the file.
func (t *Tracker) open(ctx context.Context) error {
	for {
		extent, err := t.Hub.Extent(ctx)
		if err == nil {
			t.load(extent)
			return nil
		}
		t.opts.Log.Warn("the journal cannot be asked; devices are not known yet", "err", err)
		timer := time.NewTimer(glance)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// advance takes in what the hub has. Nobody is judged by events that are part of
// a past that is being read again.
func (t *Tracker) advance(ctx context.Context) error {
	buf := make([]*gatecast.Event, 0, page)
	for ctx.Err() == nil {
		head := t.Hub.Head()
		events, err := t.Hub.Read(ctx, t.seq, buf)
		if gatecast.CodeOf(err) == gatecast.Gap {
			if err = t.leap(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("read the journal after %d: %w", t.seq, err)
		}
		if len(events) == 0 {
			t.reached(head)
			return nil
		}
		t.takeAll(events)
	}
	return ctx.Err()
}

func (t *Tracker) takeAll(events []*gatecast.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ev := range events {
		t.take(ev)
		t.seq = ev.Seq
	}
}

// reached takes note that there is nothing more up to a position: behind the
// last event there are only holes.
func (t *Tracker) reached(head gatecast.Seq) {
	t.mu.Lock()
	first := !t.level
	t.seq, t.level = max(t.seq, head), true
	if first {
		t.watched = time.Now()
	}
	changed := t.changed
	t.changed = make(chan struct{})
	t.mu.Unlock()
	close(changed)
	if first {
		t.judgeAll(time.Now())
	}
	t.judgeHeard(time.Now())
}

// leap goes on with the oldest event there is when retention has removed the
// next ones.
func (t *Tracker) leap(ctx context.Context) error {
	extent, err := t.Hub.Extent(ctx)
	if err != nil {
		return err
	}
	if extent.First <= t.seq+1 {
		return gatecast.Errorf(gatecast.Unavailable, "events are missing behind %d", t.seq)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq = extent.First - 1
	return nil
}

// await returns when everything up to a position has been taken in.
func (t *Tracker) await(ctx context.Context, seq gatecast.Seq) error {
	for {
		t.mu.Lock()
		changed, there := t.changed, t.seq >= seq
		t.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
