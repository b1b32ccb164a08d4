package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
)

// Headers of a stored event. The payload is Event.Data, byte for byte.
const (
	hdrID     = "Nats-Msg-Id" // JetStream dedups by it too
	hdrKind   = "Gc-Kind"
	hdrDevice = "Gc-Device"
	hdrGroups = "Gc-Groups"
	hdrAt     = "Gc-At"     // Unix seconds
	hdrStored = "Gc-Stored" // Unix milliseconds
	hdrSource = "Gc-Source"
	hdrLate   = "Gc-Late" // "1", or there is none
	hdrSum    = "Gc-Sum"  // see sum
)

const subjectRoot = "gatecast.events."

// errDamaged marks a stored event whose bytes are not those once stored.
var errDamaged = errors.New("the event's checksum does not match its bytes")

// encode makes the message for an event: subject, headers, payload.
func encode(e *gatecast.Event) *nats.Msg {
	kind := strconv.Itoa(int(e.Kind))
	h := nats.Header{
		hdrID:     {escape(e.ID, headerSafe)},
		hdrKind:   {kind},
		hdrStored: {strconv.FormatInt(e.Stored.UnixMilli(), 10)},
		hdrSum:    {sum(e)},
	}
	if e.Device != "" {
		h[hdrDevice] = []string{escape(e.Device, headerSafe)}
	}
	if e.Source != "" {
		h[hdrSource] = []string{escape(e.Source, headerSafe)}
	}
	if !e.At.IsZero() {
		h[hdrAt] = []string{strconv.FormatInt(e.At.Unix(), 10)}
	}
	if len(e.Groups) > 0 {
		h[hdrGroups] = []string{joinGroups(e.Groups)}
	}
	if e.Late {
		h[hdrLate] = []string{"1"}
	}
	device := escape(e.Device, tokenSafe)
	if device == "" {
		device = "_"
	}
	return &nats.Msg{Subject: subjectRoot + kind + "." + device, Header: h, Data: e.Data}
}

// appendSubject appends the subject of encode's message.
func appendSubject(dst []byte, e *gatecast.Event) []byte {
	dst = append(dst, subjectRoot...)
	dst = append(strconv.AppendInt(dst, int64(e.Kind), 10), '.')
	if e.Device == "" {
		return append(dst, '_')
	}
	return appendEscaped(dst, e.Device, tokenSafe)
}

// appendHeader appends the headers of encode's message as they stand on the
// wire, without the empty line that ends them.
func appendHeader(dst []byte, e *gatecast.Event) []byte {
	dst = append(dst, "NATS/1.0\r\n"+hdrID+": "...)
	dst = appendEscaped(dst, e.ID, headerSafe)
	dst = strconv.AppendInt(append(dst, "\r\n"+hdrKind+": "...), int64(e.Kind), 10)
	dst = strconv.AppendInt(append(dst, "\r\n"+hdrStored+": "...), e.Stored.UnixMilli(), 10)
	dst = appendSum(append(dst, "\r\n"+hdrSum+": "...), e)
	if e.Device != "" {
		dst = appendEscaped(append(dst, "\r\n"+hdrDevice+": "...), e.Device, headerSafe)
	}
	if e.Source != "" {
		dst = appendEscaped(append(dst, "\r\n"+hdrSource+": "...), e.Source, headerSafe)
	}
	if !e.At.IsZero() {
		dst = strconv.AppendInt(append(dst, "\r\n"+hdrAt+": "...), e.At.Unix(), 10)
	}
	if len(e.Groups) > 0 {
		dst = appendGroups(append(dst, "\r\n"+hdrGroups+": "...), e.Groups)
	}
	if e.Late {
		dst = append(dst, "\r\n"+hdrLate+": 1"...)
	}
	return append(dst, "\r\n"...)
}

// decode reads an event back; errDamaged if it is not what was stored.
func decode(seq gatecast.Seq, h nats.Header, data []byte) (gatecast.Event, error) {
	e := gatecast.Event{
		Seq: seq, ID: unescape(one(h, hdrID)), Device: unescape(one(h, hdrDevice)),
		Source: unescape(one(h, hdrSource)), Late: one(h, hdrLate) == "1", Data: data,
	}
	kind, _ := strconv.Atoi(one(h, hdrKind))
	e.Kind = gatecast.Kind(kind)
	if ms, err := strconv.ParseInt(one(h, hdrStored), 10, 64); err == nil {
		e.Stored = time.UnixMilli(ms).UTC()
	}
	if s := one(h, hdrAt); s != "" {
		sec, _ := strconv.ParseInt(s, 10, 64)
		e.At = time.Unix(sec, 0).UTC()
	}
	if s := one(h, hdrGroups); s != "" {
		for g := range strings.SplitSeq(s, ",") {
			n, _ := strconv.ParseInt(g, 10, 64)
			e.Groups = append(e.Groups, n)
		}
	}
	if one(h, hdrSum) != sum(&e) {
		return e, fmt.Errorf("event %d: %w", seq, errDamaged)
	}
	return e, nil
}

// identity returns what dedup needs of a stored event.
func identity(h nats.Header) (id string, at time.Time) {
	ms, _ := strconv.ParseInt(one(h, hdrStored), 10, 64)
	return unescape(one(h, hdrID)), time.UnixMilli(ms)
}

// sum is half a SHA-256 over every stored field, so that a changed byte in a
// header shows as surely as one in the payload. Late counts only where it is
// set: events that were stored before there was a Late keep their sum.
func sum(e *gatecast.Event) string { return string(appendSum(nil, e)) }

func appendSum(dst []byte, e *gatecast.Event) []byte {
	var buf [512]byte
	b := buf[:0]
	for _, s := range [...]string{e.ID, e.Device, e.Source} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, int64(e.Kind))
	b = binary.AppendVarint(b, e.Stored.UnixMilli())
	if !e.At.IsZero() {
		b = binary.AppendVarint(b, e.At.Unix())
	}
	b = binary.AppendUvarint(b, uint64(len(e.Groups)))
	for _, g := range e.Groups {
		b = binary.AppendVarint(b, g)
	}
	if e.Late {
		b = append(b, hdrLate...)
	}
	d := sha256.New()
	d.Write(b)
	d.Write(e.Data)
	return hex.AppendEncode(dst, d.Sum(buf[:0])[:16])
}

func one(h nats.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func joinGroups(groups []int64) string { return string(appendGroups(nil, groups)) }

func appendGroups(dst []byte, groups []int64) []byte {
	for i, g := range groups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, g, 10)
	}
	return dst
}

// headerSafe bytes stand as they are in a header: a line break would end it,
// and outer spaces would be trimmed.
func headerSafe(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }

// tokenSafe bytes stand as they are in a subject token.
func tokenSafe(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func escape(s string, safe func(byte) bool) string {
	for i := range len(s) {
		if !safe(s[i]) {
			return string(appendEscaped(make([]byte, 0, len(s)+16), s, safe))
		}
	}
	return s
}

func appendEscaped(dst []byte, s string, safe func(byte) bool) []byte {
	const digits = "0123456789abcdef"
	for i := range len(s) {
		if c := s[i]; safe(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
