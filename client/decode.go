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
	connected  bool   // it says that we are in
	unreadable bool   // nobody knows what it says
	event      *Event // it is a push
	data       []byte // of that push, as it came
	number     number // of that push; zero if it has none
	begin      *begin // it says where the server begins
}

// number is what a push carries for those who asked for it.
type number struct {
	Position
	replay, late bool
}

// begin is where a connection's pushes begin.
type begin struct {
	start Position            // after this
	head  gatecast.Seq        // the newest event there was
	gap   *gatecast.GapNotice // that is not where we wanted to
	raw   []byte
}

// envelope is the outside of every message from the server. What is not the
// vendor's stays raw, so that nothing in its place makes a message unreadable.
type envelope struct {
	Code   int             `json:"code"`
	Desc   string          `json:"desc"`
	Data   json.RawMessage `json:"data"`
	Seq    json.RawMessage `json:"seq"`
	Epoch  json.RawMessage `json:"epoch"`
	Replay json.RawMessage `json:"replay"`
	Late   json.RawMessage `json:"late"`
}

// number returns zero if seq or epoch are missing or of a strange form.
func (env *envelope) number() number {
	var n number
	errSeq := json.Unmarshal(env.Seq, &n.Seq)
	errEpoch := json.Unmarshal(env.Epoch, &n.Epoch)
	if errSeq != nil || errEpoch != nil || n.Seq == 0 || n.Epoch == "" {
		return number{}
	}
	n.replay, n.late = string(env.Replay) == "true", string(env.Late) == "true"
	return n
}

// begin reads the data of CodeResumed and CodeGap; nil if it cannot.
func (env *envelope) begin(text []byte) *begin {
	var data struct {
		After  gatecast.Seq    `json:"after"`
		From   gatecast.Seq    `json:"from"`
		To     gatecast.Seq    `json:"to"`
		Reason gatecast.Reason `json:"reason"`
		Head   gatecast.Seq    `json:"head"`
		Epoch  string          `json:"epoch"`
	}
	if err := json.Unmarshal(env.Data, &data); err != nil || data.Epoch == "" {
		return nil
	}
	b := &begin{start: Position{Epoch: data.Epoch, Seq: data.After}, head: data.Head, raw: text}
	if env.Code == senselink.CodeGap {
		b.start.Seq = data.To
		b.gap = &gatecast.GapNotice{From: data.From, To: data.To, Reason: data.Reason}
	}
	return b
}

// decode reads one message. The only error is a denial. A message that cannot
// be read, or has a code not known here, is logged and left to the caller: for
// Events, one bad message must not cost the connection, and with it all that
// follow.
func (c *Client) decode(text []byte) (message, error) {
	var env envelope
	if err := json.Unmarshal(text, &env); err != nil {
		c.opts.Log.Warn("message is not JSON", "bytes", len(text))
		return message{unreadable: true}, nil
	}
	switch env.Code {
	case senselink.CodeConnected:
		return message{connected: true}, nil
	case senselink.CodeDenied:
		return message{}, denied(env.Desc)
	case int(gatecast.Record), int(gatecast.Alarm):
		e := &Event{Event: c.event(text, env), Raw: text}
		return message{event: e, data: env.Data, number: env.number(), connected: true}, nil
	case senselink.CodeResumed, senselink.CodeGap:
		b := env.begin(text)
		return message{begin: b, unreadable: b == nil, connected: true}, nil
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
	case strings.HasPrefix(low, "parameter "): // of a Subscription; asking again does not make it right
		e.Code, e.Message = gatecast.Invalid, "the server refused the subscription: "+desc
		return e
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
