package journal

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// chunkBytes is how much data events share one piece of memory with: whoever
// keeps one event keeps so much at most beside it.
const chunkBytes = 64 << 10

// decoder makes events of messages as they stand on the wire, without the maps
// that [decode] needs. Of each event only the ID is allocated by itself: data
// and groups share memory with their neighbours, and a device or a source is
// remembered from one event to the next. It is owned by one goroutine.
type decoder struct {
	chunk          []byte  // room for data, from its length on
	groups         []int64 // likewise
	device, source string  // of the last event
	sum            []byte
}

// data returns room for an event's data of n bytes.
func (d *decoder) data(n int) []byte {
	if n > chunkBytes/4 {
		return make([]byte, n)
	}
	if cap(d.chunk)-len(d.chunk) < n {
		d.chunk = make([]byte, 0, chunkBytes)
	}
	from := len(d.chunk)
	d.chunk = d.chunk[:from+n]
	return d.chunk[from : from+n : from+n]
}

// decode reads an event as the function decode does: errDamaged if it is not
// what was stored. header is good until the return only, data becomes the event's.
func (d *decoder) decode(e *gatecast.Event, header, data []byte) error {
	rest, ok := bytes.CutPrefix(header, []byte("NATS/1.0\r\n"))
	if !ok {
		return fmt.Errorf("event %d: %w", e.Seq, errDamaged)
	}
	e.Data = data
	var want []byte
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		key, value, _ := bytes.Cut(line, []byte(": "))
		if string(key) == hdrSum {
			want = value
			continue
		}
		d.field(e, key, value)
	}
	d.sum = appendSum(d.sum[:0], e)
	if !bytes.Equal(want, d.sum) {
		return fmt.Errorf("event %d: %w", e.Seq, errDamaged)
	}
	return nil
}

// field takes in one header. What cannot be read shows in the checksum.
func (d *decoder) field(e *gatecast.Event, key, value []byte) {
	switch string(key) {
	case hdrID:
		e.ID = unescape(string(value))
	case hdrDevice:
		e.Device = again(&d.device, value)
	case hdrSource:
		e.Source = again(&d.source, value)
	case hdrKind:
		e.Kind = gatecast.Kind(number(value))
	case hdrStored:
		e.Stored = time.UnixMilli(number(value)).UTC()
	case hdrAt:
		e.At = time.Unix(number(value), 0).UTC()
	case hdrLate:
		e.Late = string(value) == "1"
	case hdrGroups:
		e.Groups = d.list(value)
	}
}

func (d *decoder) list(value []byte) []int64 {
	n := bytes.Count(value, []byte(",")) + 1
	if cap(d.groups)-len(d.groups) < n {
		d.groups = make([]int64, 0, max(n, 512))
	}
	from := len(d.groups)
	for g := range bytes.SplitSeq(value, []byte(",")) {
		d.groups = append(d.groups, number(g))
	}
	return d.groups[from:len(d.groups):len(d.groups)]
}

// again returns what value says, without a new string if the last one said the
// same.
func again(last *string, value []byte) string {
	if bytes.IndexByte(value, '%') >= 0 {
		return unescape(string(value))
	}
	if *last != string(value) {
		*last = string(value)
	}
	return *last
}

func number(value []byte) int64 {
	n, _ := strconv.ParseInt(string(value), 10, 64)
	return n
}
