package senselink

import (
	"slices"

	"github.com/gatecast/gatecast"
)

// class is what a field must be. Null is allowed everywhere and means absent.
type class uint8

const (
	opaque    class = iota // unknown to the protocol: not looked at
	text                   // a string
	photo                  // a string: the ID of a photo
	integer                // a number without fraction
	decimal                // any number
	groupList              // an array of groups
)

// field is what the protocol says about a field of a data object.
type field struct {
	class class
	known func(int64) bool // whether a value is in the protocol's table; nil if it has none
}

func fieldOf(k gatecast.Kind, name []byte) field {
	if k == gatecast.Alarm {
		return alarmField(name)
	}
	return recordField(name)
}

// recordField knows section 1.1 of the protocol, and the names that servers
// before V1.10 used.
func recordField(name []byte) field {
	switch string(name) {
	case "id", "userId", "direction", "receptionUserId", "signTime", "groupId":
		return field{class: integer}
	case "type", "userType":
		return field{integer, func(n int64) bool { return oneOf(n, 1, 2, 3) }}
	case "entryMode":
		return field{integer, func(n int64) bool { return 1 <= n && n <= 6 }}
	case "mask":
		return field{integer, func(n int64) bool { return 0 <= n && n <= 2 }}
	case "abnormalType":
		return field{integer, func(n int64) bool {
			return oneOf(n, 0, 10001, 10002, 10003, 20001, 20002, 30001, 30002, 30003, 40001, 50001)
		}}
	case "verifyScore", "bodyTemperature":
		return field{class: decimal}
	case "groups":
		return field{class: groupList}
	case "name", "receptionUserName", "deviceName", "sn", "signDate", "mobile", "icNumber", "idNumber",
		"jobNumber", "remark", "signTimeZone", "location", "deviceSN", "userName", "groupName":
		return field{class: text}
	case "avatar", "signAvatar", "signBgAvatar", "docPhoto", "originAvatar":
		return field{class: photo}
	}
	return field{}
}

// alarmField knows section 1.2 of the protocol.
func alarmField(name []byte) field {
	switch string(name) {
	case "id", "deviceId":
		return field{class: integer}
	case "level":
		return field{integer, func(n int64) bool { return oneOf(n, 1, 2) }}
	case "code":
		return field{integer, func(n int64) bool {
			return oneOf(n, 10001, 10002, 10003, 10004, 10005, 10006, 20001, 20002, 20003, 30001, 40001)
		}}
	case "status":
		return field{integer, func(n int64) bool { return oneOf(n, 1, 2, 3) }}
	case "resloveOption": // the vendor's spelling
		return field{integer, func(n int64) bool { return 0 <= n && n <= 3 }}
	case "description", "traceId", "deviceName", "deviceSn", "deviceLocation", "alarmTime", "releaseTime":
		return field{class: text}
	case "alarmPhoto":
		return field{class: photo}
	}
	return field{}
}

func oneOf(n int64, known ...int64) bool { return slices.Contains(known, n) }
