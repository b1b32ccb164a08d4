package senselink

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// AlarmOffline is the code of the alarm that a device is offline.
const AlarmOffline = 30001

// Origin is what an event tells of the device that it came from. What the data
// does not hold is empty or zero.
type Origin struct {
	Name     string
	Place    string
	DeviceID int64  // the vendor's number; of alarms only
	Code     int    // of an alarm
	Status   int    // of an alarm: 1 active, 2 being released, 3 released
	Trace    string // of an alarm
}

// OriginOf reads it out of e.Data, by the rules of [TraitsOf].
func OriginOf(e *gatecast.Event) Origin {
	var o Origin
	alarm := e.Kind == gatecast.Alarm
	members(e.Data, func(name, value []byte) {
		switch string(name) {
		case "deviceName":
			o.Name = words(value)
		case "location":
			if !alarm {
				o.Place = words(value)
			}
		}
		if !alarm {
			return
		}
		switch string(name) {
		case "deviceLocation":
			o.Place = words(value)
		case "deviceId":
			o.DeviceID = longNumber(value)
		case "code":
			o.Code = wholeNumber(value)
		case "status":
			o.Status = wholeNumber(value)
		case "traceId":
			o.Trace = words(value)
		}
	})
	return o
}

// words returns what a JSON string says; anything else says nothing.
func words(v []byte) string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, v) // as far as it could be read
	return string(b)
}
