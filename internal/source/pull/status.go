package pull

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// leastDoubt is how long a source counts as stalled at least after somebody has
// suspected it, unless it pushes something.
const leastDoubt = 10 * time.Minute

// doubt is what is held against a source.
type doubt struct {
	until time.Time
	why   string
}

// become sets what the source is doing and why, and tells the log if that is
// news.
func (w *worker) become(status gatecast.SourceStatus, reason string) {
	w.shared.mu.Lock()
	v := &w.shared.view
	news := v.Status != status || v.Reason != reason
	if v.Status != status {
		v.Since = time.Now()
	}
	v.Status, v.Reason = status, reason
	if status == gatecast.SourceLive || status == gatecast.SourcePaused {
		w.shared.doubt = doubt{}
	}
	w.shared.mu.Unlock()
	if !news {
		return
	}
	switch log := w.follower.opts.Log; status {
	case gatecast.SourceLive, gatecast.SourcePaused, gatecast.SourceWaiting:
		log.Info("source is "+string(status), "source", w.name, "reason", reason)
	case gatecast.SourceConnecting, gatecast.SourceRefused, gatecast.SourceStalled:
		log.Warn("source is "+string(status), "source", w.name, "reason", reason)
	}
}

// dials takes note of an attempt to connect.
func (w *worker) dials(leave context.CancelCauseFunc) {
	w.shared.mu.Lock()
	w.shared.leave = leave
	w.shared.mu.Unlock()
	w.unlive("")
}

// unlive takes note that there is no connection. Who was refused, or is
// suspected, stays so until it is known to be otherwise.
func (w *worker) unlive(reason string) {
	w.shared.mu.Lock()
	status := w.shared.view.Status
	w.shared.mu.Unlock()
	if status == gatecast.SourceLive || status == gatecast.SourcePaused {
		w.become(gatecast.SourceConnecting, reason)
	}
}

// connected takes note that the server has let us in. Whether one that was
// suspected pushes again is still to be seen.
func (w *worker) connected() {
	w.shared.mu.Lock()
	w.shared.greeted = true
	d := w.shared.doubt
	w.shared.mu.Unlock()
	if time.Now().Before(d.until) {
		w.become(gatecast.SourceStalled, d.why)
		return
	}
	w.become(gatecast.SourceLive, "")
}

// parted takes note that there is no connection any more.
func (w *worker) parted() {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.leave, w.shared.greeted = nil, false
}

// sign takes note that something came.
func (w *worker) sign() {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.view.LastSign = time.Now()
}

// pushed takes note that an event came over a connection that nobody suspects.
func (w *worker) pushed(trusted bool) {
	w.shared.mu.Lock()
	w.shared.view.LastEvent = time.Now()
	cleared := trusted && w.shared.doubt != doubt{}
	w.shared.mu.Unlock()
	if cleared {
		w.become(gatecast.SourceLive, "")
	}
}

// suspect is [Follower.Suspect].
func (w *worker) suspect(why string) {
	w.shared.mu.Lock()
	leave := w.shared.leave
	live := leave != nil && w.shared.greeted
	if live {
		every := w.shared.terms.source.Settings.REST.Every
		w.shared.doubt = doubt{time.Now().Add(max(leastDoubt, 2*every)), why}
	}
	w.shared.mu.Unlock()
	if live {
		w.become(gatecast.SourceStalled, why)
		leave(errDoubted)
	}
}

// state returns what others are told at a time.
func (w *worker) state(now time.Time) gatecast.SourceState {
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	v := w.shared.view
	if until := w.shared.doubt.until; v.Status == gatecast.SourceStalled && !until.IsZero() && !now.Before(until) {
		v.Status, v.Since, v.Reason = gatecast.SourceLive, until, ""
	}
	return v
}

// stored counts what is on disk.
func (w *worker) stored(events []gatecast.Event, r gatecast.Receipt) {
	w.follower.metrics.stored(w.name, events, r)
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.view.Events += uint64(r.Accepted)
}

// setAside gives what could not be understood to the quarantine.
func (w *worker) setAside(reason string, body []byte) {
	w.follower.Quarantine.Put(w.name, reason, body)
	w.follower.metrics.rubbish.WithLabelValues(w.name).Inc()
	w.follower.opts.Log.Debug("a message was put into the quarantine", "source", w.name, "reason", reason, "bytes", len(body))
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.view.Rubbish++
}
