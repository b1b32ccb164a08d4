package swarm

import (
	"encoding/binary"
	"math/rand/v2"
)

// outbox is what a client has to say that its socket has not taken yet: the
// request or a Close, and the newest Pong. A Pong that has not begun to leave is
// replaced by the next one (RFC 6455, section 5.5.3), so that it never holds
// more than the request and a few hundred bytes.
type outbox struct {
	bytes []byte
	begun int // of these, those in front, that must leave as they are
}

// must appends what nothing may replace.
func (o *outbox) must(b []byte) {
	o.bytes = append(o.bytes, b...)
	o.begun = len(o.bytes)
}

// pong answers a Ping.
func (o *outbox) pong(payload []byte) { o.bytes = appendMasked(o.bytes[:o.begun], opPong, payload) }

// close answers a Close with its code.
func (o *outbox) close(code int) {
	var body []byte
	if code != 1005 {
		body = binary.BigEndian.AppendUint16(nil, uint16(code))
	}
	o.must(appendMasked(nil, opClose, body))
}

// sent takes away the first n bytes.
func (o *outbox) sent(n int) {
	left := copy(o.bytes, o.bytes[n:])
	o.bytes = o.bytes[:left]
	if n > o.begun {
		o.begun = left // the Pong has begun
	} else {
		o.begun -= n
	}
}

// appendMasked appends a control frame as a client sends it.
func appendMasked(dst []byte, op byte, payload []byte) []byte {
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], rand.Uint32())
	dst = append(dst, bitFin|op, bitMask|byte(len(payload)), key[0], key[1], key[2], key[3])
	for i, c := range payload {
		dst = append(dst, c^key[i&3])
	}
	return dst
}
