package webhook

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// Message is one event as a receiver reads it.
type Message struct {
	EventType int                // 30000 record, 30100 alarm, 50000 notice of gatecast
	MessageID string             // the same each time the event is sent; tell duplicates by it
	SendTime  time.Time          // when it happened, UTC; zero if nobody told
	Seq       uint64             // place in gatecast's journal; 0 unless the subscription has own_fields
	Epoch     string             // of that journal; empty likewise
	Late      bool               // gatecast had to ask for it, the server it comes from had not pushed it; false likewise
	Data      stdjson.RawMessage // an object; what is in it depends on EventType
}

// Parse reads a body: one message, or an array of them if the subscription
// makes batches. eventType may be a number or a string. The error is Malformed
// for what is no JSON and Invalid for JSON that is no message; then there are no
// messages. Members that are not named here are passed over.
func Parse(body []byte) ([]Message, error) {
	one := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
	var raw []wire
	if one {
		raw = make([]wire, 1)
		if err := json.Unmarshal(body, &raw[0]); err != nil {
			return nil, unreadable(err)
		}
	} else if err := json.Unmarshal(body, &raw); err != nil {
		return nil, unreadable(err)
	} else if raw == nil {
		return nil, gatecast.Errorf(gatecast.Invalid, "the body is null")
	}
	messages := make([]Message, len(raw))
	for i := range raw {
		index := i
		if one {
			index = -1
		}
		if err := raw[i].message(&messages[i], index); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// wire is a message as it stands in a body.
type wire struct {
	EventType jsontext.Value `json:"eventType"`
	MessageID string         `json:"messageId"`
	SendTime  int64          `json:"sendTime"`
	Seq       uint64         `json:"seq"`
	Epoch     string         `json:"epoch"`
	Late      bool           `json:"late"`
	Data      jsontext.Value `json:"data"`
}

func (w *wire) message(m *Message, index int) error {
	kind := w.EventType
	if kind.Kind() == '"' {
		kind = kind[1 : len(kind)-1]
	}
	n, err := strconv.ParseInt(string(kind), 10, 32)
	switch {
	case err != nil:
		return invalid(index, "/eventType", "a whole number, or a string of its digits")
	case w.MessageID == "":
		return invalid(index, "/messageId", "a string that is not empty")
	case w.Data.Kind() != '{':
		return invalid(index, "/data", "an object")
	}
	m.EventType, m.MessageID, m.Seq, m.Epoch, m.Late = int(n), w.MessageID, w.Seq, w.Epoch, w.Late
	m.Data = stdjson.RawMessage(w.Data)
	if w.SendTime != 0 {
		m.SendTime = time.UnixMilli(w.SendTime).UTC()
	}
	return nil
}

func invalid(index int, path, expected string) error {
	e := gatecast.Errorf(gatecast.Invalid, "the message has no usable %s", path[1:])
	e.At = &gatecast.Place{Index: index, Path: path, Expected: expected}
	return e
}

// unreadable sorts the errors of the JSON library into ours.
func unreadable(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		e := gatecast.Errorf(gatecast.Invalid, "the body is JSON, but no message")
		e.At = &gatecast.Place{Index: -1, Path: string(semantic.JSONPointer)}
		e.Cause = err
		return e
	}
	e := gatecast.Errorf(gatecast.Malformed, "the body is not valid JSON")
	e.Cause = fmt.Errorf("read the body: %w", err)
	return e
}
