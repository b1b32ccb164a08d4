package gatecast

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MQTTUser is whom a device, or a gateway for many devices, signs in as over
// MQTT.
type MQTTUser struct {
	Name     string    // 1 to 64 of a-z, A-Z, 0-9, '-' and '_'; never changes
	Devices  []string  // whose events it may send; see [MQTTUserSpec]
	Password [32]byte  // SHA-256 of the password, which nobody keeps
	Created  time.Time // UTC, to the millisecond
	Rotated  time.Time // when it got this password
}

// May reports whether the user may send events of the device with this LDID.
func (u *MQTTUser) May(device string) bool {
	return slices.ContainsFunc(u.Devices, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return device == pattern || open && strings.HasPrefix(device, prefix)
	})
}

// MQTTUserSpec is what somebody asks for who wants a new user for MQTT.
type MQTTUserSpec struct {
	Name string
	// Devices are 1 to 1000 LDIDs. One that ends in '*' stands for all that begin
	// with what is before it; "*" alone is every device.
	Devices []string
}

const (
	maxMQTTUserName = 64
	maxMQTTDevices  = 1000
	maxLDID         = 128
)

// ValidMQTTUserName reports whether name is 1 to 64 of a-z, A-Z, 0-9, '-' and
// '_'.
func ValidMQTTUserName(name string) bool {
	foreign := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	return name != "" && len(name) <= maxMQTTUserName && !strings.ContainsFunc(name, foreign)
}

// Validate returns an Invalid error that names the first field which cannot
// stand, and what could stand there, or nil.
func (s MQTTUserSpec) Validate() error {
	if !ValidMQTTUserName(s.Name) {
		return invalidField("/name", strconv.QuoteToASCII(clip(s.Name, 40)), "1 to 64 of a-z, A-Z, 0-9, '-' and '_'", "this cannot be the name of a user")
	}
	const want = "1 to 1000 LDIDs, or beginnings of them with a '*' behind"
	switch n := len(s.Devices); {
	case n == 0:
		return invalidField("/devices", "[]", want, "a user without a device may send nothing")
	case n > maxMQTTDevices:
		return invalidField("/devices", strconv.Itoa(n)+" devices", want, "these are too many devices for one user")
	}
	for i, d := range s.Devices {
		path := "/devices/" + strconv.Itoa(i)
		if !validDevicePattern(d) {
			return invalidField(path, strconv.QuoteToASCII(clip(d, 40)), want, "this cannot be a device in a topic")
		}
		if slices.Contains(s.Devices[:i], d) {
			return invalidField(path, clip(d, 40), want, "the device is listed twice")
		}
	}
	return nil
}

// validDevicePattern holds to what one level of a topic can be.
func validDevicePattern(s string) bool {
	body := strings.TrimSuffix(s, "*")
	return s != "" && len(s) <= maxLDID && utf8.ValidString(s) && !strings.ContainsAny(body, "*/+#") && !strings.ContainsFunc(body, unicode.IsControl)
}
