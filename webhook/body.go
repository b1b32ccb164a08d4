package webhook

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// Form is how a subscriber wants its bodies. The zero value is the vendor's form.
type Form struct {
	EventTypeString bool   // eventType is "30000" instead of 30000
	OwnFields       bool   // "seq", "epoch" and, of a late event, "late" stand before data
	Epoch           string // of the journal; used with OwnFields only
}

// AppendBody appends the body of the message of e to dst and returns the
// result:
//
//	{"eventType":30000,"messageId":"…","sendTime":1583726626015,"data":{…}}
//
// sendTime is when the event happened or, if nobody told, when it was stored.
// Data goes out byte for byte. The bytes depend on nothing but e and f, so every
// attempt sends the same ones.
func AppendBody(dst []byte, e *gatecast.Event, f Form) []byte {
	dst = append(dst, `{"eventType":`...)
	if f.EventTypeString {
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, int64(e.Kind), 10)
		dst = append(dst, '"')
	} else {
		dst = strconv.AppendInt(dst, int64(e.Kind), 10)
	}
	dst = append(dst, `,"messageId":`...)
	// The one error there is reports bytes that are not UTF-8; an event's ID came
	// out of JSON and has none.
	dst, _ = jsontext.AppendQuote(dst, e.ID)
	dst = append(dst, `,"sendTime":`...)
	dst = strconv.AppendInt(dst, sendTime(e), 10)
	if f.OwnFields {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
		dst = append(dst, `,"epoch":`...)
		dst, _ = jsontext.AppendQuote(dst, f.Epoch) // an epoch is ASCII
		if e.Late {
			dst = append(dst, `,"late":true`...)
		}
	}
	dst = append(dst, `,"data":`...)
	if len(e.Data) == 0 {
		return append(dst, `{}}`...)
	}
	dst = append(dst, e.Data...)
	return append(dst, '}')
}

// sendTime returns Unix time in milliseconds, or 0 if there is no time at all.
func sendTime(e *gatecast.Event) int64 {
	switch {
	case !e.At.IsZero():
		return e.At.UnixMilli()
	case !e.Stored.IsZero():
		return e.Stored.UnixMilli()
	}
	return 0
}

// AppendBatch appends a JSON array of the bodies of events to dst and returns
// the result.
func AppendBatch(dst []byte, events []*gatecast.Event, f Form) []byte {
	dst = append(dst, '[')
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendBody(dst, e, f)
	}
	return append(dst, ']')
}
