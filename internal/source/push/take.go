package push

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	leastPatience = time.Second // with the journal, for a body that came slowly
	firstRetry    = 50 * time.Millisecond
	mostRetry     = 500 * time.Millisecond
)

// parcel is what a server has posted.
type parcel struct {
	body   []byte
	format senselink.Format
	post   *gatecast.SourcePost // to be filled in; nil if nobody has posted it
}

// note fills in what the post is made of.
func (p parcel) note(events []gatecast.Event, r gatecast.Receipt) {
	if p.post == nil || len(events) == 0 {
		return
	}
	p.post.Events, p.post.Accepted, p.post.First = len(events), r.Accepted, r.First
	p.post.Kind, p.post.Device = events[0].Kind, events[0].Device
}

// read reads a body. It goes by its content type only as far as that is known:
// a server that announces its JSON as something else would stop for good.
// giveBack must be called when the body is not needed any more.
func (rc *Receiver) read(w http.ResponseWriter, r *http.Request, d *desk) (body []byte, f senselink.Format, giveBack func(), err error) {
	h := rc.door
	end := h.begin(w)
	f, _ = formatOf(r.Header.Get("Content-Type"))
	compressed, unknown := packed(r)
	a := h.open(w, r, &rc.budget, compressed, end)
	a.share = &d.share
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(a, h.opts.Decode.MaxBody+1))
	switch own := (*gatecast.Error)(nil); {
	case err != nil && !errors.As(err, &own):
		// The sender has left, most likely: what came is no message.
		err = &gatecast.Error{Code: gatecast.Unavailable, Message: "the body could not be read to its end", Cause: err}
	case err == nil && n > h.opts.Decode.MaxBody:
		err = tooLarge(h.opts.Decode.MaxBody)
	case err == nil:
		a.received()
		err = unknown
	}
	return b.Bytes(), f, a.giveBack, err
}

// take understands a post and stores its events, all of them or none.
func (rc *Receiver) take(ctx context.Context, d *desk, src *gatecast.Source, p parcel, end time.Time) (gatecast.Receipt, error) {
	events, err := rc.decoder(d, src).Decode(bytes.NewReader(p.body), p.format, rc.door.opts.Now())
	if err != nil {
		return gatecast.Receipt{}, err
	}
	outsides, err := outsidesOf(p)
	if err != nil || len(outsides) != len(events) {
		e := gatecast.Errorf(gatecast.Malformed, "the body is not valid JSON")
		e.Cause = err
		return gatecast.Receipt{}, e
	}
	events = rc.identify(src, events, outsides)
	if len(events) == 0 {
		return gatecast.Receipt{}, nil
	}
	receipt, err := rc.store(ctx, events, end)
	if err == nil {
		rc.metrics.stored(src.Name, events, receipt)
		p.note(events, receipt)
		d.stored(rc.door.opts.Now(), receipt)
	}
	return receipt, err
}

// outside is what the decoder does not tell of an event: its data as it came,
// and the messageId.
type outside struct {
	MessageID string         `json:"messageId"`
	Data      jsontext.Value `json:"data"`
}

// outsidesOf reads the envelopes of a body that the decoder has accepted.
func outsidesOf(p parcel) ([]outside, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(bytes.TrimPrefix(p.body, []byte("\xef\xbb\xbf"))))
	var all []outside
	if p.format == senselink.JSON && dec.PeekKind() == '[' {
		return all, json.UnmarshalDecode(dec, &all)
	}
	for {
		var o outside
		err := json.UnmarshalDecode(dec, &o)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
}

// identify gives events the IDs by which a look at the server knows them, too,
// and leaves out those of other companies.
func (rc *Receiver) identify(src *gatecast.Source, events []gatecast.Event, outsides []outside) []gatecast.Event {
	own := events[:0]
	for i, e := range events {
		o := outsides[i]
		n := senselink.NumbersOf(o.Data)
		if c := src.Settings.Company; c != 0 && n.Company != 0 && n.Company != c {
			rc.metrics.foreign.WithLabelValues(src.Name).Inc()
			continue
		}
		if n.ID <= 0 {
			rc.metrics.unnumbered.WithLabelValues(src.Name).Inc()
		}
		e.Source = src.Name
		if n.ID <= 0 && o.MessageID != "" {
			e.ID = messageIdentity(src.Name, o.MessageID)
		} else {
			e.ID = gatecast.UpstreamID(src.Name, e.Kind, n.ID, n.Status, o.Data)
		}
		own = append(own, e)
	}
	return own
}

// messageIdentity is the ID of an event without a number. One that could be
// taken for a number's, or is too long, is replaced by its SHA-256.
func messageIdentity(source, message string) string {
	if id := source + ":" + message; len(id) <= 128 && !strings.ContainsAny(message, ":#") {
		return id
	}
	sum := sha256.Sum256([]byte(message))
	return source + ":#" + hex.EncodeToString(sum[:16])
}

// store asks the journal until it takes the events, will never take them, or
// the sender must be answered.
func (rc *Receiver) store(ctx context.Context, events []gatecast.Event, end time.Time) (gatecast.Receipt, error) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for wait := firstRetry; ; wait = min(2*wait, mostRetry) {
		receipt, err := rc.append(ctx, events)
		if err == nil || hopeless(err) || !sleep(ctx, wait) {
			return receipt, err
		}
	}
}

func (rc *Receiver) append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	if err := rc.door.journal.Accepting(); err != nil {
		return gatecast.Receipt{}, err
	}
	return rc.door.journal.Append(ctx, events)
}

// hopeless reports whether trying again will never help.
func hopeless(err error) bool {
	switch gatecast.CodeOf(err) {
	case gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge:
		return true
	case gatecast.Internal, gatecast.Unauthenticated, gatecast.Forbidden, gatecast.NotFound, gatecast.Conflict,
		gatecast.Gap, gatecast.TooMany, gatecast.Unavailable:
	}
	return false
}

// sleep waits for d, and reports whether ctx has lasted for so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// reasonOf says for an operator what is wrong with a body.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*gatecast.Error](err); ok {
		e := *e
		e.Remedy = "" // it is for who sent it
		return e.Error()
	}
	return err.Error()
}
