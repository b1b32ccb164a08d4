// Package load is what a measurement sends: events that can be told apart at
// first sight, and the connections they are posted over.
//
// It owns the form of the events and the timetable of sending. It never looks
// at what comes out at the other end, but for [Number], which finds an event's
// number in a push. Start at [Events] and [Dial].
package load

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"strconv"
)

// Events makes the events of one run. They are records as devices send them,
// of one size, numbered from 1 by their data.id, so that a reader sees in the
// first bytes of a push which one it is and whether it belongs to this run.
type Events struct {
	run     uint64 // first six digits of each ID, above 100000
	size    int    // bytes of the push's WebSocket frame
	devices uint64 // that they come from; at least one
}

// Frame sizes: what a push with the usual fields has, and what it cannot go
// below.
const (
	DefaultSize = 1004
	MinSize     = 700
)

// digits after the run in data.id: a run can have so many events, and the whole
// stays below 2^53, where JavaScript's numbers end.
const (
	digits = 9
	span   = 1_000_000_000
)

// NewEvents begins a run of events whose pushes have size bytes, at least
// MinSize, with the WebSocket header.
func NewEvents(size int) *Events {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (package crypto/rand)
	return &Events{run: 100_000 + binary.NativeEndian.Uint64(b[:])%900_000, size: max(size, MinSize), devices: 1}
}

// Devices returns the same events as they come from so many devices by turns, 1
// to 100,000. It is one if nobody says otherwise.
func (e *Events) Devices(n int) *Events {
	other := *e
	other.devices = uint64(n)
	return &other
}

// Device returns which device event n comes from, from 0.
func (e *Events) Device(n uint64) uint64 { return n % e.devices }

// Size is how many bytes an event has as it is posted, at most.
func (e *Events) Size() int { return e.size + 128 }

// prefix is how every push of a record begins, up to the number.
const prefix = `{"code":30000,"desc":"","message":"push record","data":{"id":`

// Number returns which event of the run a push is, or false for one that is not
// of this run, or no push. It needs the first HeadSize bytes.
func (e *Events) Number(head []byte) (uint64, bool) {
	if len(head) < HeadSize || string(head[:len(prefix)]) != prefix {
		return 0, false
	}
	var id uint64
	for _, c := range head[len(prefix):HeadSize] {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + uint64(c-'0')
	}
	return id % span, id/span == e.run
}

// NumberOf returns which event of the run has a message ID, or false for one that
// is not of this run.
func (e *Events) NumberOf(messageID []byte) (uint64, bool) {
	digits, ok := bytes.CutPrefix(messageID, []byte(idPrefix))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	return id % span, ok && err == nil && id/span == e.run
}

// HeadSize is how much of a push Number has to see.
const HeadSize = len(prefix) + 6 + digits

// Push returns what a client gets for an event: the payload of the frame.
func (e *Events) Push(n uint64) []byte {
	return append(e.appendData([]byte(prefix[:len(prefix)-len(`{"id":`)]), n), '}')
}

// idPrefix is what message IDs begin with. A number follows.
const idPrefix = "bench-"

// Append appends an event as it is posted.
func (e *Events) Append(dst []byte, n uint64) []byte { return e.appendEvent(dst, n, 1_700_000_000_000) }

// Webhook returns what a subscriber gets for an event: the body of the request.
func (e *Events) Webhook(n uint64) []byte { return e.appendEvent(nil, n, signTime*1000) }

func (e *Events) appendEvent(dst []byte, n, sendTime uint64) []byte {
	dst = append(dst, `{"eventType":30000,"messageId":"`+idPrefix...)
	dst = strconv.AppendUint(dst, e.run*span+n, 10)
	dst = append(dst, `","sendTime":`...)
	dst = strconv.AppendUint(dst, sendTime, 10)
	dst = append(dst, `,"data":`...)
	return append(e.appendData(dst, n), '}')
}

// Batch returns events from to to as a JSON array.
func (e *Events) Batch(from, to uint64) []byte {
	dst := append(make([]byte, 0, int(to-from+1)*(e.size+80)), '[')
	for n := from; n <= to; n++ {
		if n > from {
			dst = append(dst, ',')
		}
		dst = e.Append(dst, n)
	}
	return append(dst, ']')
}

// record and rest are a record with every field that a device fills in; what is
// missing to the size goes into its location. The last six digits of the device
// stand between the two.
const record = `,"userId":4711,"name":"山田 太郎","type":1,"mobile":"","remark":"","icNumber":"0012345678",` +
	`"idNumber":"","jobNumber":"E-4711","deviceName":"東門ゲート 3","sn":"SPSP-f26131cf5301be29b3a6f7be15`

const rest = `",` +
	`"direction":0,"verifyScore":0.9871,"avatar":"5f0c2b6ad7e1434a9a0c","signAvatar":"8d1fe32ab4c04c7f9e55",` +
	`"signBgAvatar":"1b77d1c0a3f2481c8c02","signDate":"2026-11-24","signTime":1795500000,"signTimeZone":"+09:00",` +
	`"entryMode":1,"groups":[{"id":12,"name":"本社 3F","type":1}],"abnormalType":0,"bodyTemperature":36.4,"mask":0,` +
	`"companyId":1,"location":"`

// signTime is when all of it happened.
const signTime = 1_795_500_000

func (e *Events) appendData(dst []byte, n uint64) []byte {
	start := len(dst)
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, e.run*span+n, 10)
	dst = append(dst, record...)
	dst = strconv.AppendUint(dst, 100_000+e.Device(n), 10)
	dst = append(dst, rest...)
	const around = 4 + len(prefix) - len(`{"id":`) + len(`"}`) + len(`}`) // header, envelope, both ends
	fill := e.size - around - (len(dst) - start)
	dst = append(dst, bytes.Repeat([]byte{'x'}, max(0, fill))...)
	return append(dst, `"}`...)
}
