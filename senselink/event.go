package senselink

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// envelope is what stands around a data object, and where that is.
type envelope struct {
	kind       gatecast.Kind // zero until eventType or code was read
	messageID  string
	sendTime   time.Time
	start, end int64 // of data in the body; zero until it was met
	data       data
	dataRead   bool
}

// event reads one event and appends it to p.events.
func (p *parser) event(dec *jsontext.Decoder) error {
	kind := dec.PeekKind()
	if kind != '{' {
		v, err := dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		return p.wrong("", v, "an object with eventType and data")
	}
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	start := dec.InputOffset() - 1
	var env envelope
	p.photos = nil
	for dec.PeekKind() != '}' {
		if err := p.member(dec, &env); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	if err := p.catchUp(&env); err != nil {
		return err
	}
	if p.beside != nil {
		if err := p.match(env.kind); err != nil {
			return err
		}
	}
	if err := p.withinLimits(p.body[start:dec.InputOffset()]); err != nil {
		return err
	}
	e, err := p.build(&env)
	if err != nil {
		return err
	}
	if p.events == nil {
		p.events = make([]gatecast.Event, 0, p.expected(int(dec.InputOffset()-start)))
	}
	p.events = append(p.events, e)
	return nil
}

// expected returns how many events the body holds if all are about as large as
// the first one.
func (p *parser) expected(first int) int {
	if p.index < 0 {
		return 1
	}
	return min(len(p.body)/first+1, p.opts.MaxBatch)
}

// member reads one member of the envelope.
func (p *parser) member(dec *jsontext.Decoder, env *envelope) error {
	name, err := readName(dec)
	if err != nil {
		return p.syntax(err)
	}
	switch string(name) {
	case "eventType", "code":
		v, err := dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		return p.setKind(env, name, v)
	case "messageId":
		v, err := dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		return p.setMessageID(env, v)
	case "sendTime":
		v, err := dec.ReadValue()
		if err != nil || v.Kind() == 'n' {
			return p.syntax(err)
		}
		env.sendTime, err = p.unixTime("/sendTime", v)
		return err
	case "data":
		return p.readData(dec, env)
	}
	return p.syntax(dec.SkipValue())
}

func (p *parser) setKind(env *envelope, name []byte, v jsontext.Value) error {
	const want = "30000 (record) or 30100 (alarm), as a number or a string"
	if v.Kind() == 'n' {
		return nil
	}
	text := string(v)
	if v.Kind() == '"' {
		text = unquote(v)
	} else if v.Kind() != '0' {
		return p.wrong("/"+string(name), v, want)
	}
	n, err := strconv.ParseInt(text, 10, 32)
	kind := gatecast.Kind(n)
	if err != nil || !kind.Valid() {
		return p.fault("/"+string(name), v, want, "there is no such event type")
	}
	if env.kind != 0 && env.kind != kind {
		return p.fault("/"+string(name), v, strconv.Itoa(int(env.kind)), "eventType and code contradict each other")
	}
	env.kind = kind
	return nil
}

func (p *parser) setMessageID(env *envelope, v jsontext.Value) error {
	const want = "a string of 1 to 128 bytes without spaces and control characters"
	if v.Kind() == 'n' {
		return nil
	}
	if v.Kind() != '"' {
		return p.wrong("/messageId", v, want)
	}
	text := unquote(v)
	if !validID(text) {
		return p.fault("/messageId", v, want, "the message ID is too long or has characters that cannot be part of one")
	}
	env.messageID = text
	return nil
}

// readData reads the data object. Its fields mean different things in records
// and alarms: if the kind is not known yet, they are read when the envelope is
// complete (see catchUp), at the price of a second pass.
func (p *parser) readData(dec *jsontext.Decoder, env *envelope) error {
	if dec.PeekKind() != '{' {
		v, err := dec.ReadValue()
		if err != nil || v.Kind() == 'n' {
			return p.syntax(err)
		}
		return p.wrong("/data", v, "an object")
	}
	if env.kind == 0 {
		v, err := dec.ReadValue()
		env.end = dec.InputOffset()
		env.start = env.end - int64(len(v))
		return p.syntax(err)
	}
	env.dataRead = true
	return p.walkData(dec, env, 0)
}

// withinLimits checks the size and the nesting of one event, without the photos
// that will not stay in it. Reading it first is safe: the body is bounded, and
// the parser bounds its own depth.
func (p *parser) withinLimits(raw []byte) error {
	if n := len(raw) - shrinkage(p.photos); n > p.opts.MaxEvent {
		return limit(gatecast.TooLarge, p.place(""), "ingest.max_event",
			"the event has %d bytes, more than %d", n, p.opts.MaxEvent)
	}
	if d := depth(raw); d > p.opts.MaxDepth {
		return limit(gatecast.Invalid, p.place(""), "ingest.max_depth",
			"the event nests %d deep, deeper than %d", d, p.opts.MaxDepth)
	}
	return nil
}

// depth returns how deep the objects and arrays of valid JSON nest.
func depth(raw []byte) int {
	deepest, now := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		}
	}
	return deepest
}

// readName reads the name of an object member. It usually points into the
// body, and stays valid as long as that does.
func readName(dec *jsontext.Decoder) ([]byte, error) {
	v, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	return jsontext.AppendUnquote(nil, v)
}

func (p *parser) place(path string) *gatecast.Place {
	return &gatecast.Place{Index: p.index, Path: path}
}

// fault is an Invalid error about the value v at path.
func (p *parser) fault(path string, v jsontext.Value, expected, format string, args ...any) error {
	e := gatecast.Errorf(gatecast.Invalid, format, args...)
	e.At = &gatecast.Place{Index: p.index, Path: path, Found: shorten(string(v), 60), Expected: expected}
	return e
}

// wrong is an Invalid error about the type of the value v at path.
func (p *parser) wrong(path string, v jsontext.Value, expected string) error {
	names := map[jsontext.Kind]string{
		'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string",
		'0': "a number", '{': "an object", '[': "an array",
	}
	return p.fault(path, v, expected, "expected %s, found %s", expected, names[v.Kind()])
}

// shorten cuts s to at most n bytes, between characters, and marks the cut.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := 0
	for i := range s {
		if i > n {
			break
		}
		cut = i
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
}
