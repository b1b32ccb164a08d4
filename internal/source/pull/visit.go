package pull

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// visit is one connection to a server. It belongs to one goroutine.
type visit struct {
	worker  *worker
	call    call
	pulse   *pulse
	greeted time.Time // when the server let us in; zero: not yet
	strange []int     // unknown codes that the log was told of; at most mostStrange, the others are only counted
}

const mostStrange = 16

// visit connects and takes what comes until the connection ends, and returns
// why it did. If ctx ends, what the server has said by then is still taken.
func (w *worker) visit(ctx context.Context, t *terms) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	w.dials(leave)
	defer w.parted()
	if w.terms() != t {
		return errChanged // before leave was known to whoever changed it
	}
	v := &visit{worker: w}
	err := v.follow(ctx, &t.source.Settings)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	v.end(err)
	return err
}

func (v *visit) follow(ctx context.Context, s *gatecast.SourceSettings) error {
	w := v.worker
	conn, early, err := w.dial(ctx, s, &v.call)
	if err != nil {
		return err
	}
	v.pulse = newPulse(w.follower.opts.DeadAfter, time.Now())
	l := newLink(conn, early, v.pulse, w.follower.opts.MaxMessage)
	defer l.attend(ctx, w.follower.opts.DeadAfter/3)()
	for {
		m, err := l.next()
		if err != nil {
			return err
		}
		if err := v.hear(ctx, m); err != nil {
			return err
		}
	}
}

// end takes note of what came of the visit.
func (v *visit) end(err error) {
	w := v.worker
	_, refused := errors.AsType[*refusal](err)
	switch {
	case !v.greeted.IsZero():
		w.pace.lasted(time.Since(v.greeted))
	case refused:
		w.follower.metrics.login(w.name, "refused")
	default:
		w.follower.metrics.login(w.name, "failed")
	}
}

// hear takes one message. What cannot be understood is set aside: one bad
// message must not cost the connection, and with it all that follow.
func (v *visit) hear(ctx context.Context, m message) error {
	w := v.worker
	w.sign()
	env, err := readEnvelope(m)
	if err == nil && env.code == senselink.CodeDenied {
		return v.call.denied(env.desc)
	}
	v.pulse.message(time.Now(), env.code == senselink.CodeHeartBeat)
	v.greet()
	switch {
	case err != nil:
		w.setAside(err.Error(), m.text)
	case env.code == senselink.CodeConnected, env.code == senselink.CodeHeartBeat:
	case gatecast.Kind(env.code).Valid():
		return v.event(ctx, m.text, env.data)
	default:
		v.unknown(env.code)
	}
	return nil
}

// unknown passes over a message with a code that is not known here.
func (v *visit) unknown(code int) {
	w := v.worker
	w.follower.metrics.codes.WithLabelValues(w.name).Inc()
	if len(v.strange) < mostStrange && !slices.Contains(v.strange, code) {
		v.strange = append(v.strange, code)
		w.follower.opts.Log.Warn("a server sends messages with a code that is not known; they are passed over", "source", w.name, "code", code)
	}
}

// greet takes the first message for the welcome, whatever it is: a server that
// pushes has let us in.
func (v *visit) greet() {
	if !v.greeted.IsZero() {
		return
	}
	v.greeted = time.Now()
	w := v.worker
	w.follower.metrics.login(w.name, "connected")
	w.connected()
	w.follower.opts.OnConnect(w.name)
}

// event takes a push.
func (v *visit) event(ctx context.Context, text, data []byte) error {
	w := v.worker
	t := w.terms()
	events, err := t.decoder.Decode(bytes.NewReader(text), senselink.JSON, time.Now())
	if err != nil || len(events) != 1 {
		w.setAside(reasonOf(err), text)
		return nil
	}
	// The numbers are those of the data as it came: what the decoder adds says
	// nothing about what the server has.
	e, n := events[0], senselink.NumbersOf(data)
	w.pushed(ctx.Err() == nil)
	if own := t.source.Settings.Company; own != 0 && n.Company != 0 && n.Company != own {
		w.follower.metrics.foreign.WithLabelValues(w.name).Inc()
		return nil
	}
	if n.ID <= 0 {
		w.follower.metrics.unnumbered.WithLabelValues(w.name).Inc()
	}
	e.ID = gatecast.UpstreamID(w.name, e.Kind, n.ID, n.Status, data)
	waited := w.inbox.full()
	if !w.inbox.put(ctx, e) {
		return errors.New("the journal takes no events")
	}
	if waited {
		v.pulse.resume(time.Now())
	}
	return nil
}
