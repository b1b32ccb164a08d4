package hooks

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
)

// The types of notices.
const (
	newsDegraded   = "subscription.degraded"
	newsRecovered  = "subscription.recovered"
	newsPaused     = "subscription.paused"
	newsResumed    = "subscription.resumed"
	newsDeadLetter = "subscription.dead_letter"
	newsGap        = "subscription.gap"
)

// waitingNotices is how many notices may wait for the journal. When there are
// more the newest is dropped: it stands in the log and in the metrics all the
// same.
const waitingNotices = 1024

// notices stores notices in the journal, one after the other.
type notices struct {
	store Notify
	log   *slog.Logger
	queue chan gatecast.Event

	number atomic.Uint64 // of notices: two may have the same time
}

func newNotices(store Notify, log *slog.Logger) *notices {
	return &notices{store: store, log: log, queue: make(chan gatecast.Event, waitingNotices)}
}

// run ends with ctx. A journal that takes nothing is asked again.
func (n *notices) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-n.queue:
			for n.keep(ctx, e) != nil && pause(ctx, time.Second) {
			}
		}
	}
}

func (n *notices) keep(ctx context.Context, e gatecast.Event) error {
	err := n.store(ctx, e)
	switch gatecast.CodeOf(err) {
	case gatecast.Unavailable, gatecast.TooMany:
		if err != nil {
			return err
		}
	}
	if err != nil && ctx.Err() == nil {
		n.log.Error("a notice cannot be stored", "id", e.ID, "err", err)
	}
	return nil
}

// announce tells that the subscription's status is another one: in the log, and
// as a notice.
func (w *worker) announce(news, why string) {
	level := slog.LevelWarn
	if news == newsRecovered || news == newsResumed {
		level = slog.LevelInfo
	}
	w.server.opts.Log.Log(context.Background(), level, news, "subscription", w.id, "host", w.terms.host, "reason", why, "position", w.main.head, "pending", w.main.size())
	w.tell(news, why, nil)
}

// tell puts a notice on its way. It never blocks.
func (w *worker) tell(news, why string, more map[string]any) {
	if w.server.opts.Notify == nil {
		return
	}
	now := time.Now()
	data := map[string]any{
		"type": news, "subscription": w.id, "time": now.UTC().Format(time.RFC3339Nano),
		"host": w.terms.host, "description": w.terms.sub.Settings.Description, "app_key": w.app, "reason": why,
	}
	for name, value := range more {
		data[name] = value
	}
	text, err := json.Marshal(data)
	if err != nil {
		w.server.opts.Log.Error("a notice cannot be written", "err", err)
		return
	}
	e := gatecast.Event{
		ID:   "notice-" + w.id + "-" + strconv.FormatUint(w.server.notices.number.Add(1), 10) + "-" + strconv.FormatInt(now.UnixNano(), 10),
		Kind: gatecast.Notice, Device: w.id, At: now, Source: "gatecast", Data: text,
	}
	select {
	case w.server.notices.queue <- e:
	default:
		w.server.metrics.unsaid.Inc()
	}
}
