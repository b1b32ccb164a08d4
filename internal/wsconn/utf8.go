package wsconn

import "unicode/utf8"

// utf8Check validates text that arrives in pieces. It fails at the first byte
// that cannot belong to UTF-8, not only at the end of the message.
type utf8Check struct {
	need   uint8 // continuation bytes still to come
	lo, hi byte  // what the next one may be
}

// ok takes the next piece.
func (u *utf8Check) ok(p []byte) bool {
	if u.need == 0 && utf8.Valid(p) {
		return true
	}
	for _, b := range p {
		if u.need > 0 {
			if b < u.lo || b > u.hi {
				return false
			}
			u.need--
			u.lo, u.hi = 0x80, 0xbf
		} else if !u.lead(b) {
			return false
		}
	}
	return true
}

// lead takes the first byte of a rune: table 3-7 of the Unicode standard.
func (u *utf8Check) lead(b byte) bool {
	u.lo, u.hi = 0x80, 0xbf
	switch {
	case b < 0x80:
		return true
	case b < 0xc2 || b > 0xf4:
		return false
	case b < 0xe0:
		u.need = 1
	case b < 0xf0:
		u.need = 2
	default:
		u.need = 3
	}
	switch b {
	case 0xe0: // shorter forms exist
		u.lo = 0xa0
	case 0xed: // surrogates
		u.hi = 0x9f
	case 0xf0:
		u.lo = 0x90
	case 0xf4: // beyond U+10FFFF
		u.hi = 0x8f
	}
	return true
}

// complete reports whether no rune is cut off.
func (u *utf8Check) complete() bool { return u.need == 0 }
