package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// Bits of a frame's first two bytes.
const (
	bitFin     = 0x80
	bitRSV1    = 0x40
	bitsRSV    = 0x70
	bitControl = 0x08
	bitMask    = 0x80
)

// maxHeader is the largest header of a frame without a mask, maxControl the
// most payload of a control frame.
const (
	maxHeader  = 10
	maxControl = 125
)

// parser finds the frames in what a server sends, in whatever portions it
// comes. Payload beyond the first bytes is counted and not looked at.
type parser struct {
	kept    []byte // beginning of the frame under way: header and head at most, or a control frame
	rest    int    // payload bytes behind kept that are still to come and that nobody needs; 0: kept is unfinished itself
	deflate bool   // permessage-deflate was agreed
	message bool   // the first frame of a message has come and its last has not
}

// sink is told what a parser finds. The bytes are valid during the call only.
type sink interface {
	data(head []byte, size int)
	ping(payload []byte)
}

// room is how many bytes a parser keeps at most, and needs in front of those it
// is given.
func room(head int) int { return max(maxHeader+head, 2+maxControl) }

// feed takes b[at:], the next bytes of the connection; b[:at] is free, and at
// least as long as what is kept. Payloads are shown up to head bytes. A non-nil
// result ends the connection: the server's *CloseError, or what it did wrong.
func (p *parser) feed(b []byte, at, head int, s sink) error {
	if p.rest > 0 {
		if p.rest > len(b)-at {
			p.rest -= len(b) - at
			return nil
		}
		at += p.rest
		f, _ := readHeader(p.kept) // was read before
		s.data(p.kept[f.header:], f.length)
		p.kept, p.rest = p.kept[:0], 0
	} else if n := len(p.kept); n > 0 {
		at -= n
		copy(b[at:], p.kept)
		p.kept = p.kept[:0]
	}
	for at < len(b) {
		n, err := p.next(b[at:], head, s)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		at += n
	}
	return nil
}

// next takes the frame that b begins with and returns its size; or, if not all
// of it is there, keeps what is needed of it and returns 0.
func (p *parser) next(b []byte, head int, s sink) (int, error) {
	f, err := readHeader(b)
	if err == nil && f.header > 0 {
		err = p.judge(f)
	}
	if err != nil {
		return 0, err
	}
	if f.header == 0 {
		p.keep(b, head)
		return 0, nil
	}
	if f.first&bitControl != 0 {
		if f.length > len(b)-f.header {
			p.keep(b, head)
			return 0, nil
		}
		return f.header + f.length, control(f, b[f.header:f.header+f.length], s)
	}
	show := min(f.length, head)
	have := len(b) - f.header
	if have < show {
		p.keep(b, head)
		return 0, nil
	}
	p.message = f.first&bitFin == 0
	if have < f.length {
		p.keep(b[:f.header+show], head)
		p.rest = f.length - have
		return 0, nil
	}
	s.data(b[f.header:f.header+show], f.length)
	return f.header + f.length, nil
}

// keep copies what is needed of an unfinished frame. The array stays with the
// client: most need none.
func (p *parser) keep(b []byte, head int) {
	if p.kept == nil {
		p.kept = make([]byte, 0, room(head))
	}
	p.kept = append(p.kept[:0], b...)
}

// frame is a header.
type frame struct {
	first  byte // FIN, RSV and opcode
	header int  // its own size; 0: not all of it is there
	length int  // of the payload
}

// readHeader reads the header that b begins with, as far as it is there.
func readHeader(b []byte) (frame, error) {
	if len(b) < 2 {
		return frame{}, nil
	}
	f := frame{first: b[0], header: 2, length: int(b[1])}
	switch {
	case b[1] < 126:
	case b[1]&bitMask != 0:
		return frame{}, errors.New("a frame from the server is masked")
	case b[1] == 126:
		if len(b) < 4 {
			return frame{}, nil
		}
		f.header, f.length = 4, int(binary.BigEndian.Uint16(b[2:]))
		if f.length < 126 {
			return frame{}, errors.New("a frame's length is not in its shortest form")
		}
	default:
		if len(b) < maxHeader {
			return frame{}, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n > math.MaxInt {
			return frame{}, fmt.Errorf("a frame says it has %d bytes", n)
		}
		if n <= math.MaxUint16 {
			return frame{}, errors.New("a frame's length is not in its shortest form")
		}
		f.header, f.length = maxHeader, int(n)
	}
	return f, nil
}

// judge checks a header (RFC 6455, sections 5.2, 5.4 and 5.5; RFC 7692, section 6).
func (p *parser) judge(f frame) error {
	op := f.first & 0x0f
	rsv := f.first & bitsRSV
	switch op {
	case opText, opBinary:
		if p.message {
			return errors.New("a message begins inside another one")
		}
		if p.deflate {
			rsv &^= bitRSV1
		}
	case opContinuation:
		if !p.message {
			return errors.New("a continuation of nothing")
		}
	case opClose, opPing, opPong:
		if f.first&bitFin == 0 || f.length > maxControl {
			return fmt.Errorf("a control frame %#x that is in fragments or has %d bytes", op, f.length)
		}
	default:
		return fmt.Errorf("a frame of the unknown kind %#x", op)
	}
	if rsv != 0 {
		return fmt.Errorf("a frame with reserved bits %#x", f.first)
	}
	return nil
}

func control(f frame, payload []byte, s sink) error {
	switch f.first & 0x0f {
	case opPing:
		s.ping(payload)
	case opClose:
		switch len(payload) {
		case 0:
			return &CloseError{Code: 1005}
		case 1:
			return errors.New("a close frame with half a code")
		}
		return &CloseError{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
	}
	return nil // a Pong that nobody asked for is allowed
}
