package standin

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// member is one member of a JSON object, its value as it came.
type member struct {
	name  string
	value jsontext.Value
}

// object is a JSON object that keeps the order of its members, for the
// vendor's servers have one and a client may show it to people.
type object []member

// readObject reads an object; what is none is a Malformed error.
func readObject(text []byte) (object, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if dec.PeekKind() != '{' {
		return nil, gatecast.Errorf(gatecast.Malformed, "this is no JSON object")
	}
	o, err := readMembers(dec)
	if err != nil {
		e := gatecast.Errorf(gatecast.Malformed, "the object is not valid JSON")
		e.Cause = err
		return nil, e
	}
	return o, nil
}

func readMembers(dec *jsontext.Decoder) (object, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	o := object{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		value = value.Clone()
		if err := value.Compact(); err != nil {
			return nil, err
		}
		o = append(o, member{text, value})
	}
	_, err := dec.ReadToken()
	return o, err
}

// get returns a value, or nil if there is none or it is null.
func (o object) get(name string) jsontext.Value {
	for _, m := range o {
		if m.name == name && m.value.Kind() != 'n' {
			return m.value
		}
	}
	return nil
}

// first returns the first value that there is.
func (o object) first(names ...string) jsontext.Value {
	for _, name := range names {
		if v := o.get(name); v != nil {
			return v
		}
	}
	return nil
}

// number returns a whole number, or 0.
func (o object) number(name string) int64 {
	n, err := strconv.ParseInt(string(o.get(name)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// text returns a string, or "".
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// with returns o with a number in the place of that value, or in front.
func (o object) with(name string, n int64) object {
	value := jsontext.Value(strconv.FormatInt(n, 10))
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(object{{name, value}}, o...)
}

// renamed returns a copy whose member from is called to.
func (o object) renamed(from, to string) object {
	other := make(object, len(o))
	copy(other, o)
	for i := range other {
		if other[i].name == from {
			other[i].name = to
		}
	}
	return other
}

// bytes writes the object without white space.
func (o object) bytes() []byte {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, m.name) // fails only on what is not UTF-8, which no JSON has
		b = append(append(b, ':'), m.value...)
	}
	return append(b, '}')
}

func quoted(s string) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, s) // replaces what is not UTF-8, and says so
	return b
}
