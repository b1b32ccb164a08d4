package mqtt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// address is what the topic of a message says: "gatecast/{device}/record" or
// "gatecast/{device}/alarm".
type address struct {
	device string
	kind   gatecast.Kind
}

// readTopic reports false for a topic that no event can come under.
func readTopic(topic string) (address, bool) {
	rest, ours := strings.CutPrefix(topic, "gatecast/")
	device, kind, two := strings.Cut(rest, "/")
	a := address{device: device}
	switch kind {
	case "record":
		a.kind = gatecast.Record
	case "alarm":
		a.kind = gatecast.Alarm
	}
	return a, ours && two && a.kind != 0 && device != ""
}

// field is where a data object names its device.
func (a address) field() string {
	if a.kind == gatecast.Alarm {
		return "deviceSn"
	}
	return "sn"
}

// origin is the name of an address in the quarantine, from which [parseOrigin]
// reads it again. An LDID that is too long for that, or no text for a list,
// leaves the door's own.
func (a address) origin() string {
	name := Source + ":" + a.device + "/" + a.kind.String()
	if len(name) > maxOrigin || strings.ContainsFunc(name, unicode.IsControl) {
		return Source
	}
	return name
}

// maxOrigin is how long a source's name in the quarantine may be.
const maxOrigin = 64

func parseOrigin(name string) (address, bool) {
	rest, ours := strings.CutPrefix(name, Source+":")
	if !ours {
		return address{}, false
	}
	return readTopic("gatecast/" + rest)
}

// understand reads the one event that a payload holds: a data object alone, or
// one in either of the vendor's envelopes (see [senselink.Decoder]). What an
// envelope does not say the topic does, and what both say must be the same.
// Errors are of the codes Malformed, Invalid and TooLarge: it will never be
// understood.
func (s *Server) understand(a address, payload []byte) (gatecast.Event, error) {
	payload = bytes.Trim(bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf")), " \t\r\n")
	whole, data, err := complete(a, payload)
	if err != nil {
		return gatecast.Event{}, err
	}
	now := s.opts.Now()
	events, err := s.decoder.Decode(bytes.NewReader(whole), senselink.JSON, now)
	if err != nil {
		return gatecast.Event{}, err
	}
	if len(events) != 1 {
		return gatecast.Event{}, noObject()
	}
	e := events[0]
	switch {
	case e.Kind != a.kind:
		return gatecast.Event{}, contradiction("/eventType", e.Kind.String(), a.kind.String(), "the topic says another kind of event")
	case e.Device != a.device:
		return gatecast.Event{}, contradiction("/data/"+a.field(), strconv.QuoteToASCII(e.Device), strconv.QuoteToASCII(a.device), "the topic names another device")
	}
	e.ID = identity(a, e.ID, outsideOf(payload, data))
	return e, nil
}

func noObject() error {
	e := gatecast.Errorf(gatecast.Invalid, "the payload is not one JSON object")
	e.Remedy = "publish one event in one message"
	return e
}

func contradiction(path, found, want, message string) error {
	e := gatecast.Errorf(gatecast.Invalid, "%s: %s, the message %s", message, want, found)
	e.At = &gatecast.Place{Index: -1, Path: path, Found: found, Expected: want}
	return e
}

// complete returns a payload as an envelope that says everything, and the data
// object as it came.
func complete(a address, payload []byte) (whole, data []byte, err error) {
	if len(payload) == 0 || payload[0] != '{' {
		return nil, nil, noObject()
	}
	dec := jsontext.NewDecoder(bytes.NewReader(payload))
	first, err := dec.ReadValue()
	if err != nil {
		return payload, nil, nil // the decoder says what is wrong with it, and where
	}
	if len(first) < len(payload) {
		return nil, nil, noObject()
	}
	kind := `{"eventType":` + strconv.Itoa(int(a.kind))
	env := shapeOf(payload)
	if !env.envelope() {
		return slicesOf(kind+`,"data":`, nameDevice(a, payload), "}"), payload, nil
	}
	if env.data.kind() != '{' {
		return payload, nil, nil
	}
	data = env.data.of(payload)
	whole = slicesOf(string(payload[:env.data.start]), nameDevice(a, data), string(payload[env.data.end:]))
	if !env.says {
		whole = slicesOf(kind+",", whole[1:], "")
	}
	return whole, data, nil
}

func slicesOf(before string, middle []byte, after string) []byte {
	out := make([]byte, 0, len(before)+len(middle)+len(after))
	out = append(out, before...)
	out = append(out, middle...)
	return append(out, after...)
}

// span is where a value stands.
type span struct {
	start, end int
	first      jsontext.Kind // of the value; zero: there is none
}

func (v span) kind() jsontext.Kind     { return v.first }
func (v span) of(object []byte) []byte { return object[v.start:v.end] }

// shape is what tells an envelope from a data object.
type shape struct {
	data   span
	says   bool // eventType or code is there, and not null
	posted bool // eventType or messageId is there: no data object has one
}

// envelope reports whether an object is one. The protocol's data objects have no
// member "data"; "code" is in alarms too.
func (s shape) envelope() bool { return s.data.kind() == '{' || s.posted }

// shapeOf looks at the members of an object that is valid JSON.
func shapeOf(object []byte) shape {
	var s shape
	eachMember(object, func(name string, v span) {
		switch name {
		case "data":
			s.data = v
		case "eventType":
			s.says, s.posted = s.says || v.kind() != 'n', true
		case "code":
			s.says = s.says || v.kind() != 'n'
		case "messageId":
			s.posted = true
		}
	})
	return s
}

// eachMember tells the members of an object that is valid JSON.
func eachMember(object []byte, tell func(name string, v span)) {
	dec := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := dec.ReadToken(); err != nil {
		return
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return
		}
		text := name.String()
		v, err := dec.ReadValue()
		if err != nil {
			return
		}
		end := int(dec.InputOffset())
		tell(text, span{end - len(v), end, v.Kind()})
	}
}

// nameDevice returns a data object with its device in it. It changes nothing
// in one that names a device.
func nameDevice(a address, data []byte) []byte {
	var own span
	old := false
	members := false
	eachMember(data, func(name string, v span) {
		members = true
		switch {
		case name == a.field():
			own = v
		case name == "deviceSN" && a.kind == gatecast.Record: // of old servers
			old = v.kind() == '"' && v.end-v.start > 2
		}
	})
	empty := own.kind() == 'n' || own.kind() == '"' && own.end-own.start == 2
	if old || own.kind() != 0 && !empty {
		return data
	}
	name, err := jsontext.AppendQuote(nil, a.device)
	if err != nil {
		return data // it cannot be: a topic is UTF-8
	}
	if empty {
		return slicesOf(string(data[:own.start]), name, string(data[own.end:]))
	}
	last := len(bytes.TrimRight(data[:len(data)-1], " \t\r\n"))
	comma := ","
	if !members {
		comma = ""
	}
	return slicesOf(string(data[:last]), slicesOf(comma+`"`+a.field()+`":`, name, ""), string(data[last:]))
}

// outside is what an event is recognized by besides its number.
type outside struct {
	message string // its messageId
	numbers senselink.Numbers
	payload []byte // all of it
}

func outsideOf(payload, data []byte) outside {
	o := outside{payload: payload, numbers: senselink.NumbersOf(data)}
	eachMember(payload, func(name string, v span) {
		if name == "messageId" && v.kind() == '"' && len(data) != len(payload) {
			text, _ := jsontext.AppendUnquote(nil, v.of(payload)) // the decoder has accepted it
			o.message = string(text)
		}
	})
	return o
}

// identity is the ID of an event: the same each time a device sends the message,
// or the journal would hold it twice. decoded is the decoder's, which is made
// anew each time for an event without a number. A messageId is its device's
// own: two devices may count alike.
func identity(a address, decoded string, o outside) string {
	switch {
	case o.message != "":
		if id := Source + ":" + a.device + ":" + o.message; len(id) <= 128 && !strings.ContainsAny(a.device, " :#") {
			return id
		}
		return hashed("message", a.device, o.message)
	case o.numbers.ID > 0:
		return decoded
	}
	return hashed(a.kind.String(), a.device, string(o.payload))
}

// hashed is an ID of what would be too long for one.
func hashed(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return Source + ":#" + hex.EncodeToString(sum[:16])
}
