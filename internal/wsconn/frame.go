package wsconn

import (
	"bytes"
	"sync"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

// rsv1 marks a deflated message in its first frame (RFC 7692 section 6).
const rsv1 = 0b100

// Frame is one message, encoded once and shared by every connection that is
// to get it. It never changes.
type Frame struct {
	plain []byte // header and payload as they go over the wire
	head  int    // length of the header
	once  sync.Once
	small []byte // the same deflated; nil if that would not be shorter
}

// NewText makes a text frame. The payload is copied; it must be UTF-8, or
// clients will fail the connection.
func NewText(payload []byte) *Frame { return newFrame(ws.OpText, payload) }

// NewBinary makes a binary frame. The payload is copied.
func NewBinary(payload []byte) *Frame { return newFrame(ws.OpBinary, payload) }

func newFrame(op ws.OpCode, payload []byte) *Frame {
	wire := encode(ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}, payload)
	return &Frame{plain: wire, head: len(wire) - len(payload)}
}

// Payload returns the message as given. It must not be changed.
func (f *Frame) Payload() []byte { return f.plain[f.head:] }

// Size returns the number of bytes on the wire, undeflated.
func (f *Frame) Size() int { return len(f.plain) }

// wire returns the bytes for one connection.
func (f *Frame) wire(deflateMin int) []byte {
	if deflateMin < 0 || len(f.plain)-f.head < deflateMin {
		return f.plain
	}
	f.once.Do(f.deflate)
	if f.small == nil {
		return f.plain
	}
	return f.small
}

// deflate fills small. The compressor keeps no state between messages, which
// is what "no context takeover" allows and what lets all clients share it.
func (f *Frame) deflate() {
	var out bytes.Buffer
	out.Grow(len(f.plain) / 2)
	if flate.StatelessDeflate(&out, f.Payload(), false, nil) != nil {
		return // a bytes.Buffer does not fail; plain is always right
	}
	p := bytes.TrimSuffix(out.Bytes(), []byte(syncTail))
	h := ws.Header{Fin: true, Rsv: rsv1, OpCode: ws.OpCode(f.plain[0] & 0x0f), Length: int64(len(p))}
	if wire := encode(h, p); len(wire) < len(f.plain) {
		f.small = wire
	}
}

func encode(h ws.Header, payload []byte) []byte {
	var b bytes.Buffer
	b.Grow(ws.HeaderSize(h) + len(payload))
	_ = ws.WriteHeader(&b, h) // fails only on a negative length
	b.Write(payload)
	return b.Bytes()
}
