package push

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/gatecast/gatecast/senselink"
)

// ServeHTTP answers a POST of events with
//
//	200 {"accepted":2,"duplicates":0,"first":41,"last":42}
//
// when all of them are on disk, and with a problem document when none is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.opts.Now()
	defer func() { h.metrics.duration.Observe(h.opts.Now().Sub(start).Seconds()) }()
	receipt, err := h.receive(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(appendReceipt(nil, receipt)) // the sender is gone if this fails; it will send again
}

// receive takes in the body of one request.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (gatecast.Receipt, error) {
	end := h.begin(w)
	l, compressed, err := h.admit(r)
	if err != nil {
		h.metrics.done(r.Context(), gatecast.Receipt{}, err)
		return gatecast.Receipt{}, err
	}
	if err := h.turnAway(w, r); err != nil {
		h.metrics.done(r.Context(), gatecast.Receipt{}, err)
		h.metrics.turnedAway(err, "door")
		return gatecast.Receipt{}, err
	}
	at := "body"
	body := h.open(w, r, &h.budget, compressed, end)
	defer body.giveBack()
	l.body = body
	received := func() {
		body.received()
		at = "journal"
	}
	// The request's context ends when the sender closes its side of the
	// connection, which it may do as soon as it has sent everything.
	receipt, err := h.ingest(context.WithoutCancel(r.Context()), Source, l, received)
	h.metrics.turnedAway(err, at)
	return receipt, err
}

// begin sets the time in which a body must be there. A server that cannot set
// deadlines (a test's recorder) has no slow senders either.
func (h *Handler) begin(w http.ResponseWriter) time.Time {
	end := time.Now().Add(h.opts.ReadTimeout)
	_ = http.NewResponseController(w).SetReadDeadline(end)
	return end
}

// arrival is a body on its way in, within all limits but that of its inflated
// size.
type arrival struct {
	chargedReader
	deadline func(time.Time) error
}

// open makes a body readable, on account of a budget.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, b *budget, compressed bool, end time.Time) *arrival {
	deadline := http.NewResponseController(w).SetReadDeadline
	var plain io.Reader = &bodyReader{
		src: http.MaxBytesReader(w, r.Body, h.opts.Decode.MaxBody), opts: &h.opts, end: end, deadline: deadline, packed: compressed,
	}
	if compressed {
		plain = &gzipReader{src: plain}
	}
	return &arrival{chargedReader{src: plain, door: h, budget: b}, deadline}
}

// received ends the deadline of a body that has been read to its end. It must be
// gone before the journal is waited for: when it passes then, net/http takes it
// for a lost connection. On an error it stays, for the rest of the body that
// net/http reads and throws away.
func (a *arrival) received() { _ = a.deadline(time.Time{}) }

// chargedReader charges the budget for what a sender has sent, not for what it
// announces: many senders that announce much and send nothing would otherwise
// shut the door to all others.
type chargedReader struct {
	src    io.Reader
	door   *Handler
	budget *budget
	share  *budget // of the sender in it; nil: there is none
	size   int64   // charged so far
}

// Read reads from the body, and fails when the budget is spent.
func (c *chargedReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if !c.take(int64(n)) {
		e := gatecast.Errorf(gatecast.Unavailable, "too many bodies are being received at once")
		e.Remedy = "send it again in a moment, or raise ingest.max_inflight in the configuration"
		e.Retry = time.Second
		return 0, e
	}
	c.size += int64(n)
	c.door.metrics.inflight.Add(float64(n))
	return n, err
}

func (c *chargedReader) take(n int64) bool {
	if c.share != nil && !c.share.take(n) {
		return false
	}
	if c.budget.take(n) {
		return true
	}
	if c.share != nil {
		c.share.give(n)
	}
	return false
}

func (c *chargedReader) giveBack() {
	if c.share != nil {
		c.share.give(c.size)
	}
	c.budget.give(c.size)
	c.door.metrics.inflight.Sub(float64(c.size))
}

// admit decides by the headers alone whether and how a body is read.
func (h *Handler) admit(r *http.Request) (l load, compressed bool, err error) {
	var isForm bool
	if l.boundary, isForm, err = boundaryOf(r.Header.Get("Content-Type")); !isForm {
		l.format, err = formatOf(r.Header.Get("Content-Type"))
	}
	if err != nil {
		return l, false, err
	}
	if r.ContentLength > h.opts.Decode.MaxBody {
		return l, false, tooLarge(h.opts.Decode.MaxBody)
	}
	compressed, err = packed(r)
	return l, compressed, err
}

// packed reports whether a body is to be inflated.
func packed(r *http.Request) (compressed bool, err error) {
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip": // RFC 9110, section 8.4.1.3
		return true, nil
	default:
		e := gatecast.Errorf(gatecast.Invalid, "the content encoding %q is not supported", enc)
		e.Remedy = "send the body with Content-Encoding: gzip, or uncompressed"
		return false, &problem.UnsupportedMedia{Err: e}
	}
}

// formatOf returns how a body of this content type is put together. None at
// all is taken as JSON.
func formatOf(contentType string) (senselink.Format, error) {
	if contentType == "" {
		return senselink.JSON, nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	if err == nil && (charset == "" || charset == "utf-8" || charset == "utf8") {
		switch media {
		case "application/json":
			return senselink.JSON, nil
		case "application/x-ndjson":
			return senselink.NDJSON, nil
		}
	}
	e := gatecast.Errorf(gatecast.Invalid, "the content type %q is not supported", contentType)
	e.Remedy = "send Content-Type: application/json or application/x-ndjson, in UTF-8, or multipart/form-data for an event with its photos"
	return 0, &problem.UnsupportedMedia{Err: e}
}

// refuse answers with err and logs it, once: what a sender did wrong is not
// worth more than a debug line, what gatecast did wrong is. It answers always:
// net/http makes a 200 of silence.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	level, code := slog.LevelDebug, gatecast.CodeOf(err)
	switch code {
	case gatecast.Internal:
		level = slog.LevelError
	case gatecast.Unavailable:
		level = slog.LevelWarn
	}
	since, due := 0, true
	if code == gatecast.Unavailable {
		since, due = h.refusals.due(h.opts.Now())
	}
	if due {
		h.opts.Log.Log(r.Context(), level, "events refused", "code", code.String(), "error", err, "cause", errors.Unwrap(err), "not_logged", since)
	}
	h.opts.WriteError(w, r, err)
}

// wentAway reports whether err is nothing but the giving up of a caller of
// [Handler.Ingest]. A sender over HTTP that leaves ends nothing.
func wentAway(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// gzipReader inflates src. It opens the stream at the first Read, so that a
// broken header is an error of reading like any other. How much comes out is
// bounded by the decoder, how much goes in by bodyReader.
type gzipReader struct {
	src io.Reader
	z   *gzip.Reader
}

// Read reads inflated bytes.
func (g *gzipReader) Read(p []byte) (int, error) {
	var err error
	if g.z == nil {
		if g.z, err = gzip.NewReader(g.src); err != nil {
			return 0, brokenGzip(err)
		}
	}
	n, err := g.z.Read(p)
	if err == io.EOF {
		return n, err
	}
	return n, brokenGzip(err)
}

// brokenGzip keeps errors that say more than that the stream is broken.
func brokenGzip(err error) error {
	var e *gatecast.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	e = gatecast.Errorf(gatecast.Malformed, "the body is not the gzip stream that Content-Encoding announces")
	e.Cause = err
	return e
}

func tooLarge(limit int64) error {
	e := gatecast.Errorf(gatecast.TooLarge, "the body has more than %d bytes", limit)
	e.Remedy = "send less at once, or raise ingest.max_body in the configuration"
	return e
}

func appendReceipt(dst []byte, r gatecast.Receipt) []byte {
	dst = append(dst, `{"accepted":`...)
	dst = strconv.AppendInt(dst, int64(r.Accepted), 10)
	dst = append(dst, `,"duplicates":`...)
	dst = strconv.AppendInt(dst, int64(r.Duplicates), 10)
	dst = append(dst, `,"first":`...)
	dst = strconv.AppendUint(dst, uint64(r.First), 10)
	dst = append(dst, `,"last":`...)
	dst = strconv.AppendUint(dst, uint64(r.Last), 10)
	return append(dst, '}', '\n')
}
