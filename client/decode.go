package client

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// message is what one text from the server means to us.
type message struct {
	connected bool   // it says that we are in
	event     *Event // it is a push
}

// envelope is the outside of every message from the server.
type envelope struct {
	Code int             `json:"code"`
	Desc string          `json:"desc"`
	Data json.RawMessage `json:"data"`
}

// decode reads one message. The only error is a denial. A message that cannot
// be read, or has a code not known here, is logged and passed over: one bad
// message must not cost the connection, and with it all that follow.
func (c *Client) decode(text []byte) (message, error) {
	var env envelope
	if err := json.Unmarshal(text, &env); err != nil {
		c.opts.Log.Warn("message is not JSON", "bytes", len(text))
		return message{}, nil
	}
	switch env.Code {
	case senselink.CodeConnected:
		return message{connected: true}, nil
	case senselink.CodeDenied:
		return message{}, denied(env.Desc)
	case int(gatecast.Record), int(gatecast.Alarm):
		return message{event: &Event{Event: c.event(text, env), Raw: text}, connected: true}, nil
	case senselink.CodeHeartBeat:
	default:
		c.opts.Log.Debug("message with an unknown code", "code", env.Code)
	}
	return message{}, nil
}

// event reads a push by the rules that the server reads its own input by. A
// push that breaks them is handed on all the same, with what is certain.
func (c *Client) event(text []byte, env envelope) gatecast.Event {
	if list, err := c.decoder.Decode(bytes.NewReader(text), senselink.JSON, time.Now()); err == nil && len(list) == 1 {
		return list[0]
	}
	return gatecast.Event{Kind: gatecast.Kind(env.Code), Data: env.Data}
}

// deniedError is a refusal by code 20002.
type deniedError struct{ err *gatecast.Error }

func (e *deniedError) Error() string { return e.err.Error() }
func (e *deniedError) Unwrap() error { return e.err }

// denied finds the code and the remedy that belong to the server's words. A
// reason not known here counts as a wrong credential.
func denied(desc string) error {
	e := gatecast.Errorf(gatecast.Unauthenticated, "the server refused the app: %s", desc)
	switch low := strings.ToLower(desc); {
	case strings.Contains(low, "key not exist"):
		e.Remedy = "check the app key, and that this is the server it was made on"
	case strings.Contains(low, "expired"):
		e.Remedy = "set this computer's clock, or the server's"
	case strings.Contains(low, "sign"):
		e.Remedy = "check the app secret; it may have been rotated"
	case strings.Contains(low, "disabled"):
		e.Code = gatecast.Forbidden
		e.Remedy = "ask the operator to enable the app"
	case strings.Contains(low, "too many"):
		e.Code = gatecast.TooMany
		e.Remedy = "close other connections of this app, or raise its limit"
	}
	return &deniedError{err: e}
}
