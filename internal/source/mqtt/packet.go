package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// packetType is the upper half of a packet's first byte (MQTT 3.1.1, section
// 2.2.1). Those that only a server sends are named for what it sends.
type packetType byte

const (
	connect     packetType = 1
	connack     packetType = 2
	publish     packetType = 3
	puback      packetType = 4
	pubrec      packetType = 5
	pubrel      packetType = 6
	pubcomp     packetType = 7
	subscribe   packetType = 8
	suback      packetType = 9
	unsubscribe packetType = 10
	unsuback    packetType = 11
	pingreq     packetType = 12
	pingresp    packetType = 13
	disconnect  packetType = 14
)

// head is a packet's fixed header.
type head struct {
	kind  packetType
	flags byte
	size  int // of what follows it, in bytes; below 256 MiB
}

// errProtocol is what ends a connection without an answer: the peer does not
// speak MQTT 3.1.1 (section 4.8).
var errProtocol = errors.New("this is not MQTT 3.1.1")

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errProtocol}, args...)...)
}

// readHead reads a fixed header whose first byte is there already.
func readHead(first byte, r io.ByteReader) (head, error) {
	h := head{kind: packetType(first >> 4), flags: first & 0x0f}
	if err := h.check(); err != nil {
		return h, err
	}
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return h, err
		}
		h.size |= int(b&0x7f) << shift
		if b < 0x80 {
			return h, nil
		}
	}
	return h, violation("a length of more than four bytes")
}

// check holds a header to what a client may send (table 2.2).
func (h head) check() error {
	want := byte(0)
	switch h.kind {
	case publish:
		if qos := h.qos(); qos > 2 || qos == 0 && h.flags&0x08 != 0 {
			return violation("a PUBLISH with the flags %#x", h.flags)
		}
		return nil
	case pubrel, subscribe, unsubscribe:
		want = 2
	case connect, pingreq, disconnect:
	case connack, puback, pubrec, pubcomp, suback, unsuback, pingresp:
		return violation("a packet of type %d, which only answers a server", h.kind)
	default:
		return violation("a packet of type %d", h.kind)
	}
	if h.flags != want {
		return violation("a packet of type %d with the flags %#x", h.kind, h.flags)
	}
	return nil
}

func (h head) qos() byte { return h.flags >> 1 & 3 }

// body is what is left of a packet to be read.
type body []byte

func (b *body) byte() (byte, error) {
	if len(*b) < 1 {
		return 0, violation("a packet ends too early")
	}
	v := (*b)[0]
	*b = (*b)[1:]
	return v, nil
}

func (b *body) uint16() (uint16, error) {
	if len(*b) < 2 {
		return 0, violation("a packet ends too early")
	}
	v := binary.BigEndian.Uint16(*b)
	*b = (*b)[2:]
	return v, nil
}

// bytes reads a length and as many bytes. They are part of the packet.
func (b *body) bytes() ([]byte, error) {
	n, err := b.uint16()
	if err != nil {
		return nil, err
	}
	if len(*b) < int(n) {
		return nil, violation("a packet ends too early")
	}
	v := (*b)[:n]
	*b = (*b)[n:]
	return v, nil
}

// text reads a string (section 1.5.3).
func (b *body) text() (string, error) {
	v, err := b.bytes()
	if err == nil && (!utf8.Valid(v) || strings.ContainsRune(string(v), 0)) {
		err = violation("a text that is not UTF-8, or holds U+0000")
	}
	return string(v), err
}

// packetID reads the identifier of a packet, which is never zero.
func (b *body) packetID() (uint16, error) {
	id, err := b.uint16()
	if err == nil && id == 0 {
		err = violation("a packet identifier of zero")
	}
	return id, err
}

func (b *body) end() error {
	if len(*b) > 0 {
		return violation("%d bytes too many in a packet", len(*b))
	}
	return nil
}

// login is what a CONNECT says. Its will is read over: nobody could receive it.
type login struct {
	client    string // may be empty
	clean     bool
	keepAlive time.Duration // zero: the client promises nothing
	user      string
	password  []byte // part of the packet; nil if there is none
}

// errVersion is a CONNECT of another version of the protocol.
var errVersion = errors.New("another version of MQTT than 3.1.1")

// readConnect reads the body of a CONNECT (section 3.1).
func readConnect(b body) (login, error) {
	var l login
	name, err := b.text()
	if err != nil {
		return l, err
	}
	level, err := b.byte()
	if err != nil {
		return l, err
	}
	switch {
	case name != "MQTT" && name != "MQIsdp":
		return l, violation("a CONNECT of another protocol")
	case name != "MQTT" || level != 4:
		return l, errVersion
	}
	flags, err := b.byte()
	if err != nil {
		return l, err
	}
	seconds, err := b.uint16()
	if err != nil {
		return l, err
	}
	l.clean, l.keepAlive = flags&0x02 != 0, time.Duration(seconds)*time.Second
	if l.client, err = b.text(); err != nil {
		return l, err
	}
	if err := b.will(flags); err != nil {
		return l, err
	}
	if err := b.credentials(flags, &l); err != nil {
		return l, err
	}
	return l, b.end()
}

func (b *body) will(flags byte) error {
	there, qos, retain := flags&0x04 != 0, flags>>3&3, flags&0x20 != 0
	if flags&1 != 0 || qos > 2 || !there && (qos != 0 || retain) {
		return violation("a CONNECT with the flags %#x", flags)
	}
	if !there {
		return nil
	}
	if _, err := b.text(); err != nil {
		return err
	}
	_, err := b.bytes()
	return err
}

func (b *body) credentials(flags byte, l *login) (err error) {
	user, password := flags&0x80 != 0, flags&0x40 != 0
	if password && !user {
		return violation("a password without a user name")
	}
	if user {
		if l.user, err = b.text(); err != nil {
			return err
		}
	}
	if password {
		l.password, err = b.bytes()
	}
	return err
}

// message is what a PUBLISH says.
type message struct {
	topic   string
	id      uint16 // zero if qos is
	qos     byte
	payload []byte // part of the packet
}

// readPublish reads the body of a PUBLISH (section 3.3), or its beginning.
func readPublish(h head, b body) (message, error) {
	m := message{qos: h.qos()}
	var err error
	if m.topic, err = b.text(); err != nil {
		return m, err
	}
	if m.topic == "" || strings.ContainsAny(m.topic, "+#") {
		return m, violation("a PUBLISH to a topic that is none")
	}
	if m.qos > 0 {
		if m.id, err = b.packetID(); err != nil {
			return m, err
		}
	}
	m.payload = b
	return m, nil
}

// readFilters reads the body of a SUBSCRIBE or UNSUBSCRIBE, and returns how
// many topic filters it has.
func readFilters(h head, b body) (id uint16, n int, err error) {
	if id, err = b.packetID(); err != nil {
		return 0, 0, err
	}
	for len(b) > 0 {
		if _, err := b.text(); err != nil {
			return 0, 0, err
		}
		if h.kind == subscribe {
			if qos, err := b.byte(); err != nil || qos > 2 {
				return 0, 0, violation("a SUBSCRIBE with a quality that is none")
			}
		}
		n++
	}
	if n == 0 {
		return 0, 0, violation("a packet of type %d without a topic filter", h.kind)
	}
	return id, n, nil
}

// Answers of CONNACK (table 3.1).
const (
	accepted      byte = 0
	wrongVersion  byte = 1
	badIdentifier byte = 2
	unavailable   byte = 3
	badLogin      byte = 4
)

// appendConnack answers a CONNECT. To a client that keeps its session the
// answer is always that the session is here: see the package comment.
func appendConnack(dst []byte, answer byte, clean bool) []byte {
	present := byte(0)
	if answer == accepted && !clean {
		present = 1
	}
	return append(dst, byte(connack)<<4, 2, present, answer)
}

// appendAck writes a packet that is an identifier and nothing else.
func appendAck(dst []byte, kind packetType, id uint16) []byte {
	return append(dst, byte(kind)<<4, 2, byte(id>>8), byte(id))
}

// appendSuback refuses n topic filters (section 3.9.3).
func appendSuback(dst []byte, id uint16, n int) []byte {
	dst = append(dst, byte(suback)<<4)
	dst = appendSize(dst, 2+n)
	dst = append(dst, byte(id>>8), byte(id))
	for range n {
		dst = append(dst, 0x80)
	}
	return dst
}

func appendSize(dst []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
