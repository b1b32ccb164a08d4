package senselink

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// keepBuffer is the largest body buffer kept for the next request: a full batch
// of usual events fits. Larger ones go back to the garbage collector at once,
// the others when they have not been used for a while.
const keepBuffer = 2 << 20

// Decoder reads events as senders write them. It is safe for concurrent use.
//
// An event is an envelope around a data object, in either of the vendor's forms:
//
//	{"eventType":30000,"messageId":"…","sendTime":1583726626015,"data":{…}}
//	{"code":30000,"desc":"","message":"push record","data":{…}}
//
// eventType and code may be numbers or strings. Fields of data that the
// protocol names are checked, null counting as absent; the others are not
// looked at. Fields of the envelope that it does not name are dropped.
//
// Event.Data holds the sender's bytes exactly, white space included. Only a
// missing "id", and for records a missing "signDate", is added, behind the last
// of the sender's own members; a member that is there but null stays. A photo
// gives way to its ID if [Options.Photos] is set.
//
// Event.ID is the first that applies of:
//
//   - messageId, unchanged: 1 to 128 bytes without spaces and control characters.
//   - "record:DEVICE:ID" or "alarm:DEVICE:ID:STATUS" if data has an id above
//     zero, so that sending the same record again is seen as a duplicate. A
//     DEVICE that would make this too long is replaced by "#" and its SHA-256.
//   - a fresh UUID of version 7; such events are never seen as duplicates.
//
// Event.At is signTime (Unix seconds; 10^11 and above is taken as
// milliseconds) or alarmTime ("2006-01-02 15:04:05" in Options.Zone, or RFC
// 3339), else sendTime, cut to the second.
type Decoder struct {
	opts    Options
	scratch sync.Pool // of *scratch
}

// scratch is what one Decode needs and the next can use again.
type scratch struct {
	body bytes.Buffer     // the whole body
	view bytes.Buffer     // the unread part of it, as the parser wants it
	dec  jsontext.Decoder // over view
}

// NewDecoder returns a Decoder with the limits of o.
func NewDecoder(o Options) *Decoder {
	return &Decoder{
		opts:    o.withDefaults(),
		scratch: sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Decode reads r to its end and returns the events in order, or one error that
// says which event is wrong and where. It never returns both. The error is a
// [*gatecast.Error]: Malformed for what is no JSON (RFC 8259, strictly UTF-8, no
// duplicate names), Invalid for JSON that is no event, TooLarge beyond a limit.
// Errors of r and of [Options.Photos] that are a [*gatecast.Error] come back as
// they are. now stands in for what the events leave out. An empty array gives no
// events and no error.
func (d *Decoder) Decode(r io.Reader, f Format, now time.Time) ([]gatecast.Event, error) {
	return d.decode(r, f, now, nil)
}

// DecodeWith is Decode for one JSON event whose photos came beside it, by the
// fields that they belong to. What the event says there itself is replaced. An
// array is Invalid, and so is a photo for a field that its kind does not have.
func (d *Decoder) DecodeWith(r io.Reader, photos map[string][]byte, now time.Time) ([]gatecast.Event, error) {
	if d.opts.Photos == nil && len(photos) > 0 {
		e := gatecast.Errorf(gatecast.Invalid, "photos are not kept here")
		e.Remedy = "send the event alone, as application/json"
		return nil, e
	}
	if photos == nil {
		photos = map[string][]byte{}
	}
	return d.decode(r, JSON, now, photos)
}

func (d *Decoder) decode(r io.Reader, f Format, now time.Time, beside map[string][]byte) ([]gatecast.Event, error) {
	s := d.scratch.Get().(*scratch)
	defer d.release(s)
	s.body.Reset()
	n, err := s.body.ReadFrom(io.LimitReader(r, d.opts.MaxBody+1))
	if err != nil {
		return nil, readError(err)
	}
	if n > d.opts.MaxBody {
		return nil, limit(gatecast.TooLarge, nil, "ingest.max_body", "the body has more than %d bytes", d.opts.MaxBody)
	}
	p := parser{opts: &d.opts, now: now, index: -1, body: s.body.Bytes(), scratch: s, beside: beside}
	return p.parse(f)
}

func (d *Decoder) release(s *scratch) {
	s.view = bytes.Buffer{}
	s.dec.Reset(&s.view)
	if s.body.Cap() <= keepBuffer {
		d.scratch.Put(s)
	}
}

// readError keeps what the reader has classified itself; anything else means
// that the sender did not deliver the body it announced.
func readError(err error) error {
	var e *gatecast.Error
	if errors.As(err, &e) {
		return err
	}
	e = gatecast.Errorf(gatecast.Malformed, "the body could not be read to its end")
	e.Cause = err
	return e
}
