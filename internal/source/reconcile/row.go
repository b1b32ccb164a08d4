package reconcile

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// translate turns a row of a list into data as the push has it: names in camel
// case and as section 1 of the protocol has them, numbers and texts of the types
// it says. The order of the members stays, and what is not known passes through.
// Of two members that become the same, the first stays. Lists have null where a
// push has an empty text, 0 or nothing; strict clients do not expect that. What is
// no JSON object is an error.
func translate(kind gatecast.Kind, row jsontext.Value, zone *time.Location) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(row))
	if dec.PeekKind() != '{' {
		return nil, gatecast.Errorf(gatecast.Malformed, "the row is no JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(row)+32), '{')
	had := make(map[string]bool)
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := pushName(kind, token.String())
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if value = pushValue(kind, name, value, zone); had[name] || value == nil {
			continue
		}
		had[name] = true
		if len(out) > 1 {
			out = append(out, ',')
		}
		if out, err = jsontext.AppendQuote(out, name); err != nil {
			return nil, err
		}
		out = append(append(out, ':'), value...)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

// pushName returns what the push calls a member of a row.
func pushName(kind gatecast.Kind, name string) string {
	name = camel(name)
	if kind == gatecast.Alarm {
		switch name {
		case "deviceLdid", "deviceSN", "sn":
			return "deviceSn"
		case "resolveOption":
			return "resloveOption" // the vendor's spelling
		case "location":
			return "deviceLocation"
		}
		return name
	}
	switch name {
	case "capturePicture":
		return "signAvatar"
	case "captureBgPicture":
		return "signBgAvatar"
	case "deviceLdid", "deviceSn", "deviceSN":
		return "sn"
	case "userName":
		return "name"
	case "userType":
		return "type"
	}
	return name
}

// camel turns snake_case into camelCase. A name without '_' stays.
func camel(name string) string {
	head, rest, found := strings.Cut(name, "_")
	if !found || head == "" {
		return name
	}
	var b strings.Builder
	b.WriteString(head)
	for part := range strings.SplitSeq(rest, "_") {
		if part == "" {
			continue
		}
		if c := part[0]; 'a' <= c && c <= 'z' {
			part = string(c-'a'+'A') + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

// pushValue returns a value as the push has it, or nil if it says nothing. A
// value that cannot be turned into what it should be stays: whoever checks the
// event has words for it.
func pushValue(kind gatecast.Kind, name string, v jsontext.Value, zone *time.Location) jsontext.Value {
	text, is := plain(v), typeOf(kind, name)
	if v.Kind() == 'n' {
		return is.empty()
	}
	switch is {
	case anyType, array:
	case numeric, optional:
		return asNumber(v, text)
	case unixTime:
		return asUnix(v, text, zone)
	case textual:
		if v.Kind() == '0' {
			return jsontext.Value(strconv.Quote(text))
		}
	case clockTime:
		return asClock(v, text, zone)
	}
	return v
}

// valueType is what a value must be. Servers of different age write them
// differently.
type valueType int

const (
	anyType   valueType = iota
	optional            // a number that a push has only if the device measures it
	numeric             // a number; some write it as a string
	textual             // a string; some write it as a number
	array               // an array
	unixTime            // Unix seconds; some write milliseconds, or date and time
	clockTime           // date and time; some write Unix time
)

// empty is what a push has where there is nothing; nil: it has no such member.
func (t valueType) empty() jsontext.Value {
	switch t {
	case numeric:
		return jsontext.Value("0")
	case textual, clockTime:
		return jsontext.Value(`""`)
	case array:
		return jsontext.Value("[]")
	case anyType, optional, unixTime:
	}
	return nil
}

func typeOf(kind gatecast.Kind, name string) valueType {
	if kind == gatecast.Alarm {
		switch name {
		case "level", "code", "status", "deviceId", "resloveOption":
			return numeric
		case "description", "traceId", "deviceName", "deviceSn", "deviceLocation", "alarmPhoto":
			return textual
		case "alarmTime", "releaseTime":
			return clockTime
		case "id":
			return optional
		}
		return anyType
	}
	switch name {
	case "userId", "direction", "type", "verifyScore", "receptionUserId", "entryMode", "abnormalType":
		return numeric
	case "name", "receptionUserName", "deviceName", "sn", "signDate", "avatar", "signAvatar", "signBgAvatar", "mobile",
		"icNumber", "idNumber", "jobNumber", "remark", "signTimeZone", "docPhoto", "location":
		return textual
	case "groups":
		return array
	case "signTime":
		return unixTime
	case "id", "bodyTemperature", "mask", "companyId":
		return optional
	}
	return anyType
}

// asNumber turns a string that says a number into that. An empty one says nothing.
func asNumber(v jsontext.Value, text string) jsontext.Value {
	if v.Kind() != '"' {
		return v
	}
	if text == "" {
		return nil
	}
	if n := jsontext.Value(text); n.Kind() == '0' && n.IsValid() {
		return n
	}
	return v
}

// Unix times from milliFrom on are milliseconds: as seconds they would lie
// beyond the year 5138. From milliEnd on they are neither.
const (
	milliFrom = 100_000_000_000
	milliEnd  = 1000 * milliFrom
)

// asUnix turns what says a time into Unix seconds.
func asUnix(v jsontext.Value, text string, zone *time.Location) jsontext.Value {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < milliEnd {
		if n >= milliFrom {
			n /= 1000
		}
		return jsontext.Value(strconv.FormatInt(n, 10))
	}
	if v.Kind() == '"' && text == "" {
		return nil
	}
	if t, err := time.ParseInLocation(time.DateTime, text, zone); err == nil {
		return jsontext.Value(strconv.FormatInt(t.Unix(), 10))
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return jsontext.Value(strconv.FormatInt(t.Unix(), 10))
	}
	return v
}

// asClock turns Unix time into date and time.
func asClock(v jsontext.Value, text string, zone *time.Location) jsontext.Value {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n >= milliEnd {
		return v
	}
	if n >= milliFrom {
		n /= 1000
	}
	if n <= 0 {
		return jsontext.Value(`""`)
	}
	return jsontext.Value(strconv.Quote(time.Unix(n, 0).In(zone).Format(time.DateTime)))
}
