package push

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// Sources knows the servers that post their events.
type Sources interface {
	Source(name string) (*gatecast.Source, bool)
	// SourceByToken returns the source whose token has this hash (see
	// [auth.HashToken]). It costs no I/O.
	SourceByToken(hash [32]byte) (*gatecast.Source, bool)
}

// Quarantine keeps what could not be understood. It does not fail, and does not
// keep the slice.
type Quarantine interface {
	Put(source, reason string, body []byte)
}

// Receiver takes in what SenseLink servers of the new generation post to their
// subscriber. It serves POST /ingest/senselink/{token}; the token is a secret,
// says which source it is, and is all that such a server can prove.
//
// These servers stop posting for good after one answer other than 200 within 5
// s. So nothing is refused that could still be stored: while the journal takes
// nothing, requests are held up, and only those that have waited for
// Options.Patience are answered 503. A longer outage of the journal, a pause, or
// something that cannot be understood ends the subscription at the server, until
// somebody sets it again there. What it had meanwhile, only asking it brings
// (see source/reconcile).
type Receiver struct {
	opts       ReceiverOptions
	door       *Handler
	sources    Sources
	quarantine Quarantine
	metrics    *receiverMetrics
	budget     budget

	// mu guards desks. It is held only for map work.
	mu    sync.Mutex
	desks map[string]*desk // by name of the source; as many as there are sources
}

// ReceiverOptions tunes a Receiver. The zero value suits.
type ReceiverOptions struct {
	// OnConnect is called when a server posts of which that was not known: after
	// the start, a pause or a failure, or when it was suspected. What it had
	// before is then to be fetched by other ways. It must not block. Default:
	// nothing.
	OnConnect func(name string)
}

func (o ReceiverOptions) withDefaults() ReceiverOptions {
	if o.OnConnect == nil {
		o.OnConnect = func(string) {}
	}
	return o
}

// NewReceiver returns a receiver that shares the limits and the journal of
// another door. The memory that its bodies may take is a quarter of what that
// door has, and its own: other senders come again when there is none.
func NewReceiver(door *Handler, sources Sources, quarantine Quarantine, o ReceiverOptions) *Receiver {
	return &Receiver{
		opts: o.withDefaults(), door: door, budget: budget{max: max(door.opts.MaxInflight/4, door.opts.Decode.MaxBody)}, sources: sources, quarantine: quarantine,
		metrics: newReceiverMetrics(), desks: make(map[string]*desk),
	}
}

// thanks is what the vendor's servers expect.
const thanks = `{"code":200,"message":"OK"}` + "\n"

// ServeHTTP answers a post with 200 when its events are on disk, or were there
// already, and with a problem document otherwise. A token that is nobody's is
// answered before the body is read, and nothing is logged of it.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	src, there := rc.sources.SourceByToken(auth.HashToken(r.PathValue("token")))
	if !there || src.Settings.Kind != gatecast.SourceSubscription {
		rc.metrics.strangers.Inc()
		rc.door.opts.WriteError(w, r, gatecast.Errorf(gatecast.NotFound, "there is nothing at this address"))
		return
	}
	start := time.Now()
	defer func() { rc.metrics.duration.Observe(time.Since(start).Seconds()) }()
	d := rc.desk(src)
	post := &gatecast.SourcePost{At: rc.door.opts.Now(), From: r.RemoteAddr}
	if err := rc.receive(w, r, d, src, start, post); err != nil {
		post.Error = reasonOf(err)
		rc.refuse(w, r, d, err, post)
		return
	}
	if d.answered(rc.door.opts.Now(), post) {
		rc.opts.OnConnect(d.name)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(thanks)) // the sender is gone if this fails; what it sent is stored
}

// receive takes a post in, and notes in post what it is made of.
func (rc *Receiver) receive(w http.ResponseWriter, r *http.Request, d *desk, src *gatecast.Source, start time.Time, post *gatecast.SourcePost) error {
	if src.Paused != "" {
		e := gatecast.Errorf(gatecast.Unavailable, "this source is paused")
		e.Remedy = "resume it with gatecast source resume, then subscribe again at the server"
		return e
	}
	body, format, giveBack, err := rc.read(w, r, d)
	defer giveBack()
	post.Size = len(body)
	if err != nil {
		post.Quarantined = rc.setAside(d, err, body)
		return err
	}
	// Whoever closes its side of the connection after sending is answered all
	// the same, and what the sender gives up on is still worth storing.
	ctx := context.WithoutCancel(r.Context())
	if _, err = rc.take(ctx, d, src, parcel{body, format, post}, rc.door.limit(start)); err != nil {
		post.Quarantined = rc.setAside(d, err, body)
	}
	return err
}

// limit returns when a post must be answered. A body that came slowly leaves
// the journal leastPatience all the same: its sender may have given up, its
// events are worth it.
func (h *Handler) limit(start time.Time) time.Time {
	end, least := start.Add(h.opts.Patience), time.Now().Add(min(leastPatience, h.opts.Patience))
	if end.Before(least) {
		return least
	}
	return end
}

// setAside gives what was understood by nobody to the quarantine, and reports
// whether this is that.
func (rc *Receiver) setAside(d *desk, err error, body []byte) bool {
	if !hopeless(err) {
		return false
	}
	rc.quarantine.Put(d.name, reasonOf(err), body)
	rc.metrics.rubbish.WithLabelValues(d.name).Inc()
	d.rubbish()
	return true
}

// refuse answers with err, and tells the log of it: the sender stops for good.
func (rc *Receiver) refuse(w http.ResponseWriter, r *http.Request, d *desk, err error, post *gatecast.SourcePost) {
	code, now := gatecast.CodeOf(err), rc.door.opts.Now()
	rc.metrics.refused.WithLabelValues(d.name, code.String()).Inc()
	d.refused(now, err, post)
	if since, due := d.refusals.due(now); due {
		level := slog.LevelWarn
		if code == gatecast.Internal {
			level = slog.LevelError
		}
		rc.door.opts.Log.Log(r.Context(), level, "a source's post was refused; the server may post nothing more until its subscription is set again",
			"source", d.name, "code", code.String(), "error", err, "cause", errors.Unwrap(err), "not_logged", since)
	}
	rc.door.opts.WriteError(w, r, err)
}

// State returns how a source stands whose server posts its events.
func (rc *Receiver) State(name string) gatecast.SourceState {
	src, there := rc.sources.Source(name)
	if !there {
		return gatecast.SourceState{Name: name}
	}
	return rc.desk(src).state(src, rc.door.opts.Now())
}

// Suspect tells that a source has events that it should have posted, and did
// not; why goes into its state. It counts as stalled until it posts again. Of a
// source that is not live this says nothing new.
func (rc *Receiver) Suspect(name, why string) {
	src, there := rc.sources.Source(name)
	if !there || src.Settings.Kind != gatecast.SourceSubscription {
		return
	}
	if rc.desk(src).suspect(rc.door.opts.Now(), why) {
		rc.door.opts.Log.Warn("source is stalled", "source", name, "reason", why)
	}
}

// Inject understands q.Body as if it came from q.Source now, and stores it. Its
// error is NotFound if there is no such source, and Invalid or Malformed if the
// body is not understood.
func (rc *Receiver) Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	src, there := rc.sources.Source(q.Source)
	if !there {
		return gatecast.Receipt{}, gatecast.Errorf(gatecast.NotFound, "there is no source with the name %.40q any more", q.Source)
	}
	return rc.take(ctx, rc.desk(src), src, parcel{body: q.Body}, rc.door.limit(time.Now()))
}

// desk returns what is known of a source. One that was deleted and made anew is
// another.
func (rc *Receiver) desk(src *gatecast.Source) *desk {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	d := rc.desks[src.Name]
	if d == nil || !d.created.Equal(src.Created) {
		// Half, so that no source can shut the door to the others.
		d = &desk{name: src.Name, created: src.Created, share: budget{max: max(rc.budget.max/2, rc.door.opts.Decode.MaxBody)}}
		rc.desks[src.Name] = d
	}
	return d
}
