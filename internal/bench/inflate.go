package bench

import (
	"bytes"
	"compress/flate"
	"io"

	"github.com/gatecast/gatecast/internal/bench/load"
)

// deflatedHead is how much of a compressed push has to be seen to find its
// number: the code tables stand before it.
const deflatedHead = 600

// inflater finds the beginning of compressed pushes. Without context takeover
// each stands alone (RFC 7692, section 7.1.1).
type inflater struct {
	in   bytes.Reader
	z    io.ReadCloser
	head [load.HeadSize]byte
}

// headOf returns the first bytes of what a payload says, which may be cut off.
func (f *inflater) headOf(payload []byte) []byte {
	if len(payload) == 0 || payload[0] == '{' { // no deflated block of more than a few bytes begins like that, with its final bit set
		return payload
	}
	f.in.Reset(payload)
	if f.z == nil {
		f.z = flate.NewReader(&f.in)
	} else if err := f.z.(flate.Resetter).Reset(&f.in, nil); err != nil {
		return nil
	}
	n, _ := io.ReadFull(f.z, f.head[:]) // what is short is not ours
	return f.head[:n]
}
