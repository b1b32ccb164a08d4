package journal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats-server/v2/server"
)

// health polls what can go wrong below, because JetStream tells a publisher
// nothing about a full or failing disk: it only stays silent.
type health struct {
	opts  Options
	srv   *server.Server // nil if remote
	up    func(context.Context) error
	state atomic.Pointer[condition]
	odd   time.Time // since when another stream than the journal's seems to be broken; zero: none does. Only poll uses it
}

// condition is what one poll found.
type condition struct {
	free int64 // bytes; -1 if not known
	disk error // below the watermark, or unreadable
	down error // JetStream does not serve
}

func newHealth(j *Journal) *health {
	h := &health{opts: j.opts, srv: j.link.srv, up: j.hear}
	h.state.Store(&condition{free: -1})
	return h
}

// hear asks the cluster for the stream's end, which also helps a watcher that
// has gone deaf.
func (j *Journal) hear(ctx context.Context) error {
	info, err := j.info(ctx)
	if err != nil {
		return err
	}
	if j.remote {
		j.tail.advance(gatecast.Seq(info.State.LastSeq))
	}
	return nil
}

func (h *health) run(ctx context.Context) {
	tick := time.NewTicker(h.opts.Check.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.poll(ctx)
		}
	}
}

// poll looks once, and logs what has changed.
func (h *health) poll(ctx context.Context) {
	c := condition{free: -1}
	if h.srv != nil {
		c.free, c.disk = h.checkDisk()
		_ = h.up(ctx) // keeps the mark's idea of the oldest event fresh
		c.down = h.serves(time.Now())
	} else if err := h.up(ctx); err != nil && ctx.Err() == nil {
		c.down = down(err)
	}
	old := h.state.Swap(&c)
	h.report(old.disk, c.disk)
	h.report(old.down, c.down)
}

// making is how long the making of a stream may take. While its directory is
// there and the stream is not, the server takes it for one that it could not
// read back.
const making = 30 * time.Second

// sound asks the embedded server about the journal's own stream.
func (h *health) sound() error {
	return h.ask(&server.HealthzOptions{Account: h.srv.GlobalAccount().Name, Stream: streamName})
}

// serves asks about the other streams too, which those who use them make at
// their first start.
func (h *health) serves(now time.Time) error {
	if err := h.sound(); err != nil {
		return err
	}
	err := h.ask(nil)
	switch {
	case err == nil:
		h.odd = time.Time{}
	case h.odd.IsZero():
		h.odd = now
	}
	if now.Sub(h.odd) < making {
		return nil
	}
	return err
}

// ask returns what the server, which remembers a failed write or fsync until it
// is restarted, says is broken. It gives itself a millisecond to answer, which
// on a busy machine may pass without it having run: what is really broken is so
// the third time too.
func (h *health) ask(o *server.HealthzOptions) error {
	var why string
	for range 3 {
		st := h.srv.Healthz(o)
		if st.StatusCode == 200 {
			return nil
		}
		why = st.Error
	}
	return down(errors.New(why))
}

func (h *health) report(old, now error) {
	switch {
	case old == nil && now != nil:
		h.opts.Log.Error("the journal is not healthy", "err", now, "cause", errors.Unwrap(now))
	case old != nil && now == nil:
		h.opts.Log.Info("the journal is healthy again")
	}
}

func down(cause error) error {
	return &gatecast.Error{
		Code: gatecast.Unavailable, Message: "JetStream does not serve", Remedy: "see the log", Retry: 2 * time.Second, Cause: cause,
	}
}

// checkDisk refuses early: once the disk is full it is too late, for JetStream
// then needs a restart.
func (h *health) checkDisk() (int64, error) {
	free, err := h.opts.Check.free(h.opts.Dir)
	low := h.opts.Check.LowDisk
	switch {
	case err != nil:
		return -1, &gatecast.Error{
			Code: gatecast.Unavailable, Message: "disk: the free space cannot be read", Remedy: "check the disk", Retry: 5 * time.Second, Cause: err,
		}
	case low >= 0 && free < low:
		return free, &gatecast.Error{
			Code:    gatecast.Unavailable,
			Message: fmt.Sprintf("disk almost full: %d MiB free, %d MiB are kept in reserve", free>>20, low>>20),
			Remedy:  "free some space, or keep less (max age, max bytes); it goes on by itself", Retry: 5 * time.Second,
		}
	}
	return free, nil
}

// accepting refuses an append that cannot succeed now: the disk has no room for
// it, or JetStream, which would only stay silent, does not serve.
func (h *health) accepting() error { return h.now() }

func (h *health) now() error {
	c := h.state.Load()
	if c.disk != nil {
		return c.disk
	}
	return c.down
}

func (h *health) free() int64 { return h.state.Load().free }
