package pull

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// envelope is the outside of a message, in either of the vendor's forms.
type envelope struct {
	code int
	desc string
	data []byte // nil: there is none; part of the message
}

// readEnvelope reads what a message is about, and nothing of its data. The
// error says what is wrong with it, for an operator.
func readEnvelope(m message) (envelope, error) {
	if !m.whole() {
		return envelope{}, fmt.Errorf("the message has %d bytes, and only its beginning was kept", m.size)
	}
	var raw struct {
		Code      jsontext.Value `json:"code"`
		EventType jsontext.Value `json:"eventType"`
		Desc      jsontext.Value `json:"desc"`
		Data      jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(m.text, &raw); err != nil {
		return envelope{}, fmt.Errorf("the message is no JSON object: %w", err)
	}
	env := envelope{data: raw.Data, desc: text(raw.Desc)}
	code := raw.Code
	if code == nil {
		code = raw.EventType
	}
	var err error
	if env.code, err = strconv.Atoi(text(code)); err != nil {
		return envelope{}, errors.New("the message has no code that is a number")
	}
	return env, nil
}

// text returns what a string says, and any other value as it stands.
func text(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	b, _ := jsontext.AppendUnquote(nil, v) // the parser has accepted it
	return string(b)
}

// reasonOf says why a push could not be decoded. Nil stands for one that is no
// single event.
func reasonOf(err error) string {
	if err == nil {
		return "the message is no single event"
	}
	if e, ok := errors.AsType[*gatecast.Error](err); ok {
		e := *e
		e.Remedy = "" // it is for who sent it
		return e.Error()
	}
	return err.Error()
}
