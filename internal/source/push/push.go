// Package push takes in the events that senders post over HTTP.
//
// It owns the door: content types, deadlines, the memory that bodies may take,
// and the answer. It never stores events (see Appender), never reads JSON
// itself (see senselink.Decoder) and never checks who is calling: app puts the
// guard in front. Start at Handler.Ingest, which is all of it without HTTP.
package push

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/gatecast/gatecast/senselink"
)

// Source is the Event.Source of what came in over HTTP.
const Source = "push"

// Appender is the part of the journal that this door needs.
type Appender interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk. Its errors are gatecast errors; Unavailable means that the
	// same call may succeed later.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
	// Accepting returns nil, or why Append would answer Unavailable at this
	// moment. It costs nothing.
	Accepting() error
}

// Options tunes a Handler. The zero value works.
type Options struct {
	Decode senselink.Options // limits and numbering; Source and Unknown are set by New

	// ReadTimeout is how long a sender may take to deliver its body, from the
	// moment its headers are in; then it is answered 503 and disconnected.
	// Default 30 s.
	ReadTimeout time.Duration
	// MaxInflight bounds the bytes of all bodies at work, counted as they arrive
	// and inflated. A body that would pass it is answered 503. While it is
	// decoded it takes up to three times that. Default 64 MiB, and never less
	// than Decode.MaxBody.
	MaxInflight int64

	// StoreTimeout is how long the journal may take; then the sender is answered
	// 503. What became of its events is not known then, and the same IDs make
	// sending them again harmless. Default 10 s.
	StoreTimeout time.Duration
	// Patience is within what time a [Receiver] answers, from the moment the
	// headers are in. Default 4 s: the vendor's servers wait for 5.
	Patience time.Duration
	// SourcePhotos is Decode.Photos for the posts of sources: servers that post
	// nothing more once something is refused. Default Decode.Photos.
	SourcePhotos senselink.Photos

	WriteError func(http.ResponseWriter, *http.Request, error) // default problem.Write
	Now        func() time.Time                                // default time.Now
	Log        *slog.Logger                                    // default: discard
}

func (o Options) withDefaults() Options {
	o.Decode.MaxBody = cmp.Or(o.Decode.MaxBody, senselink.DefaultMaxBody)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 30*time.Second)
	o.StoreTimeout = cmp.Or(o.StoreTimeout, 10*time.Second)
	o.Patience = cmp.Or(o.Patience, 4*time.Second)
	o.MaxInflight = max(cmp.Or(o.MaxInflight, 64<<20), o.Decode.MaxBody)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.SourcePhotos == nil {
		o.SourcePhotos = o.Decode.Photos
	}
	if o.WriteError == nil {
		o.WriteError = problem.Write
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Handler takes in events. It serves POST /api/v1/events.
type Handler struct {
	journal Appender
	opts    Options
	decoder *senselink.Decoder
	budget  budget
	metrics *metrics

	refusals seldom // for the log
}

// New returns the door to journal.
func New(journal Appender, o Options) *Handler {
	o = o.withDefaults()
	h := &Handler{journal: journal, opts: o, metrics: newMetrics()}
	o.Decode.Source = Source
	o.Decode.Unknown = func(field string) { h.metrics.unknown.WithLabelValues(field).Inc() }
	h.decoder = senselink.NewDecoder(o.Decode)
	h.budget.max = o.MaxInflight
	return h
}

// Ingest decodes body and stores its events, all of them or none: what a
// request does, for callers in the same process. source becomes their
// Event.Source and a metric label, so it must come from a small set. Errors are
// those of [senselink.Decoder.Decode] and of the Appender.
func (h *Handler) Ingest(ctx context.Context, source string, body []byte, f senselink.Format) (gatecast.Receipt, error) {
	return h.ingest(ctx, source, load{body: bytes.NewReader(body), format: f}, func() {})
}

// ingest calls received when body has been read to its end and is good.
func (h *Handler) ingest(ctx context.Context, source string, l load, received func()) (gatecast.Receipt, error) {
	receipt, err := h.store(ctx, source, l, received)
	h.metrics.done(ctx, receipt, err)
	return receipt, err
}

func (h *Handler) store(ctx context.Context, source string, l load, received func()) (gatecast.Receipt, error) {
	events, err := h.decode(l)
	if err != nil {
		return gatecast.Receipt{}, err
	}
	received()
	if len(events) == 0 {
		return gatecast.Receipt{}, nil
	}
	for i := range events {
		events[i].Source = source
		if gatecast.IsUpstreamID(events[i].ID) {
			events[i].ID = foreign(events[i].ID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.StoreTimeout)
	defer cancel()
	receipt, err := h.journal.Append(ctx, events)
	if err != nil {
		return gatecast.Receipt{}, err
	}
	h.metrics.stored(source, events)
	return receipt, nil
}

// foreign is what stands for a messageId that looks like the ID of a source's
// event: the same for the same, and none of a source's.
func foreign(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "push:" + hex.EncodeToString(sum[:16])
}
