package senselink

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// TraitsOf reads the values that subscriptions choose by out of e.Data, in one
// pass and without keeping anything of it. They may be numbers or strings of
// digits; anything else, a number with a fraction or an exponent included,
// counts as absent. Servers before V1.10 called type "userType"; where both
// stand, type counts.
//
// Data is expected to be what a [Decoder] has let in. Of what is no JSON, it
// reads as much as it can make out.
func TraitsOf(e *gatecast.Event) gatecast.Traits {
	var t gatecast.Traits
	switch e.Kind {
	case gatecast.Record:
		older := 0
		members(e.Data, func(name, value []byte) {
			switch string(name) {
			case "type":
				t.UserType = wholeNumber(value)
			case "userType":
				older = wholeNumber(value)
			case "abnormalType":
				t.Abnormal = wholeNumber(value)
			}
		})
		if t.UserType == 0 {
			t.UserType = older
		}
	case gatecast.Alarm:
		members(e.Data, func(name, value []byte) {
			switch string(name) {
			case "code":
				t.AlarmCode = wholeNumber(value)
			case "level":
				t.AlarmLevel = wholeNumber(value)
			}
		})
	}
	return t
}

// members calls visit with each member of a JSON object, until the object or
// what can be understood of it ends. A decoder would check once more what has
// been checked at the door, at ten times the price and for each event.
func members(object []byte, visit func(name, value []byte)) {
	rest, ok := bytes.CutPrefix(trim(object), []byte("{"))
	for ok {
		name, after := token(trim(rest))
		if len(name) < 2 || name[0] != '"' {
			return // the end, too
		}
		if rest, ok = bytes.CutPrefix(trim(after), []byte(":")); !ok {
			return
		}
		value, after := token(trim(rest))
		if len(value) == 0 {
			return
		}
		visit(plain(name), value)
		rest, ok = bytes.CutPrefix(trim(after), []byte(","))
	}
}

// token cuts off the value that b begins with: a string, an object or array with
// all that is in it, or whatever stands before the next delimiter. It returns
// nothing if the value does not end.
func token(b []byte) (value, rest []byte) {
	open := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := quoted(b[i:])
			if n == 0 {
				return nil, nil
			}
			if i += n - 1; open == 0 {
				return b[:i+1], b[i+1:]
			}
		case '{', '[':
			open++
		case '}', ']':
			if open == 0 {
				return b[:i], b[i:]
			}
			if open--; open == 0 {
				return b[:i+1], b[i+1:]
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if open == 0 {
				return b[:i], b[i:]
			}
		}
	}
	return nil, nil
}

// quoted returns the length of the string that b begins with, or 0 if it does
// not end.
func quoted(b []byte) int {
	for end := 1; ; end++ {
		n := bytes.IndexByte(b[end:], '"')
		if n < 0 {
			return 0
		}
		end += n
		slashes := 0
		for b[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 { // they escape each other, and not the quote
			return end + 1
		}
	}
}

// plain returns what a name says.
func plain(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, name) // what it could not read is no name of ours
	return b
}

// wholeNumber reads a number or a string of digits; anything else is 0.
func wholeNumber(v []byte) int {
	n := longNumber(v)
	if int64(int(n)) != n {
		return 0
	}
	return int(n)
}

// longNumber is wholeNumber for 64 bits wherever it runs.
func longNumber(v []byte) int64 {
	text := v
	if v[0] == '"' {
		if text = v[1 : len(v)-1]; len(text) == 0 || text[0] < '0' || text[0] > '9' {
			return 0
		}
	}
	if len(text) > len("-9223372036854775808") {
		return 0
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// trim cuts off white space. Between the tokens of most events there is none.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
