package wsconn

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// parser turns the client's bytes into messages. It takes them in any
// portions, keeps what it needs of an unfinished message in a borrowed buffer
// (at most MaxMessage bytes) and owns nothing between messages.
type parser struct {
	limit   int64 // of a message, before and after inflating
	deflate bool  // permessage-deflate was negotiated

	frame   ws.Header
	offset  int64 // payload bytes of the frame taken so far
	head    [ws.MaxHeaderSize]byte
	have    uint8 // bytes of head
	inFrame bool
	cost    uint32 // of frames and of what was inflated, in bytes, ever; for differences only

	op     ws.OpCode // of the message under way; OpContinuation: none
	packed bool      // that message is deflated
	text   utf8Check
	msg    *[]byte // its bytes so far
	ctl    *[]byte // the control frame's bytes so far
}

// reset gives back what was borrowed.
func (p *parser) reset() {
	returnMessage(p.msg)
	returnMessage(p.ctl)
	p.msg, p.ctl = nil, nil
}

// idle reports whether the next byte begins a frame.
func (p *parser) idle() bool { return !p.inFrame && p.have == 0 }

// feed takes the next bytes, which it unmasks in place, and hands over what
// is complete. A non-nil result ends the connection: the client's Close
// frame, or what it did wrong.
func (p *parser) feed(chunk []byte, t taker) *CloseError {
	for len(chunk) > 0 {
		if !p.inFrame {
			n, fail := p.header(chunk)
			if fail != nil {
				return fail
			}
			chunk = chunk[n:]
			if !p.inFrame {
				continue
			}
		}
		n := min(p.frame.Length-p.offset, int64(len(chunk)))
		if end := p.payload(chunk[:n], t); end != nil {
			return end
		}
		chunk = chunk[n:]
	}
	return nil
}

// taker is what the parser hands complete things to.
type taker interface {
	message(binary bool, payload []byte)
	ping(payload []byte)
	pong(payload []byte)
}

// header collects a frame header and judges it as soon as its first two
// bytes are there. It returns how many bytes of chunk it took.
func (p *parser) header(chunk []byte) (int, *CloseError) {
	took := 0
	for want := p.headerSize(); int(p.have) < want; want = p.headerSize() {
		if took == len(chunk) {
			return took, nil
		}
		n := copy(p.head[p.have:want], chunk[took:])
		p.have += uint8(n)
		took += n
		if p.have == ws.MinHeaderSize {
			if fail := p.judge(); fail != nil {
				return took, fail
			}
		}
	}
	return took, p.begin()
}

// headerSize returns the size of the header as far as it is known.
func (p *parser) headerSize() int {
	if p.have < ws.MinHeaderSize {
		return ws.MinHeaderSize
	}
	switch p.head[1] & 0x7f {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	default:
		return 2 + 4
	}
}

// judge checks the first two bytes of a header (RFC 6455 section 5.2).
func (p *parser) judge() *CloseError {
	h := ws.Header{
		Fin:    p.head[0]&0x80 != 0,
		Rsv:    p.head[0] >> 4 & 0b111,
		OpCode: ws.OpCode(p.head[0] & 0x0f),
		Masked: p.head[1]&0x80 != 0,
		Length: int64(p.head[1] & 0x7f),
	}
	p.frame = h
	state := ws.StateServerSide
	if p.op != ws.OpContinuation {
		state = state.Set(ws.StateFragmented)
	}
	// RFC 7692 section 6: only the first frame of a data message has RSV1.
	if p.deflate && h.Rsv == rsv1 && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
		state = state.Set(ws.StateExtended)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return violation(StatusProtocol, err.Error())
	}
	return nil
}

// begin starts the frame whose header is complete.
func (p *parser) begin() *CloseError {
	h := &p.frame
	at := ws.MinHeaderSize
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(p.head[2:]))
		at += 2
		if h.Length < 126 {
			return violation(StatusProtocol, "length is not in its shortest form")
		}
	case 127:
		n := binary.BigEndian.Uint64(p.head[2:])
		at += 8
		if n>>63 != 0 {
			return violation(StatusProtocol, "length has its most significant bit set")
		}
		if n <= 0xffff {
			return violation(StatusProtocol, "length is not in its shortest form")
		}
		h.Length = int64(n)
	}
	copy(h.Mask[:], p.head[at:])
	p.have, p.offset, p.inFrame = 0, 0, true
	p.cost += frameCost
	if h.OpCode.IsControl() {
		return nil
	}
	if h.OpCode != ws.OpContinuation {
		p.op, p.packed, p.text = h.OpCode, h.Rsv == rsv1, utf8Check{}
	}
	if h.Length > p.limit-int64(p.held()) {
		return violation(StatusTooBig, "message is too big")
	}
	return nil
}

// held returns how much of the message under way is here.
func (p *parser) held() int {
	if p.msg == nil {
		return 0
	}
	return len(*p.msg)
}

// payload takes the next part of the frame's payload, and the frame if that
// completes it.
func (p *parser) payload(part []byte, t taker) *CloseError {
	ws.Cipher(part, p.frame.Mask, int(p.offset&3))
	p.offset += int64(len(part))
	whole := p.offset == p.frame.Length
	p.inFrame = !whole
	if p.frame.OpCode.IsControl() {
		return p.control(part, whole, t)
	}
	if p.op == ws.OpText && !p.packed && !p.text.ok(part) {
		return violation(StatusBadPayload, "text is not UTF-8")
	}
	last := whole && p.frame.Fin
	if last && p.msg == nil && !p.packed {
		return p.deliver(part, t) // nothing to put together: no copy
	}
	if p.msg == nil {
		p.msg = borrowMessage()
	}
	*p.msg = append(*p.msg, part...)
	if !last {
		return nil
	}
	defer p.reset()
	if p.packed {
		out, fail := inflate(p.msg, p.limit)
		returnMessage(p.msg)
		p.msg = out
		if out != nil {
			p.cost += uint32(len(*out))
		}
		if fail != nil {
			return fail
		}
		if p.op == ws.OpText && !p.text.ok(*out) {
			return violation(StatusBadPayload, "text is not UTF-8")
		}
	}
	return p.deliver(*p.msg, t)
}

// deliver hands over a whole message.
func (p *parser) deliver(payload []byte, t taker) *CloseError {
	op := p.op
	p.op = ws.OpContinuation
	if op == ws.OpText && !p.text.complete() {
		return violation(StatusBadPayload, "text ends inside a character")
	}
	t.message(op == ws.OpBinary, payload)
	return nil
}

// control takes a control frame, which may stand between the fragments of a
// message (RFC 6455 section 5.5) and therefore has a buffer of its own.
func (p *parser) control(part []byte, whole bool, t taker) *CloseError {
	if !whole || p.ctl != nil {
		if p.ctl == nil {
			p.ctl = borrowMessage()
		}
		*p.ctl = append(*p.ctl, part...)
		if !whole {
			return nil
		}
		part = *p.ctl
		defer func() { returnMessage(p.ctl); p.ctl = nil }()
	}
	switch p.frame.OpCode {
	case ws.OpPing:
		t.ping(part)
	case ws.OpPong:
		t.pong(part)
	default:
		return parseClose(part)
	}
	return nil
}
