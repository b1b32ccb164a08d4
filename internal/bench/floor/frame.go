package floor

import (
	"encoding/binary"
	"math"
)

// textFrame returns a whole text message as a server sends it (RFC 6455,
// section 5.2).
func textFrame(payload []byte) []byte {
	const finText = 0x81
	n := len(payload)
	var b []byte
	switch {
	case n < 126:
		b = []byte{finText, byte(n)}
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16([]byte{finText, 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{finText, 127}, uint64(n))
	}
	return append(b, payload...)
}
