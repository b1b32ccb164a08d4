package senselink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// maxID is the longest identity of an event and the longest LDID, in bytes.
const maxID = 128

// finish makes the event, with what its sender left out.
func (p *parser) finish(env *envelope) gatecast.Event {
	d := &env.data
	e := gatecast.Event{
		Kind: env.kind, Device: d.device, Groups: d.groups, Source: p.opts.Source,
		ID: env.messageID, At: p.happened(env),
	}
	if e.Device == "" {
		e.Device = d.oldDevice
	}
	if d.present&hasGroups == 0 && d.oldGroup != 0 {
		e.Groups = []int64{d.oldGroup}
	}
	if e.ID == "" {
		e.ID = p.identity(e.Kind, e.Device, d)
	}
	e.Data = p.fill(env)
	return e
}

// happened returns when the event happened by its device's clock.
func (p *parser) happened(env *envelope) time.Time {
	d := &env.data
	if d.signTime > 0 {
		return fromUnix(d.signTime)
	}
	if text := unquote(d.alarmTime); text != "" {
		if t, err := time.ParseInLocation(time.DateTime, text, p.opts.Zone); err == nil {
			return t.UTC().Truncate(time.Second)
		}
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC().Truncate(time.Second)
		}
		p.opts.Unknown("alarmTime")
	}
	return env.sendTime
}

// identity returns the ID of an event that was sent without a messageId.
func (p *parser) identity(k gatecast.Kind, device string, d *data) string {
	if d.id <= 0 {
		// The vendor's own examples show 0 where a number was never given out.
		return newUUID(p.now)
	}
	tail := ":" + strconv.FormatInt(d.id, 10)
	if k == gatecast.Alarm {
		tail += ":" + strconv.FormatInt(d.status, 10)
	}
	id := k.String() + ":" + device + tail
	if !validID(id) {
		sum := sha256.Sum256([]byte(device))
		id = k.String() + ":#" + hex.EncodeToString(sum[:]) + tail
	}
	return id
}

// fill returns a copy of the data object, with the members that are missing
// behind the last one. Copying frees the event from the body it came in. If it
// holds photos, it is filled later.
func (p *parser) fill(env *envelope) []byte {
	d := &env.data
	raw := p.body[d.start:d.end]
	var extra [64]byte
	add := extra[:0]
	if d.present&hasID == 0 {
		add = append(add, `,"id":`...)
		add = strconv.AppendInt(add, p.opts.IDs.Next(p.now), 10)
	}
	if env.kind == gatecast.Record && d.present&hasSignDate == 0 && d.signTime > 0 {
		add = append(add, `,"signDate":"`...)
		add = fromUnix(d.signTime).In(p.zone(unquote(d.zone))).AppendFormat(add, time.DateOnly)
		add = append(add, '"')
	}
	if len(p.photos) > 0 {
		p.drafts = append(p.drafts, draft{
			event: len(p.events), index: p.index, data: raw, start: d.start, extra: bytes.Clone(add), photos: p.photos,
		})
		return nil
	}
	return join(raw, add)
}

// join returns a copy of an object with members behind its last one. Each of
// them begins with a comma.
func join(raw, add []byte) []byte {
	if len(add) == 0 {
		return bytes.Clone(raw)
	}
	last := len(bytes.TrimRight(raw[:len(raw)-1], " \t\r\n"))
	if last == 1 { // nothing before it but the brace
		add = add[1:]
	}
	out := make([]byte, 0, len(raw)+len(add))
	out = append(out, raw[:last]...)
	out = append(out, add...)
	return append(out, raw[last:]...)
}

// zone returns the zone that signTimeZone names, or Options.Zone.
func (p *parser) zone(name string) *time.Location {
	if name == "" {
		return p.opts.Zone
	}
	if offset, ok := parseZone(name); ok {
		return time.FixedZone(name, offset)
	}
	p.opts.Unknown("signTimeZone")
	return p.opts.Zone
}

// parseZone reads "+08:00", "GMT+09:00", "UTC-3", "+0530" and "Z", and returns
// the seconds east of Greenwich.
func parseZone(s string) (int, bool) {
	s = strings.TrimSpace(s)
	rest, named := strings.CutPrefix(s, "GMT")
	if !named {
		rest, named = strings.CutPrefix(s, "UTC")
	}
	if s == "Z" || (named && rest == "") {
		return 0, true
	}
	if rest == "" || (rest[0] != '+' && rest[0] != '-') {
		return 0, false
	}
	hours, minutes, colon := strings.Cut(rest[1:], ":")
	if !colon && len(hours) == 4 {
		hours, minutes = hours[:2], hours[2:]
	}
	h, err := strconv.ParseUint(hours, 10, 8)
	if err != nil || h > 18 {
		return 0, false
	}
	m := uint64(0)
	if minutes != "" || colon {
		if m, err = strconv.ParseUint(minutes, 10, 8); err != nil || m > 59 {
			return 0, false
		}
	}
	offset := int(h*3600 + m*60)
	if rest[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// Unix times from milliFrom on are milliseconds: as seconds they would lie
// beyond the year 5138, and as milliseconds they start in 1973. From milliEnd
// on they are neither.
const (
	milliFrom = 100_000_000_000
	milliEnd  = 100_000_000_000_000
)

func fromUnix(n int64) time.Time {
	if n >= milliFrom {
		n /= 1000
	}
	return time.Unix(n, 0).UTC()
}

// unixTime reads a Unix time in seconds or milliseconds; 0 stands for none.
func (p *parser) unixTime(path string, v jsontext.Value) (time.Time, error) {
	n, err := p.integer(path, nil, v)
	if err != nil || n == 0 {
		return time.Time{}, err
	}
	if n < 0 || n >= milliEnd {
		return time.Time{}, p.fault(path, v, "Unix time in seconds or milliseconds, before the year 5138", "the time is out of range")
	}
	return fromUnix(n), nil
}

// validID reports whether s can be an identity. It travels in headers and
// URLs, where control characters would be dangerous and spaces get lost.
func validID(s string) bool {
	return len(s) <= maxID && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}

// validDevice reports whether s can be an LDID: it travels in headers too.
func validDevice(s string) bool {
	return len(s) <= maxID && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
