package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/go-json-experiment/json"
)

// letterRecord is the first line of a dead letter as it lies in the bucket:
// JSON without a line break. After it come, byte for byte, the event's data, the
// request's body before and after that data, which it normally repeats, and the
// answer's body. So a dead letter takes little more than its event.
type letterRecord struct {
	V        int            `json:"v"`
	First    int64          `json:"f,omitzero"`
	Tries    int            `json:"n"`
	SetAside int64          `json:"t"`
	Event    eventRecord    `json:"e"`
	Last     exchangeRecord `json:"x"`
	Data     int            `json:"ld"`          // bytes of the event's data
	Before   int            `json:"lb"`          // bytes of the request's body before the data
	After    int            `json:"la"`          // bytes of it after the data
	Answer   int            `json:"lr"`          // bytes of the answer's body
	Repeats  bool           `json:"r,omitempty"` // the data stands between Before and After
}

// eventRecord is an event without its data and Seq.
type eventRecord struct {
	Seq    gatecast.Seq  `json:"q"`
	ID     string        `json:"i"`
	Kind   gatecast.Kind `json:"k"`
	Device string        `json:"d,omitzero"`
	Groups []int64       `json:"g,omitempty"`
	At     int64         `json:"a,omitzero"`
	Stored int64         `json:"s,omitzero"`
	Source string        `json:"o,omitzero"`
}

// exchangeRecord is an exchange without its bodies.
type exchangeRecord struct {
	Time    int64             `json:"t,omitzero"`
	Seq     gatecast.Seq      `json:"q,omitzero"`
	Events  int               `json:"n,omitzero"`
	Message string            `json:"i,omitzero"`
	Try     int               `json:"y,omitzero"`
	Status  int               `json:"s,omitzero"`
	Took    int64             `json:"d,omitzero"` // nanoseconds
	Outcome string            `json:"o,omitzero"`
	Error   string            `json:"e,omitzero"`
	Replay  bool              `json:"r,omitzero"`
	URL     string            `json:"u,omitzero"`
	Headers map[string]string `json:"h,omitempty"`
	Answer  map[string]string `json:"a,omitempty"`
}

// encodeLetter writes a dead letter in at most limit bytes. What has no room is
// left out, and cut says so: first what the last attempt was, then the event's
// data.
func encodeLetter(d gatecast.DeadLetter, limit int) (value []byte, cut bool, err error) {
	for _, shorter := range []func(){
		func() {},
		func() { d.Last.AnswerHeaders, d.Last.Answer, d.Last.Headers = nil, nil, nil },
		func() { d.Last.Body = nil },
		func() { d.Last = gatecast.Exchange{} },
		func() { d.Event.Data = nil },
	} {
		shorter()
		if value, err = marshalLetter(d); err != nil || len(value) <= limit {
			return value, cut, err
		}
		cut = true
	}
	return value, cut, gatecast.Errorf(gatecast.TooLarge, "dead letter %d of %s does not fit into %d bytes", d.Seq, d.Subscription, limit)
}

func marshalLetter(d gatecast.DeadLetter) ([]byte, error) {
	before, after, repeats := bytes.Cut(d.Last.Body, d.Event.Data)
	if len(d.Event.Data) == 0 || !repeats {
		before, after, repeats = d.Last.Body, nil, false
	}
	r := letterRecord{
		V: recordVersion, First: millis(d.First), Tries: d.Tries, SetAside: millis(d.SetAside),
		Event: newEventRecord(d.Event), Last: newExchangeRecord(d.Last),
		Data: len(d.Event.Data), Before: len(before), After: len(after), Answer: len(d.Last.Answer), Repeats: repeats,
	}
	head, err := json.Marshal(r, json.Deterministic(true), lenient)
	if err != nil {
		return nil, fmt.Errorf("encode dead letter %d of %s: %w", d.Seq, d.Subscription, err)
	}
	return bytes.Join([][]byte{head, {'\n'}, d.Event.Data, before, after, d.Last.Answer}, nil), nil
}

// decodeLetter reads a dead letter. Its error is Invalid if a newer gatecast has
// written it, and else says that it is damaged.
func decodeLetter(value []byte) (gatecast.DeadLetter, error) {
	head, rest, _ := bytes.Cut(value, []byte{'\n'})
	if err := checkVersion(head, "the dead letter was"); err != nil {
		return gatecast.DeadLetter{}, err
	}
	var r letterRecord
	if err := json.Unmarshal(head, &r); err != nil {
		return gatecast.DeadLetter{}, fmt.Errorf("decode a dead letter: %w", err)
	}
	parts, err := split(rest, r.Data, r.Before, r.After, r.Answer)
	if err != nil {
		return gatecast.DeadLetter{}, err
	}
	d := gatecast.DeadLetter{
		First: moment(r.First), Tries: r.Tries, SetAside: moment(r.SetAside),
		Event: r.Event.event(), Last: r.Last.exchange(),
	}
	d.Event.Data, d.Last.Answer = parts[0], parts[3]
	if d.Last.Body = parts[1]; r.Repeats {
		d.Last.Body = bytes.Join([][]byte{parts[1], parts[0], parts[2]}, nil)
	}
	return d, nil
}

// split cuts a value into parts of these lengths; an empty one is nil.
func split(rest []byte, lengths ...int) (parts [][]byte, err error) {
	for _, n := range lengths {
		if n < 0 || n > len(rest) {
			return nil, errors.New("decode a dead letter: it is too short")
		}
		part := rest[:n:n]
		if n == 0 {
			part = nil
		}
		parts, rest = append(parts, part), rest[n:]
	}
	if len(rest) > 0 {
		return nil, errors.New("decode a dead letter: it is too long")
	}
	return parts, nil
}

func newEventRecord(e gatecast.Event) eventRecord {
	return eventRecord{
		Seq: e.Seq, ID: e.ID, Kind: e.Kind, Device: e.Device, Groups: e.Groups,
		At: millis(e.At), Stored: millis(e.Stored), Source: e.Source,
	}
}

func (r eventRecord) event() gatecast.Event {
	return gatecast.Event{
		Seq: r.Seq, ID: r.ID, Kind: r.Kind, Device: r.Device, Groups: r.Groups,
		At: moment(r.At), Stored: moment(r.Stored), Source: r.Source,
	}
}

func newExchangeRecord(x gatecast.Exchange) exchangeRecord {
	return exchangeRecord{
		Time: millis(x.Time), Seq: x.Seq, Events: x.Events, Message: x.Message, Try: x.Try, Status: x.Status,
		Took: int64(x.Took), Outcome: string(x.Outcome), Error: x.Error, Replay: x.Replay,
		URL: x.URL, Headers: x.Headers, Answer: x.AnswerHeaders,
	}
}

func (r exchangeRecord) exchange() gatecast.Exchange {
	return gatecast.Exchange{
		Attempt: gatecast.Attempt{
			Time: moment(r.Time), Seq: r.Seq, Events: r.Events, Message: r.Message, Try: r.Try, Status: r.Status,
			Took: time.Duration(r.Took), Outcome: gatecast.Outcome(r.Outcome), Error: r.Error, Replay: r.Replay,
		},
		URL: r.URL, Headers: r.Headers, AnswerHeaders: r.Answer,
	}
}
