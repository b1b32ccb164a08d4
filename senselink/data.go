package senselink

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// data is what gatecast itself needs of a data object, and where that stands.
type data struct {
	start, end int64 // in the body
	present    set   // fields that must not be added because they are there
	id, status int64
	signTime   int64
	zone       jsontext.Value // signTimeZone, as it stands in the body
	alarmTime  jsontext.Value // likewise
	device     string
	oldDevice  string // "deviceSN" of old servers
	oldGroup   int64  // "groupId" of old servers
	groups     []int64
}

type set uint8

const (
	hasID set = 1 << iota
	hasSignDate
	hasGroups
)

// walkData reads the data object that dec stands before. Offsets of dec count
// from base in the body.
func (p *parser) walkData(dec *jsontext.Decoder, env *envelope, base int64) error {
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	d := &env.data
	d.start = base + dec.InputOffset() - 1
	for dec.PeekKind() != '}' {
		name, err := readName(dec)
		if err != nil {
			return p.syntax(err)
		}
		f := fieldOf(env.kind, name)
		switch f.class {
		case opaque:
			err = p.syntax(dec.SkipValue())
		case photo:
			err = p.photo(dec, base, name)
		default:
			err = p.field(dec, d, name, f)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	d.end = base + dec.InputOffset()
	return p.syntax(err)
}

// field reads and checks one field that the protocol knows.
func (p *parser) field(dec *jsontext.Decoder, d *data, name []byte, f field) error {
	switch string(name) {
	case "id":
		d.present |= hasID
	case "signDate":
		d.present |= hasSignDate
	}
	if f.class == groupList {
		d.present |= hasGroups
		return p.groups(dec, d)
	}
	v, err := dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return p.syntax(err)
	}
	switch f.class {
	case text:
		return p.text(d, name, v)
	case decimal:
		return p.decimal(name, v)
	}
	n, err := p.integer("/data/", name, v)
	if err != nil {
		return err
	}
	if f.known != nil && !f.known(n) {
		p.opts.Unknown(string(name))
	}
	switch string(name) {
	case "id":
		d.id = n
	case "status":
		d.status = n
	case "signTime":
		d.signTime = n
		_, err = p.unixTime("/data/signTime", v)
	case "groupId":
		d.oldGroup = n
	}
	return err
}

// text checks a string and keeps it if it matters here.
func (p *parser) text(d *data, name []byte, v jsontext.Value) error {
	if v.Kind() != '"' {
		return p.wrong("/data/"+string(name), v, "a string")
	}
	var to *string
	switch string(name) {
	case "sn", "deviceSn":
		to = &d.device
	case "deviceSN":
		to = &d.oldDevice
	case "signTimeZone":
		d.zone = v
		return nil
	case "alarmTime":
		d.alarmTime = v
		return nil
	default:
		return nil
	}
	// The events of a batch often come from one device.
	if string(v[1:len(v)-1]) == p.device {
		*to = p.device
		return nil
	}
	if *to = unquote(v); !validDevice(*to) {
		return p.fault("/data/"+string(name), v, "at most 128 bytes without control characters", "this cannot be the LDID of a device")
	}
	if len(*to) == len(v)-2 { // without escapes
		p.device = *to
	}
	return nil
}

// unquote returns what a JSON string says; no value at all says nothing.
func unquote(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, v) // the parser has accepted it
	return string(b)
}

// groups reads the person's groups: objects with an id each.
func (p *parser) groups(dec *jsontext.Decoder, d *data) error {
	if dec.PeekKind() != '[' {
		v, err := dec.ReadValue()
		if err != nil || v.Kind() == 'n' {
			return p.syntax(err)
		}
		return p.wrong("/data/groups", v, "an array of groups")
	}
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		if err := p.group(dec, d, i); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return p.syntax(err)
}

func (p *parser) group(dec *jsontext.Decoder, d *data, i int) error {
	path := func() string { return "/data/groups/" + strconv.Itoa(i) }
	if dec.PeekKind() != '{' {
		v, err := dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		return p.wrong(path(), v, "a group object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	for dec.PeekKind() != '}' {
		name, err := readName(dec)
		if err != nil {
			return p.syntax(err)
		}
		v, err := dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		if v.Kind() == 'n' {
			continue
		}
		switch string(name) {
		case "id":
			var n int64
			if n, err = p.integer(path()+"/", name, v); err == nil {
				d.groups = append(d.groups, n)
			}
		case "type":
			var n int64
			if n, err = p.integer(path()+"/", name, v); err == nil && !oneOf(n, 1, 2, 5) {
				p.opts.Unknown("groups.type")
			}
		case "name":
			if v.Kind() != '"' {
				err = p.wrong(path()+"/name", v, "a string")
			}
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return p.syntax(err)
}

// integer reads a whole number of 64 bits.
func (p *parser) integer(parent string, name []byte, v jsontext.Value) (int64, error) {
	const want = "a whole number"
	if v.Kind() != '0' {
		return 0, p.wrong(parent+string(name), v, want)
	}
	if bytes.ContainsAny(v, ".eE") {
		return 0, p.fault(parent+string(name), v, want, "the number has a fraction or an exponent")
	}
	n, ok := parseInt(v)
	if !ok {
		return 0, p.fault(parent+string(name), v, "a whole number of 64 bits", "the number is out of range")
	}
	return n, nil
}

// parseInt reads a JSON number without fraction and exponent.
func parseInt(v []byte) (int64, bool) {
	if len(v) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// decimal checks that a number fits the float64 that every client reads it as.
func (p *parser) decimal(name []byte, v jsontext.Value) error {
	if v.Kind() != '0' {
		return p.wrong("/data/"+string(name), v, "a number")
	}
	if len(v) < 300 && !bytes.ContainsAny(v, "eE") {
		return nil
	}
	if _, err := strconv.ParseFloat(string(v), 64); err != nil {
		return p.fault("/data/"+string(name), v, "a number of double precision", "the number is out of range")
	}
	return nil
}

// build makes the event of a complete envelope.
func (p *parser) build(env *envelope) (gatecast.Event, error) {
	if env.kind == 0 {
		e := gatecast.Errorf(gatecast.Invalid, "the event has no eventType")
		e.Remedy = `send {"eventType":30000,"data":{…}}`
		e.At = &gatecast.Place{Index: p.index, Path: "/eventType", Found: "nothing", Expected: "30000 (record) or 30100 (alarm)"}
		return gatecast.Event{}, e
	}
	if !env.dataRead {
		e := gatecast.Errorf(gatecast.Invalid, "the event has no data")
		e.At = &gatecast.Place{Index: p.index, Path: "/data", Found: "nothing", Expected: "an object"}
		return gatecast.Event{}, e
	}
	return p.finish(env), nil
}

// catchUp reads the data of an envelope whose kind stands behind it.
func (p *parser) catchUp(env *envelope) error {
	if env.kind == 0 || env.dataRead || env.end == 0 {
		return nil
	}
	env.dataRead = true
	raw := bytes.NewBuffer(p.body[env.start:env.end])
	return p.walkData(jsontext.NewDecoder(raw), env, env.start)
}
